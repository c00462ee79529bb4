package wire

import (
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
)

// TestFullQueue: a Unix socket whose queue is full is tried again until the
// timeout is over, and is then out of reach.
func TestFullQueue(t *testing.T) {
	path := strings.TrimPrefix(backendtest.Missing(t), "unix:")
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	d := Dialer{Network: "unix", Address: path, Timeout: 50 * time.Millisecond}
	for range 4 {
		nc, err := d.Dial(t.Context())
		if err == nil {
			defer nc.Close()
			continue
		}
		if backends.CategoryOf(err) != backends.CannotExecute || !strings.Contains(err.Error(), "no connection within 50ms") {
			t.Errorf("got %v", err)
		}
		return
	}
	t.Error("the queue does not fill up")
}
