package migrate

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Access is the mode of a file, and its owner; -1 leaves the owner as it is.
type Access struct {
	Mode     fs.FileMode
	UID, GID int
}

// Plain is the access of a configuration that everybody may read.
var Plain = Access{Mode: 0o644, UID: -1, GID: -1}

// Like is the access of another file.
func Like(info fs.FileInfo) Access {
	a := Access{Mode: info.Mode().Perm(), UID: -1, GID: -1}
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		a.UID, a.GID = int(s.Uid), int(s.Gid)
	}
	return a
}

// ErrSame says that a file has the content already.
var ErrSame = errors.New("the file has this content already")

// WriteFile writes a file whole or not at all. One that is there already is
// replaced only if that is wanted, and is kept beside it under the name that is
// returned; otherwise the error is [fs.ErrExist].
func WriteFile(path string, data []byte, a Access, replace bool) (backup string, err error) {
	if replace {
		// The file that a link leads to is replaced, not the link.
		if real, err := filepath.EvalSymlinks(path); err == nil {
			path = real
		}
		if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, data) {
			return "", ErrSame
		}
	}
	temp, err := writeTemp(filepath.Dir(path), data, a)
	if err != nil {
		return "", err
	}
	defer os.Remove(temp)
	// Unlike rename(2), link(2) does not replace what is there.
	err = os.Link(temp, path)
	if !errors.Is(err, fs.ErrExist) || !replace {
		return "", plainLink(path, err)
	}
	if backup, err = keep(path); err != nil {
		return "", err
	}
	return backup, os.Rename(temp, path)
}

// plainLink is the error of a link without the name of the temporary file.
func plainLink(path string, err error) error {
	var link *os.LinkError
	if errors.As(err, &link) {
		return &fs.PathError{Op: "write", Path: path, Err: link.Err}
	}
	return err
}

func writeTemp(dir string, data []byte, a Access) (name string, err error) {
	f, err := os.CreateTemp(dir, ".polyclam-init-*")
	if err != nil {
		return "", err
	}
	defer func() {
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	if _, err := f.Write(data); err != nil {
		return "", err
	}
	// The owner first: chown(2) takes bits away.
	if a.UID != -1 || a.GID != -1 {
		if err := f.Chown(a.UID, a.GID); err != nil {
			return "", err
		}
	}
	if err := f.Chmod(a.Mode); err != nil {
		return "", err
	}
	return f.Name(), f.Sync()
}

// keep gives a file a second name, FILE.bak or FILE.bak2 and so on.
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
