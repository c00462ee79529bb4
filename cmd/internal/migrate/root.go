package migrate

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// root is the directory to inspect as if it were "/": this machine's root or an image's.
// All paths are relative to it. Symbolic links never lead out of it.
type root struct{ dir string }

// host returns the host path of a resolved path below the root.
func (r root) host(path string) string { return filepath.Join(r.dir, path) }

// own reports whether the root is this machine's.
func (r root) own() bool { return r.dir == "" || filepath.Clean(r.dir) == "/" }

const maxLinks = 40 // like the kernel

// resolve returns path without symbolic links.
func (r root) resolve(path string) (string, error) {
	todo := parts(path)
	done, links := "/", 0
	for len(todo) > 0 {
		next := filepath.Join(done, todo[0])
		todo = todo[1:]
		info, err := os.Lstat(r.host(next))
		if err != nil {
			return "", plainError(err)
		}
		if info.Mode().Type() != fs.ModeSymlink {
			done = next
			continue
		}
		if links++; links > maxLinks {
			return "", syscall.ELOOP
		}
		target, err := os.Readlink(r.host(next))
		if err != nil {
			return "", plainError(err)
		}
		if filepath.IsAbs(target) {
			done = "/"
		}
		todo = slices.Concat(parts(target), todo)
	}
	return done, nil
}

// parts splits a path, and drops "." and empty parts. It leaves ".." to filepath.Join,
// which does not go above "/".
func parts(path string) []string {
	return slices.DeleteFunc(strings.Split(path, "/"), func(s string) bool { return s == "" || s == "." })
}

// plainError strips the host path from an error of package os.
func plainError(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}

// maxFile is the largest file that read accepts.
const maxFile = 1 << 20

// read returns the text of a regular file, and its resolved path.
func (r root) read(path string) (data []byte, real string, err error) {
	if real, err = r.resolve(path); err != nil {
		return nil, "", err
	}
	// Without O_NONBLOCK, opening a FIFO would block.
	f, err := os.OpenFile(r.host(real), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, real, plainError(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, real, plainError(err)
	}
	if !info.Mode().IsRegular() {
		return nil, real, errors.New("not a regular file")
	}
	data, err = io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, real, plainError(err)
	}
	if len(data) > maxFile {
		return nil, real, fmt.Errorf("larger than %d bytes", maxFile)
	}
	return data, real, nil
}

// exists reports whether path exists. It follows symbolic links.
func (r root) exists(path string) bool {
	_, err := r.resolve(path)
	return err == nil
}

// mode returns the mode of path, and false if it does not exist. It follows symbolic
// links.
func (r root) mode(path string) (fs.FileMode, bool) {
	real, err := r.resolve(path)
	if err != nil {
		return 0, false
	}
	info, err := os.Lstat(r.host(real))
	if err != nil {
		return 0, false
	}
	return info.Mode(), true
}

// list returns the sorted paths in a directory that end in suffix.
func (r root) list(dir, suffix string) []string {
	real, err := r.resolve(dir)
	if err != nil {
		return nil
	}
	entries, err := os.ReadDir(r.host(real))
	if err != nil {
		return nil
	}
	var paths []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), suffix) && !strings.HasPrefix(e.Name(), ".") {
			paths = append(paths, filepath.Join(dir, e.Name()))
		}
	}
	return paths
}

// short replaces /var/run in path with /run, if it is a link to /run.
func (r root) short(path string) string {
	rest, ok := strings.CutPrefix(path, "/var/run/")
	if !ok {
		return path
	}
	if real, err := r.resolve("/var/run"); err != nil || real != "/run" {
		return path
	}
	return "/run/" + rest
}
