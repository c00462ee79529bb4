package backends_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/test/testkit"
)

func TestCategoryOf(t *testing.T) {
	dial := func(err error) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", err)}
	}
	read := func(err error) error {
		return &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", err)}
	}
	for _, c := range []struct {
		name string
		err  error
		want backends.Category
	}{
		{"nil", nil, backends.SWErr},
		{"plain", errors.New("unknown answer"), backends.SWErr},
		{"failure swerr", &backends.Failure{Category: backends.SWErr}, backends.SWErr},
		{"failure interrupted", &backends.Failure{Category: backends.Interrupted}, backends.Interrupted},
		{"failure cannot-execute", &backends.Failure{Category: backends.CannotExecute}, backends.CannotExecute},
		{"failure not-installed", &backends.Failure{Category: backends.NotInstalled}, backends.NotInstalled},
		{"failure ok", &backends.Failure{Category: backends.OK}, backends.SWErr},
		{"failure virus", &backends.Failure{Category: backends.Virus}, backends.SWErr},
		{"failure empty", &backends.Failure{}, backends.SWErr},
		{"failure unknown", &backends.Failure{Category: "tired"}, backends.SWErr},
		{"failure and a deadline", errors.Join(context.DeadlineExceeded, &backends.Failure{Category: backends.SWErr}), backends.SWErr},
		{"cancelled", context.Canceled, backends.Interrupted},
		{"deadline", context.DeadlineExceeded, backends.Interrupted},
		{"i/o deadline", os.ErrDeadlineExceeded, backends.Interrupted},
		{"closed by us", net.ErrClosed, backends.Interrupted},
		{"no program", exec.ErrNotFound, backends.NotInstalled},
		{"no socket", dial(syscall.ENOENT), backends.NotInstalled},
		{"no program at the path", &fs.PathError{Op: "fork/exec", Path: "/x", Err: syscall.ENOENT}, backends.NotInstalled},
		{"not exist", fs.ErrNotExist, backends.NotInstalled},
		{"deleted object", &fs.PathError{Op: "open", Path: "/x", Err: syscall.ENOENT}, backends.SWErr},
		{"permission", fs.ErrPermission, backends.CannotExecute},
		{"socket permission", dial(syscall.EACCES), backends.CannotExecute},
		{"program permission", &fs.PathError{Op: "fork/exec", Path: "/x", Err: syscall.EACCES}, backends.CannotExecute},
		{"program format", &fs.PathError{Op: "fork/exec", Path: "/x", Err: syscall.ENOEXEC}, backends.CannotExecute},
		{"program in this directory", &exec.Error{Name: "x", Err: exec.ErrDot}, backends.CannotExecute},
		{"refused", dial(syscall.ECONNREFUSED), backends.CannotExecute},
		{"refused bare", syscall.ECONNREFUSED, backends.CannotExecute},
		{"unreachable", dial(syscall.EHOSTUNREACH), backends.CannotExecute},
		{"backlog full", dial(syscall.EAGAIN), backends.CannotExecute},
		{"connect timeout of the kernel", dial(syscall.ETIMEDOUT), backends.CannotExecute},
		{"dns", &net.DNSError{Err: "no such host", Name: "x.invalid", IsNotFound: true}, backends.CannotExecute},
		{"dns timeout", &net.DNSError{Err: "timeout", Name: "x.invalid", IsTimeout: true}, backends.CannotExecute},
		{"no reply", backends.ErrNoReply, backends.CannotExecute},
		{"no reply by reset", fmt.Errorf("%w: %w", backends.ErrNoReply, read(syscall.ECONNRESET)), backends.CannotExecute},
		{"no reply by eof", fmt.Errorf("%w: %w", backends.ErrNoReply, io.EOF), backends.CannotExecute},
		{"reset in an answer", read(syscall.ECONNRESET), backends.SWErr},
		{"broken pipe", read(syscall.EPIPE), backends.SWErr},
		{"eof in an answer", io.ErrUnexpectedEOF, backends.SWErr},
		{"eof", io.EOF, backends.SWErr},
		{"timeout of the kernel", read(syscall.ETIMEDOUT), backends.Interrupted},
		{"wait delay", exec.ErrWaitDelay, backends.SWErr},
	} {
		t.Run(c.name, func(t *testing.T) {
			wantCategoryOf(t, c.err, c.want)
			if c.err != nil {
				wantCategoryOf(t, fmt.Errorf("engine: scan: %w", c.err), c.want)
				wantCategoryOf(t, errors.Join(errors.New("other"), c.err), c.want)
			}
		})
	}
}

func wantCategoryOf(t *testing.T, err error, want backends.Category) {
	t.Helper()
	got := backends.CategoryOf(err)
	if got != want {
		t.Errorf("CategoryOf(%v) = %v, want %v", err, got, want)
	}
	if !got.IsFailure() {
		t.Errorf("CategoryOf(%v) = %v, which is not a failure", err, got)
	}
}

// dialing connects to an address where nothing answers, and returns the error.
func dialing(t *testing.T, ctx context.Context, address string) error {
	t.Helper()
	network, addr, err := backends.ParseAddress(address)
	if err != nil {
		t.Fatal(err)
	}
	nc, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err == nil {
		nc.Close()
		t.Fatalf("%s answers", address)
	}
	return err
}

