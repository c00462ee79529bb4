package main

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

	"polyclam/backends"
	"polyclam/cmd/internal/config"
)

// open makes the socket of a listener.
func open(l *config.Listener) (net.Listener, error) {
	network, address, err := backends.ParseAddress(l.Address)
	if err != nil {
		return nil, err
	}
	if network == "unix" {
		return openUnix(address, l.Mode, int(l.Group))
	}
	return net.Listen(network, address)
}

// unixSocket is a listener on a Unix socket together with its file. The file is
// known by its inode, not by its path: whatever another program puts at the path
// afterwards is neither changed nor removed.
type unixSocket struct {
	*net.UnixListener
	path string
	once sync.Once

	mu   sync.Mutex // held while the file system is asked, which may not answer
	file *os.File   // opened with O_PATH: the inode's number stays ours; nil: closed
}

// openUnix makes a Unix socket. Nobody can connect before its group and mode
// are right.
func openUnix(path string, mode fs.FileMode, group int) (*unixSocket, error) {
	if err := removeStale(path); err != nil {
		return nil, err
	}
	ln, err := listenClosed(path)
	if err != nil {
		return nil, err
	}
	ln.SetUnlinkOnClose(false)
	file, err := openOwn(path)
	if err != nil {
		ln.Close()
		return nil, err
	}
	s := &unixSocket{UnixListener: ln, path: path, file: file}
	if err := s.permit(mode, group); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// openOwn opens the file of a socket that was bound to path just now. It must be
// what listenClosed makes: a socket, of our user, with no rights for anybody.
func openOwn(path string) (*os.File, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: the socket made just now: %w", path, err)
	}
	file := os.NewFile(uintptr(fd), path)
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	if err == nil && (st.Mode != unix.S_IFSOCK || int(st.Uid) != os.Geteuid()) {
		err = errors.New("another program replaced it; choose a directory where only this daemon may write")
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("%s: the socket made just now: %w", path, err)
	}
	return file, nil
}

// permit gives the socket its group and mode, in this order.
func (s *unixSocket) permit(mode fs.FileMode, group int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		return net.ErrClosed
	}
	fd := int(s.file.Fd())
	if group != config.NoGroup {
		if err := unix.Fchownat(fd, "", -1, group, unix.AT_EMPTY_PATH); err != nil {
			return fmt.Errorf("group of %s: %w", s.path, err)
		}
	}
	// fchmod(2) refuses a descriptor of O_PATH, and Linux before 6.6 has no other call.
	err := os.Chmod(fmt.Sprintf("/proc/self/fd/%d", fd), mode)
	if err != nil && unix.Fchmodat(fd, "", uint32(mode.Perm()), unix.AT_EMPTY_PATH) == nil {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("mode of %s: %w", s.path, errors.Unwrap(err))
	}
	return nil
}

// inPlace reports whether the file is still at its path.
func (s *unixSocket) inPlace() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.isInPlace()
}

// isInPlace is inPlace for a caller that has mu.
func (s *unixSocket) isInPlace() bool {
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

// lastFile is how long closing a socket waits for the removal of its file.
const lastFile = time.Second

// Close implements [net.Listener]. It removes the file, if it is still in place. A file
// system that does not answer holds it up for lastFile only.
func (s *unixSocket) Close() error {
	s.once.Do(func() { within(lastFile, s.remove) })
	return s.UnixListener.Close()
}

func (s *unixSocket) remove() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isInPlace() {
		os.Remove(s.path)
	}
	s.file.Close()
	s.file = nil
}

// listenClosed makes a socket of mode 0, as clamd's comes into being: Linux
// gives the file the mode that the descriptor has at the time of bind(2).
func listenClosed(path string) (*net.UnixListener, error) {
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

// removeStale removes the socket at path if nobody answers on it: it was left
// by a daemon that was killed. Anything else at path is an error.
func removeStale(path string) error {
	before, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if before.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s exists and is not a socket; remove it or choose another address", path)
	}
	nc, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		nc.Close()
		return fmt.Errorf("%s is in use: another daemon answers on it", path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		// A full backlog, a closed mode: somebody may be there.
		return fmt.Errorf("%s may be in use: %w", path, err)
	}
	now, err := os.Lstat(path)
	if err != nil || !os.SameFile(before, now) {
		return fmt.Errorf("%s is in use: another daemon made it just now", path)
	}
	return os.Remove(path)
}
