package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
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
		return openUnix(address, l.Mode, l.Group)
	}
	return net.Listen(network, address)
}

// openUnix makes a Unix socket. Nobody can connect before its group and mode
// are right.
func openUnix(path string, mode fs.FileMode, group int) (net.Listener, error) {
	if err := removeStale(path); err != nil {
		return nil, err
	}
	ln, err := listenClosed(path)
	if err != nil {
		return nil, err
	}
	if err := permit(path, mode, group); err != nil {
		ln.Close() // and removes the file
		return nil, err
	}
	return ln, nil
}

// listenClosed makes a socket of mode 0, as clamd's comes into being: Linux
// gives the file the mode that the descriptor has at the time of bind(2).
func listenClosed(path string) (net.Listener, error) {
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		if ctlErr := c.Control(func(fd uintptr) { err = unix.Fchmod(int(fd), 0) }); ctlErr != nil {
			return ctlErr
		}
		return err
	}}
	return config.Listen(context.Background(), "unix", path)
}

// permit gives the socket at path its group and mode, in this order.
func permit(path string, mode fs.FileMode, group int) error {
	if group != config.NoGroup {
		if err := os.Lchown(path, -1, group); err != nil {
			return err
		}
	}
	return os.Chmod(path, mode)
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
