package listen

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"polyclam/cmd/internal/sockaddr"
	"polyclam/cmd/internal/within"
	"polyclam/proxy/local"
)

// UnixSocket is a listener on a Unix socket together with its file. It identifies the file by
// inode, not by path: it neither changes nor removes a file that another program puts at the
// path later.
type UnixSocket struct {
	*local.Listener
	path string
	once sync.Once

	mu   sync.Mutex // held during calls to the file system, which may hang
	file *os.File   // opened with O_PATH, so that the inode number is not reused; nil: closed
}

// openUnix opens a Unix socket. No client can connect before its group and mode are set.
func openUnix(path string, mode fs.FileMode, group int) (*UnixSocket, error) {
	if err := removeStale(path); err != nil {
		return nil, err
	}
	ln, err := listenPrivate(path)
	if err != nil {
		return nil, explainUnix(path, err)
	}
	ln.SetUnlinkOnClose(false)
	file, err := openBound(path)
	if err != nil {
		ln.Close()
		return nil, err
	}
	served, err := local.Listen(ln)
	if err != nil {
		ln.Close()
		file.Close()
		return nil, err
	}
	s := &UnixSocket{Listener: served, path: path, file: file}
	if err := s.SetAccess(mode, group); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// openBound opens the file of a socket that listenPrivate has just bound to path. It must
// still be a socket of this user with mode 0.
func openBound(path string) (*os.File, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("check the new socket: %w", cause(err))
	}
	file := os.NewFile(uintptr(fd), path)
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	if err == nil && (st.Mode != unix.S_IFSOCK || int(st.Uid) != os.Geteuid()) {
		err = errors.New("another program replaced it; choose a directory that only polyclamd may write to")
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("check the new socket: %w", cause(err))
	}
	return file, nil
}

// SetAccess sets the group and mode of the socket, in this order.
func (s *UnixSocket) SetAccess(mode fs.FileMode, group int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		return net.ErrClosed
	}
	fd := int(s.file.Fd())
	if group != NoGroup {
		if err := unix.Fchownat(fd, "", -1, group, unix.AT_EMPTY_PATH); err != nil {
			return fmt.Errorf("set the group: %w", err)
		}
	}
	// fchmod(2) refuses an O_PATH descriptor, and Linux before 6.6 has no other call.
	err := os.Chmod(fmt.Sprintf("/proc/self/fd/%d", fd), mode)
	if err != nil && unix.Fchmodat(fd, "", uint32(mode.Perm()), unix.AT_EMPTY_PATH) == nil {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("set the mode: %w", cause(err))
	}
	return nil
}

// AtPath reports whether the file is still at its path.
func (s *UnixSocket) AtPath() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.isAtPath()
}

// isAtPath is AtPath for a caller that holds mu.
func (s *UnixSocket) isAtPath() bool {
	if s.file == nil {
		return false
	}
	now, err := os.Lstat(s.path)
	if err != nil {
		return false
	}
	own, err := s.file.Stat()
	return err == nil && os.SameFile(now, own)
}

// unlinkGrace is how long Close waits for the removal of the file.
const unlinkGrace = time.Second

// Close implements [net.Listener]. It removes the file if it is still at its path. A file
// system that hangs delays it by unlinkGrace at most.
func (s *UnixSocket) Close() error {
	s.once.Do(func() { within.Limit(unlinkGrace, s.remove) })
	return s.Listener.Close()
}

func (s *UnixSocket) remove() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isAtPath() {
		os.Remove(s.path)
	}
	s.file.Close()
	s.file = nil
}

// listenPrivate opens a socket whose file has mode 0, as clamd's has at first: in bind(2)
// Linux copies the mode of the descriptor to the file.
func listenPrivate(path string) (*net.UnixListener, error) {
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		if ctlErr := c.Control(func(fd uintptr) { err = unix.Fchmod(int(fd), 0) }); ctlErr != nil {
			return ctlErr
		}
		return err
	}}
	ln, err := config.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, err
	}
	return ln.(*net.UnixListener), nil
}

// removeStale removes a socket at path that no daemon listens on: a killed daemon left it.
// Anything else at path is an error.
func removeStale(path string) error {
	before, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return explainUnix(path, err)
	}
	if err := checkStale(path, before); err != nil {
		return err
	}
	now, err := os.Lstat(path)
	if err != nil || !os.SameFile(before, now) {
		return errors.New("the socket is in use: another daemon has just created it")
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("remove the stale socket: %w", explainUnix(path, err))
	}
	return nil
}

// checkStale returns nil if the file at path is a socket that no daemon listens on.
func checkStale(path string, info fs.FileInfo) error {
	if info.Mode().Type() != fs.ModeSocket {
		return errors.New("the file exists and is not a socket; remove it or choose another address")
	}
	nc, err := net.DialTimeout("unix", path, time.Second)
	switch {
	case err == nil:
		nc.Close()
		return inUse(sockaddr.Unix(path))
	case errors.Is(err, syscall.EAGAIN): // a full backlog
		return inUse(sockaddr.Unix(path))
	case errors.Is(err, syscall.ECONNREFUSED):
		return nil
	}
	return &maybeInUse{cause(err)} // for example because of its mode
}

// maybeInUse is the error of a socket that cannot be connected to.
type maybeInUse struct{ err error }

func (e *maybeInUse) Error() string { return fmt.Sprintf("the socket may be in use: %v", e.err) }

func (e *maybeInUse) Unwrap() error { return e.err }
