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

// root is the directory that is looked at as if it were "/": the machine's own,
// or an image's. All paths are as they are called below it; links are followed
// below it too, never out of it.
type root struct{ dir string }

// host is where a path below the root is on this machine. Links in it must have
// been resolved.
func (r root) host(path string) string { return filepath.Join(r.dir, path) }

// own reports whether the root is that of this machine.
func (r root) own() bool { return r.dir == "" || filepath.Clean(r.dir) == "/" }

const maxLinks = 40 // as the kernel's

// resolve follows all links of path.
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

// parts splits a path; "." and "" are left out, ".." is Join's business, which
// does not go above "/".
func parts(path string) []string {
	return slices.DeleteFunc(strings.Split(path, "/"), func(s string) bool { return s == "" || s == "." })
}

// plainError is an error of package os without the path of this machine.
func plainError(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}

// maxFile is the size of the largest file that is read.
const maxFile = 1 << 20

// read returns the content of a regular file, and where it really is.
func (r root) read(path string) (data []byte, real string, err error) {
	if real, err = r.resolve(path); err != nil {
		return nil, "", err
	}
	// Without O_NONBLOCK a FIFO of that name would hold us up.
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

// exists reports whether there is something at path, links followed.
func (r root) exists(path string) bool {
	_, err := r.resolve(path)
	return err == nil
}

// mode returns what is at path, links followed; 0 and false if there is nothing.
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

// list returns the files of a directory whose names have the suffix, sorted.
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

// short is path without the old name of /run, if that is only another name.
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