func TestCategoryOfDials(t *testing.T) {
	over, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	silent := backendtest.StartDaemon(t, "tcp", backendtest.Script{backendtest.Hang()}).Address()

	wantCategoryOf(t, dialing(t, t.Context(), backendtest.Missing(t)), backends.NotInstalled)
	wantCategoryOf(t, dialing(t, t.Context(), backendtest.Refusing(t, "unix")), backends.CannotExecute)
	wantCategoryOf(t, dialing(t, t.Context(), backendtest.Refusing(t, "tcp")), backends.CannotExecute)
	wantCategoryOf(t, dialing(t, over, silent), backends.CannotExecute)
	wantCategoryOf(t, dialing(t, cancelled, silent), backends.Interrupted)
	_, err := (&net.Dialer{Timeout: time.Nanosecond}).Dial("tcp", "127.0.0.1:1")
	wantCategoryOf(t, err, backends.CannotExecute)

	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wantCategoryOf(t, dialing(t, t.Context(), "unix:"+file), backends.CannotExecute)
	wantCategoryOf(t, dialing(t, t.Context(), "unix:"+file+"/below"), backends.CannotExecute)
}

// TestCategoryOfForbidden dials a socket that the user may not write to. As root, the
// thread uses another user id for file systems.
func TestCategoryOfForbidden(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := os.Chmod(l.Addr().String(), 0); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		const nobody = 65534
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		syscall.RawSyscall(syscall.SYS_SETFSUID, nobody, 0, 0)
		defer syscall.RawSyscall(syscall.SYS_SETFSUID, 0, 0, 0)
	}
	nc, err := net.Dial("unix", l.Addr().String())
	if err == nil {
		nc.Close()
	}
	wantCategoryOf(t, err, backends.CannotExecute)
}

// TestCategoryOfConnections tries real errors of established connections.
func TestCategoryOfConnections(t *testing.T) {
	read := func(deadline time.Time, steps ...backendtest.Step) (int, error) {
		d := backendtest.StartDaemon(t, "tcp", steps)
		network, addr, err := backends.ParseAddress(d.Address())
		if err != nil {
			t.Fatal(err)
		}
		nc, err := net.Dial(network, addr)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		nc.SetReadDeadline(deadline)
		if _, err := nc.Write([]byte("?")); err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(nc)
		return len(data), err
	}
	later := time.Now().Add(time.Minute)

	_, err := read(time.Now().Add(20*time.Millisecond), backendtest.Hang())
	wantCategoryOf(t, err, backends.Interrupted)
	_, err = read(later, backendtest.Discard(1), backendtest.Reset())
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("a reset is %v", err)
	}
	wantCategoryOf(t, err, backends.SWErr)
	wantCategoryOf(t, fmt.Errorf("%w: %w", backends.ErrNoReply, err), backends.CannotExecute)
	n, err := read(later, backendtest.Discard(1), backendtest.SendSplit(backendtest.Composed("half"), 1), backendtest.Close())
	if n != 4 || err != nil {
		t.Fatalf("%d bytes, %v", n, err)
	}

	a, b := net.Pipe()
	defer b.Close()
	a.Close()
	_, err = a.Read(make([]byte, 1))
	wantCategoryOf(t, fmt.Errorf("read: %w", err), backends.SWErr) // io.ErrClosedPipe: not a socket
}

func TestCategoryOfPrograms(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	if err := os.WriteFile(data, []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	garbage := filepath.Join(dir, "garbage")
	testkit.WriteProgram(t, garbage, []byte("\x7fELF garbage"))
	over, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	for _, c := range []struct {
		name string
		cmd  *exec.Cmd
		want backends.Category
	}{
		{"not in PATH", exec.Command("polyclam-no-such-scanner"), backends.NotInstalled},
		{"no such path", exec.Command(filepath.Join(dir, "missing")), backends.NotInstalled},
		{"not executable", exec.Command(data), backends.CannotExecute},
		{"not a program", exec.Command(garbage), backends.CannotExecute},
		{"exit 3", exec.Command("sh", "-c", "exit 3"), backends.SWErr},
		{"killed", exec.Command("sh", "-c", "kill -KILL $$"), backends.Interrupted},
		{"over", exec.CommandContext(over, "sleep", "60"), backends.Interrupted},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.cmd.Run()
			if err == nil {
				t.Fatal("no error")
			}
			wantCategoryOf(t, err, c.want)
		})
	}
}

// TestUnreachableWithoutDescriptors checks that a lack of local resources does not make
// a node unreachable.
func TestUnreachableWithoutDescriptors(t *testing.T) {
	for errno, want := range map[syscall.Errno]bool{
		syscall.EMFILE: false, syscall.ENFILE: false, syscall.ENOMEM: false, syscall.ENOBUFS: false,
		syscall.ECONNREFUSED: true, syscall.ENETUNREACH: true,
	} {
		dial := &net.OpError{Op: "dial", Net: "unix", Err: os.NewSyscallError("socket", errno)}
		start := &os.PathError{Op: "fork/exec", Path: "/bin/scan", Err: errno}
		if got := backends.Unreachable(dial); got != want {
			t.Errorf("dial: %v: %v", errno, got)
		}
		if got := backends.Unreachable(&backends.ConnError{Category: backends.CannotExecute, Err: dial}); got != want {
			t.Errorf("ConnError: %v: %v", errno, got)
		}
		if got := backends.Unreachable(start); got && !want {
			t.Errorf("start: %v: %v", errno, got)
		}
	}
}
