package proxy

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// errOutside: the path is not below any of the configured scan_paths.
var errOutside = errors.New("outside of scan_paths")

// openPath opens the file or directory that a client named, without waiting (a FIFO
// would block) and without leaving the roots, if there are any. It is opened as the
// daemon sees it; the engines get the content, not the path.
func openPath(roots []string, path string) (*os.File, fs.FileInfo, error) {
	if path != "" && !filepath.IsAbs(path) {
		path = "/" + path // clamd's working directory as a daemon
	}
	if len(roots) == 0 {
		return openNamed(path, os.Stat, os.OpenFile)
	}
	clean := filepath.Clean(path)
	for _, dir := range roots {
		rel, err := filepath.Rel(dir, clean)
		if err != nil || !filepath.IsLocal(rel) {
			continue
		}
		root, err := os.OpenRoot(dir)
		if err != nil {
			return nil, nil, err
		}
		defer root.Close()
		f, info, err := openNamed(rel, root.Stat, root.OpenFile)
		if err != nil && !isErrno(err) {
			err = errOutside // os.Root refuses what would lead out, in words of its own
		}
		return f, info, err
	}
	return nil, nil, errOutside
}

// openNamed looks before it opens: opening some devices does something.
func openNamed(path string, stat func(string) (fs.FileInfo, error),
	open func(string, int, fs.FileMode) (*os.File, error)) (*os.File, fs.FileInfo, error) {
	info, err := stat(path)
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() && !info.IsDir() {
		return nil, info, nil
	}
	f, err := open(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, info, err
	}
	now, err := f.Stat()
	if err != nil || now.Mode().Type() != info.Mode().Type() {
		f.Close()
		return nil, info, err
	}
	return f, now, nil
}

// openEntry opens one entry of a directory without following a link, so that
// nothing that is swapped meanwhile leads elsewhere.
func openEntry(dir *os.File, name string) (*os.File, fs.FileInfo, error) {
	fd, err := openat(dir, name)
	if err != nil {
		return nil, nil, err
	}
	f := os.NewFile(uintptr(fd), name)
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

func openat(dir *os.File, name string) (int, error) {
	const flags = unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOFOLLOW | unix.O_NOCTTY | unix.O_CLOEXEC
	for {
		fd, err := unix.Openat(int(dir.Fd()), name, flags, 0)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// isGenerated reports whether f lives in a file system whose files are made up when
// they are read and tell no size: /proc and its like. clamd 1.4.6 answers OK for
// them without a look.
func isGenerated(f *os.File) bool {
	var st unix.Statfs_t
	if unix.Fstatfs(int(f.Fd()), &st) != nil {
		return false
	}
	switch int64(st.Type) {
	case unix.PROC_SUPER_MAGIC, unix.SYSFS_MAGIC, unix.DEBUGFS_MAGIC, unix.TRACEFS_MAGIC,
		unix.SECURITYFS_MAGIC, unix.CGROUP_SUPER_MAGIC, unix.CGROUP2_SUPER_MAGIC, unix.BPF_FS_MAGIC:
		return true
	}
	return false
}

func isErrno(err error) bool {
	var errno syscall.Errno
	return errors.As(err, &errno)
}

// pathError words why a path could not be opened, as clamd 1.4.6 does.
func pathError(err error, info fs.FileInfo) string {
	var errno syscall.Errno
	switch {
	case errors.Is(err, errOutside):
		return "Access denied. ERROR"
	case info != nil && !info.IsDir() && errors.Is(err, fs.ErrPermission):
		return "Access denied. ERROR"
	case info != nil && !info.IsDir():
		return "Can't open file or directory ERROR"
	case errors.As(err, &errno):
		return "File path check failure: " + strerror(errno) + ". ERROR"
	}
	return "File path check failure: Input/output error. ERROR"
}

// strerror is the C library's text of errno, which differs from Go's in its first
// letter.
func strerror(errno syscall.Errno) string {
	text := errno.Error()
	first, n := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + text[n:]
}

// trimPath makes of the path of a command the two forms that replies echo: the OK
// line keeps leading slashes as sent, every other line has one; trailing slashes are
// gone from both.
func trimPath(path string) (okPath, other string) {
	for len(path) > 1 && strings.HasSuffix(path, "/") {
		path = path[:len(path)-1]
	}
	other = path
	for strings.HasPrefix(other, "//") {
		other = other[1:]
	}
	return path, other
}

// notEOF is err, unless it only says that a directory has been read to its end.
func notEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
