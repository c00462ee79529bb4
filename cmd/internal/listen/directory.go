package listen

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// runtimeDirectory reports whether dir is one that RuntimeDirectory= of a unit could name, and
// returns its name there.
func runtimeDirectory(dir string) (name string, ok bool) {
	parent := filepath.Dir(dir)
	return filepath.Base(dir), parent == "/run" || parent == "/var/run"
}

// makesDirectory reports whether a missing directory of a socket is created: below /run, which
// is empty after each boot, and where systemd says. Elsewhere a missing directory is more
// likely a typing error.
func makesDirectory(dir string) bool {
	own, _, _ := strings.Cut(os.Getenv("RUNTIME_DIRECTORY"), ":")
	_, ok := runtimeDirectory(dir)
	return ok || own != "" && dir == filepath.Clean(own)
}

// makeDirectory creates the directory of the socket at path, if it is one that may be created,
// or always. In a directory where everyone may write it must belong to this user.
func makeDirectory(path string, always bool) error {
	dir := filepath.Dir(path)
	if !always && !makesDirectory(dir) {
		return nil
	}
	private := strings.HasPrefix(dir, os.TempDir())
	mode := fs.FileMode(0o755)
	if private {
		mode = 0o700
	}
	switch err := os.Mkdir(dir, mode); {
	case err == nil && !private:
		return os.Chmod(dir, mode) // the umask may have taken away what clients need
	case err != nil && !errors.Is(err, fs.ErrExist):
		return fmt.Errorf("make the directory of the socket: %w", explainUnix(dir, err))
	}
	if !private {
		return nil
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); !ok || !info.IsDir() || int(st.Uid) != os.Getuid() || info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%s is not a directory that only this user may write to; remove it, or set RUNTIME_DIRECTORY", dir)
	}
	return nil
}

// checkDirectory checks that a socket could be created at path.
func checkDirectory(path string, always bool) error {
	dir := filepath.Dir(path)
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist) && (always || makesDirectory(dir)):
		if err := unix.Access(filepath.Dir(dir), unix.W_OK|unix.X_OK); err != nil {
			return missingDirectory(dir)
		}
		return nil
	case err != nil:
		return explainUnix(path, err)
	case !info.IsDir():
		return fmt.Errorf("%s is not a directory; choose another address", dir)
	}
	if err := unix.Access(dir, unix.W_OK|unix.X_OK); err != nil {
		return explainUnix(path, err)
	}
	return nil
}
