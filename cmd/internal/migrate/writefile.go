package migrate

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/google/renameio/v2"
)

// Access is the mode and the owner of a file; -1 leaves the owner unchanged.
type Access struct {
	Mode     fs.FileMode
	UID, GID int
}

// Plain is the access of a world-readable configuration.
var Plain = Access{Mode: 0o644, UID: -1, GID: -1}

// Like returns the access of another file.
func Like(info fs.FileInfo) Access {
	a := Access{Mode: info.Mode().Perm(), UID: -1, GID: -1}
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		a.UID, a.GID = int(s.Uid), int(s.Gid)
	}
	return a
}

// ErrSame means that WriteFile left a file alone because it already has these bytes.
var ErrSame = errors.New("the file is already as wanted")

// WriteFile writes a file completely or not at all. If the file exists, the error is
// [fs.ErrExist], or with replace the old one is kept beside it under the returned name.
func WriteFile(path string, data []byte, a Access, replace bool) (backup string, err error) {
	if replace {
		// Replace the file that a symbolic link leads to, not the link.
		if real, err := filepath.EvalSymlinks(path); err == nil {
			path = real
		}
		if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, data) {
			return "", ErrSame
		}
	}
	f, err := renameio.NewPendingFile(path, renameio.WithTempDir(filepath.Dir(path)))
	if err != nil {
		return "", err
	}
	defer f.Cleanup()
	if err := fill(f.File, data, a); err != nil {
		return "", err
	}
	// Unlike rename(2), link(2) does not replace a file.
	err = os.Link(f.Name(), path)
	if !errors.Is(err, fs.ErrExist) || !replace {
		return "", linkError(path, err)
	}
	if backup, err = keep(path); err != nil {
		return "", err
	}
	return backup, f.CloseAtomicallyReplace()
}

func fill(f *os.File, data []byte, a Access) error {
	if _, err := f.Write(data); err != nil {
		return err
	}
	// The owner first: chown(2) clears bits of the mode.
	if a.UID != -1 || a.GID != -1 {
		if err := f.Chown(a.UID, a.GID); err != nil {
			return err
		}
	}
	if err := f.Chmod(a.Mode); err != nil {
		return err
	}
	return f.Sync()
}

// linkError strips the name of the temporary file from an os.Link error.
func linkError(path string, err error) error {
	var link *os.LinkError
	if errors.As(err, &link) {
		return &fs.PathError{Op: "write", Path: path, Err: link.Err}
	}
	return err
}

// keep links a file to a backup name, FILE.bak, FILE.bak2 and so on.
func keep(path string) (string, error) {
	const most = 1000
	for n := 1; n < most; n++ {
		backup := path + ".bak"
		if n > 1 {
			backup = fmt.Sprintf("%s.bak%d", path, n)
		}
		err := os.Link(path, backup)
		if err == nil || !errors.Is(err, fs.ErrExist) {
			return backup, err
		}
	}
	return "", fmt.Errorf("%s has %d backups already", path, most-1)
}
