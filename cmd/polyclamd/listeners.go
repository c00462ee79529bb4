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

// sockets are open listeners by their address in the configuration.
type sockets map[string]net.Listener

// close closes them all together: each may take its time.
func (s sockets) close() {
	var closing sync.WaitGroup
	for _, ln := range s {
		closing.Go(func() { ln.Close() })
	}
	closing.Wait()
}

// openAll opens all listeners of file that are not in have. On an error none of
// them stays open; the error has all that went wrong.
func openAll(file *config.File, have sockets) (sockets, error) {
	opened := sockets{}
	var errs []error
	for i := range file.Listeners {
		l := &file.Listeners[i]
		if _, ok := have[l.Address]; ok {
			continue
		}
		if file.Name == config.DefaultName {
			if err := makeDirectory(l.Address); err != nil {
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

// makeDirectory makes the directory of the embedded default's socket. One that
// is below a directory where everybody may write must be our own.
func makeDirectory(address string) error {
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
		return fmt.Errorf("%s is not a directory of our own; remove it, or set RUNTIME_DIRECTORY", dir)
	}
	return nil
}
