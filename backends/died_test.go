package backends

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// TestBusy checks that one busy failure among several is enough.
func TestBusy(t *testing.T) {
	busy := &Failure{Category: CannotExecute, Code: 503, Busy: true}
	own := &Failure{Category: SWErr, Text: "x"}
	for _, err := range []error{busy, fmt.Errorf("icap: %w", busy), Failures{own, busy}} {
		if !Busy(err) {
			t.Errorf("%v is not busy", err)
		}
	}
	for _, err := range []error{nil, own, Failures{own}, ErrNoReply} {
		if Busy(err) {
			t.Errorf("%v is busy", err)
		}
	}
}

// TestDied checks which errors say that the engine ended while it had the object.
func TestDied(t *testing.T) {
	died := &Failure{Category: Interrupted, Text: "killed by signal 11", Died: true}
	own := &Failure{Category: SWErr, Text: "can't allocate memory"}
	merged := func(errs ...error) error {
		var a Answer
		for _, err := range errs {
			a.Fail(err)
		}
		_, err := a.Result()
		return err
	}
	tests := []struct {
		name string
		err  error
		want bool
	}{
		{"nothing", nil, false},
		{"no reply", fmt.Errorf("clamd: %w", ErrNoReply), true},
		{"partial reply", fmt.Errorf("sssp: %w", io.ErrUnexpectedEOF), true},
		{"reset", &net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ECONNRESET)}, true},
		{"write to a dead engine", &net.OpError{Op: "write", Err: os.NewSyscallError("write", syscall.EPIPE)}, true},
		{"killed program", died, true},
		{"among others", Failures{own, died}, true},
		{"merged", merged(own, io.ErrUnexpectedEOF), true},
		{"merged, none died", merged(own, io.ErrShortWrite), false},
		{"killed", exec.Command("sh", "-c", "kill -SEGV $$").Run(), true},
		{"exit status", exec.Command("sh", "-c", "exit 2").Run(), false},
		{"engine's own error", own, false},
		{"refused", &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}, false},
		{"reset while connecting", &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNRESET)}, false},
		{"no greeting", &ConnError{Text: "no greeting", Err: io.ErrUnexpectedEOF}, false},
		{"object that shrank", &ObjectError{Doing: "reading the object", Err: io.ErrUnexpectedEOF}, false},
		{"timeout", context.DeadlineExceeded, false},
		{"cancelled", context.Canceled, false},
	}
	for _, tt := range tests {
		if got := Died(tt.err); got != tt.want {
			t.Errorf("%s: %v: Died = %v", tt.name, tt.err, got)
		}
	}
}
