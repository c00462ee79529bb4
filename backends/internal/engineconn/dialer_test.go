package engineconn

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
)

// backlogged returns a Unix socket with room for one waiting connection. Only accept
// accepts it.
func backlogged(t *testing.T) (path string, accept func()) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "s")
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), path)
	t.Cleanup(func() { f.Close() })
	return path, func() {
		l, err := net.FileListener(f)
		if err != nil {
			t.Error(err)
			return
		}
		defer l.Close()
		for range 2 {
			if nc, err := l.Accept(); err == nil {
				defer nc.Close()
			}
		}
	}
}

// fill connects until the backlog is full.
func fill(t *testing.T, path string) {
	t.Helper()
	for range 10 {
		nc, err := net.Dial("unix", path)
		if errors.Is(err, syscall.EAGAIN) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { nc.Close() })
	}
	t.Fatal("the backlog does not fill up")
}

// TestBacklog checks that Dial waits for a Unix socket with a full backlog, as a blocking
// connect(2) does, until the timeout or the end of the context.
func TestBacklog(t *testing.T) {
	path, accept := backlogged(t)
	fill(t, path)
	d := Dialer{Network: "unix", Address: path, Timeout: 300 * time.Millisecond}
	_, err := d.Dial(t.Context())
	if !errors.As(err, new(*backends.ConnError)) || backends.CategoryOf(err) != backends.CannotExecute ||
		!strings.Contains(err.Error(), "backlog was full") || !strings.Contains(err.Error(), "for 300ms (key connect_timeout)") {
		t.Errorf("got %v", err)
	}
	why := errors.New("the client closed the connection")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(10*time.Millisecond, func() { cancel(why) })
	d.Timeout = time.Minute
	if _, err := d.Dial(ctx); backends.CategoryOf(err) != backends.Interrupted || !errors.Is(err, why) {
		t.Errorf("cancelled: %v", err)
	}
	limit := &backends.TimeoutError{After: 10 * time.Millisecond, Key: "timeout"}
	within, done := context.WithTimeoutCause(t.Context(), 10*time.Millisecond, limit)
	defer done()
	if _, err := d.Dial(within); backends.CategoryOf(err) != backends.CannotExecute || !strings.Contains(err.Error(), "key timeout") {
		t.Errorf("out of time: %v", err)
	}
	var accepted sync.WaitGroup
	accepted.Go(accept)
	nc, err := d.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	nc.Close()
	accepted.Wait()
}

// TestDeadlineDuringDial checks that a scan's deadline that ends during a dial is not
// reported as connect_timeout.
func TestDeadlineDuringDial(t *testing.T) {
	path, _ := backlogged(t)
	fill(t, path)
	for range 20 {
		ctx, cancel := context.WithTimeoutCause(t.Context(), 3*time.Millisecond, &backends.TimeoutError{After: 3 * time.Millisecond, Key: "timeout"})
		_, err := Dialer{Network: "unix", Address: path, Timeout: time.Minute}.Dial(ctx)
		cancel()
		if err == nil || !strings.Contains(err.Error(), "key timeout") {
			t.Errorf("got %v", err)
		}
	}
}

// TestUnreachable checks that failed connection attempts are unreachable nodes, and that
// their errors are plain.
func TestUnreachable(t *testing.T) {
	forbidden := filepath.Join(t.TempDir(), "d")
	if err := os.Mkdir(forbidden, 0); err != nil {
		t.Fatal(err)
	}
	refusing := strings.TrimPrefix(backendtest.Refusing(t, "tcp"), "tcp:")
	for _, tt := range []struct {
		name, network, address string
		want                   backends.Category
	}{
		{"no socket", "unix", "/nonexistent/s", backends.NotInstalled},
		{"refused", "tcp", refusing, backends.CannotExecute},
		{"not a socket", "unix", forbidden, backends.CannotExecute},
		{"no host", "tcp", "host.invalid:1", backends.CannotExecute},
	} {
		_, err := Dialer{Network: tt.network, Address: tt.address, Timeout: 5 * time.Second}.Dial(t.Context())
		if backends.CategoryOf(err) != tt.want || !errors.As(err, new(*backends.ConnError)) || !backends.Unreachable(err) {
			t.Errorf("%s: %v is %v, want %v", tt.name, err, backends.CategoryOf(err), tt.want)
		}
		backendtest.WantPlain(t, err)
	}
}
