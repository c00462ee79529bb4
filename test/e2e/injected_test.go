package e2e

import (
	"bytes"
	"io"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"polyclam/test/clamdtest"
)

// storedConfig keeps large streams in files of a directory.
const storedConfig = restartConfig + `
[spool]
store = "tmpfile"
directory = "${DIR}/spool"
`

// inject makes system calls of a process fail until the returned function is called.
// The arguments are those of strace(1).
func inject(t *testing.T, pid int, args ...string) (stop func()) {
	t.Helper()
	program := clamdtest.RequireProgram(t, "strace")
	c := exec.Command(program, append([]string{"-f", "-o", "/dev/null", "-p", strconv.Itoa(pid)}, args...)...)
	attached := &watchFor{text: []byte("attached"), seen: make(chan struct{})}
	c.Stderr = attached
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	end := sync.OnceFunc(func() {
		c.Process.Signal(syscall.SIGINT) // it detaches from the process
		c.Wait()
	})
	t.Cleanup(end)
	select {
	case <-attached.seen:
	case <-time.After(hang):
		t.Fatal("strace is not attached")
	}
	return end
}

// watchFor closes seen when text has been written to it.
type watchFor struct {
	text, got []byte
	seen      chan struct{}
	once      sync.Once
}

func (w *watchFor) Write(p []byte) (int, error) {
	w.got = append(w.got, p...)
	if bytes.Contains(w.got, w.text) {
		w.once.Do(func() { close(w.seen) })
	}
	return len(p), nil
}

// TestInjectedStorageErrors makes the kernel refuse to store streams: each gets an
// error, the log has the reason, small objects are still scanned, and large ones are
// scanned again afterwards.
func TestInjectedStorageErrors(t *testing.T) {
	large := instream(strings.Repeat("x", 2<<20))
	for _, test := range []struct {
		name, config, call string
		errs               []string
	}{
		{"memfd", spilling, "memfd_create", []string{"EMFILE", "ENFILE", "ENOMEM"}},
		{"a file", storedConfig, "openat", []string{"EMFILE", "ENFILE", "ENOMEM", "ENOSPC", "EROFS", "EIO", "EDQUOT"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, errno := range test.errs {
				// A new daemon keeps no memfd yet.
				p := clamdtest.StartPolyclam(t, test.config, clamdtest.Options{User: "root"})
				before := strings.Count(p.Log(), `"not scanned"`)
				stop := inject(t, p.Pid, "-e", "trace="+test.call, "-e", "inject="+test.call+":error="+errno)
				for range 3 {
					got, err := ask("unix", p.Socket, large)
					if got != "stream: Error writing to temporary file ERROR\x00" || err != nil {
						t.Errorf("%s: %q, %v", errno, got, err)
					}
				}
				if got, err := ask("unix", p.Socket, instream("small")); got != "stream: OK\x00" || err != nil {
					t.Errorf("%s: a small stream: %q, %v", errno, got, err)
				}
				stop()
				poll(t, "three lines in the log", func() bool { return strings.Count(p.Log(), `"not scanned"`)-before == 3 })
				if got, err := ask("unix", p.Socket, large); got != "stream: OK\x00" || err != nil {
					t.Errorf("after %s: %q, %v", errno, got, err)
				}
				poll(t, "an empty spool", func() bool {
					status, _ := ask("unix", p.Socket, "zXSTATUS\x00")
					return strings.Contains(status, " spool_used=0 ")
				})
			}
		})
	}
}

// TestInjectedAcceptErrors makes the kernel refuse connections on both listeners: the
// daemon does not spin, and serves the waiting clients as soon as it can.
func TestInjectedAcceptErrors(t *testing.T) {
	p := clamdtest.StartPolyclam(t, restartConfig, clamdtest.Options{User: "root"})
	for i, errno := range []string{"EMFILE", "ENFILE", "ENOMEM", "ENOBUFS", "EPERM", "EIO"} {
		stop := inject(t, p.Pid, "-e", "trace=accept4", "-e", "inject=accept4:error="+errno)
		var waiting []net.Conn
		for network, address := range map[string]string{"unix": p.Socket, "tcp": p.TCP} {
			for range 2 { // an earlier call may accept the first
				nc, err := net.DialTimeout(network, address, hang)
				if err != nil {
					t.Fatal(err)
				}
				defer nc.Close()
				nc.SetDeadline(time.Now().Add(hang))
				io.WriteString(nc, "zPING\x00")
				waiting = append(waiting, nc)
			}
		}
		if i == 0 { // later ones come too soon for another line
			poll(t, "a line about each listener", func() bool {
				return strings.Count(p.Log(), "connections cannot be accepted") == 2
			})
		}
		stop()
		for _, nc := range waiting {
			if got := readReply(t, nc); got != "PONG\x00" {
				t.Errorf("after %s: %q", errno, got)
			}
		}
	}
}
