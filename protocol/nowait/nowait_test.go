package nowait

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// pair returns two connected sockets that do not block.
func pair(t *testing.T) (a, b int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fds[0]); unix.Close(fds[1]) })
	return fds[0], fds[1]
}

func wantErrno(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: got %v, want %v", what, err, want)
	}
}

func TestSocket(t *testing.T) {
	a, b := pair(t)
	p := make([]byte, 8)
	_, err := Read(a, p)
	wantErrno(t, "nothing to read", err, syscall.EAGAIN)
	if n, err := Write(b, []byte("hello")); n != 5 || err != nil {
		t.Errorf("Write: %d, %v", n, err)
	}
	if n, err := Read(a, p); string(p[:max(n, 0)]) != "hello" || err != nil {
		t.Errorf("Read: %q, %v", p[:max(n, 0)], err)
	}
	large := make([]byte, 1<<20)
	if n, err := Write(b, large); n <= 0 || n >= len(large) || err != nil {
		t.Errorf("Write of more than fits: %d, %v", n, err)
	}
	_, err = Send(b, large, nil)
	wantErrno(t, "a full socket", err, syscall.EAGAIN)
	if err := CloseWrite(b); err != nil {
		t.Error(err)
	}
	for n := 1; n > 0; n, err = Read(a, large) {
	}
	if err != nil {
		t.Errorf("at the end: %v", err)
	}
	cred, err := Credentials(a)
	if err != nil || int(cred.Pid) != os.Getpid() || int(cred.Uid) != os.Getuid() || int(cred.Gid) != os.Getgid() {
		t.Errorf("Credentials: %+v, %v", cred, err)
	}
	_, err = Write(b, []byte("x"))
	wantErrno(t, "after CloseWrite", err, syscall.EPIPE)
	_, err = Credentials(-1)
	wantErrno(t, "no descriptor", err, syscall.EBADF)
	wantErrno(t, "Close of no descriptor", Close(-1), syscall.EBADF)
}

// TestDescriptor passes a descriptor.
func TestDescriptor(t *testing.T) {
	a, b := pair(t)
	file, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if n, err := Send(b, []byte("x"), syscall.UnixRights(int(file.Fd()))); n != 1 || err != nil {
		t.Fatalf("Send: %d, %v", n, err)
	}
	p, oob := make([]byte, 8), make([]byte, syscall.CmsgSpace(4))
	iov := syscall.Iovec{Base: &p[0]}
	iov.SetLen(len(p))
	msg := syscall.Msghdr{Iov: &iov, Iovlen: 1, Control: &oob[0]}
	msg.SetControllen(len(oob))
	if n, err := Receive(a, &msg, syscall.MSG_CMSG_CLOEXEC); n != 1 || err != nil || p[0] != 'x' {
		t.Fatalf("Receive: %d, %v, %q", n, err, p)
	}
	messages, err := syscall.ParseSocketControlMessage(oob[:msg.Controllen])
	if err != nil || len(messages) != 1 {
		t.Fatal(messages, err)
	}
	fds, err := syscall.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		t.Fatal(fds, err)
	}
	if err := Close(fds[0]); err != nil {
		t.Error(err)
	}
	wantErrno(t, "closed twice", Close(fds[0]), syscall.EBADF)
}

func TestAccept(t *testing.T) {
	l, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(l)
	address := &unix.SockaddrUnix{Name: filepath.Join(t.TempDir(), "s")}
	if err := errors.Join(unix.Bind(l, address), unix.Listen(l, 1)); err != nil {
		t.Fatal(err)
	}
	_, err = Accept(l)
	wantErrno(t, "nobody waits", err, syscall.EAGAIN)
	c, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(c)
	if err := unix.Connect(c, address); err != nil {
		t.Fatal(err)
	}
	fd, err := Accept(l)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil || flags&unix.O_NONBLOCK == 0 {
		t.Errorf("flags %#x, %v", flags, err)
	}
	flags, err = unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	if err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("flags of the descriptor %#x, %v", flags, err)
	}
}

// TestFile opens a file in memory again, as the spool does.
func TestFile(t *testing.T) {
	fd, err := unix.MemfdCreate("test", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if n, err := WriteAt(fd, []byte("xyz"), 2); n != 3 || err != nil {
		t.Fatalf("WriteAt: %d, %v", n, err)
	}
	dir, err := unix.Open("/proc/self/fd", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(dir)
	again, err := OpenAt(dir, append([]byte(strconv.Itoa(fd)), 0))
	if err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 8)
	if n, err := Read(again, p); n != 5 || err != nil || !bytes.Equal(p[:n], []byte("\x00\x00xyz")) {
		t.Errorf("Read: %d, %v, %q", n, err, p)
	}
	_, err = WriteAt(again, []byte("x"), 0)
	wantErrno(t, "opened for reading", err, syscall.EBADF)
	isLocked := func() bool {
		lock := syscall.Flock_t{Type: unix.F_WRLCK}
		if err := Lock(fd, unix.F_OFD_GETLK, &lock); err != nil {
			t.Fatal(err)
		}
		return lock.Type != unix.F_UNLCK
	}
	if isLocked() {
		t.Error("locked at first")
	}
	if err := Lock(again, unix.F_OFD_SETLK, &syscall.Flock_t{Type: unix.F_RDLCK}); err != nil {
		t.Fatal(err)
	}
	if !isLocked() {
		t.Error("a lock is not seen")
	}
	if err := Close(again); err != nil || isLocked() {
		t.Errorf("locked after the close: %v", err)
	}
	_, err = OpenAt(dir, []byte("nothing\x00"))
	wantErrno(t, "no such name", err, syscall.ENOENT)
}
