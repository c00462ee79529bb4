package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"polyclam/cmd/internal/config"
)

// sockets are open listeners by address, as in the configuration.
type sockets map[string]net.Listener

// close closes all sockets concurrently: each may take a while.
func (s sockets) close() {
	var closing sync.WaitGroup
	for _, ln := range s {
		closing.Go(func() { ln.Close() })
	}
	closing.Wait()
}

// openAll opens all listeners of file that are not in have. If one fails, it closes the
// others again; the error lists every failure.
func openAll(file *config.File, have sockets) (sockets, error) {
	opened := sockets{}
	var errs []error
	for i := range file.Listeners {
		l := &file.Listeners[i]
		if _, ok := have[l.Address]; ok {
			continue
		}
		if file.Name == config.DefaultName {
			if err := makeSocketDir(l.Address); err != nil {
				errs = append(errs, fmt.Errorf("listener %q: %w", l.Address, err))
				continue
			}
		}
		ln, err := open(l)
		if err != nil {
			errs = append(errs, fmt.Errorf("listener %q: %w", l.Address, err))
			continue
		}
		opened[l.Address] = ln
	}
	if len(errs) > 0 {
		opened.close()
		return nil, errors.Join(errs...)
	}
	return opened, nil
}

// makeSocketDir creates the directory of the embedded default's socket. In a directory where
// everyone may write it must belong to this user.
func makeSocketDir(address string) error {
	path, ok := strings.CutPrefix(address, "unix:")
	if !ok {
		return nil
	}
	dir := filepath.Dir(path)
	private := strings.HasPrefix(dir, os.TempDir())
	mode := fs.FileMode(0o755)
	if private {
		mode = 0o700
	}
	if err := os.Mkdir(dir, mode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil || !private {
		return err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); !ok || !info.IsDir() || int(st.Uid) != os.Getuid() || info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%s is not a directory that only this user may write to; remove it, or set RUNTIME_DIRECTORY", dir)
	}
	return nil
}
