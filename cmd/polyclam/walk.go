package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	proxyfiles "polyclam/proxy/files"
)

// object is something to scan, or that cannot be scanned.
type object struct {
	name  string // as given on the command line, or below a directory given there
	stdin bool
	// found reports whether it was found below a directory: links are not followed.
	found bool
	err   error // why it cannot be scanned
}

// walker turns the arguments of the command line into objects.
type walker struct {
	emit    func(object) error // an error ends the walk
	skipped skipped
}

// skipped counts what was found below directories but is not scanned.
type skipped struct {
	Links   int64 `json:"links"`   // symbolic links
	Special int64 `json:"special"` // sockets, pipes, devices
	Mounts  int64 `json:"mounts"`  // directories of kernel file systems, such as /proc
}

func (s skipped) total() int64 { return s.Links + s.Special + s.Mounts }

// argument emits the objects that an argument names. It follows a link that is the argument
// itself, but none below.
func (w *walker) argument(name string) error {
	if name == "-" {
		return w.emit(object{name: name, stdin: true})
	}
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return w.emit(object{name: name, err: err})
	case info.IsDir():
		return w.directory(name)
	case !info.Mode().IsRegular():
		return w.emit(object{name: name, err: notRegular(info.Mode())})
	}
	return w.emit(object{name: name})
}

// directory emits all files below name, in the order of their names.
func (w *walker) directory(name string) error {
	root := name
	if info, err := os.Lstat(name); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		root += "/" // WalkDir does not follow it otherwise
	}
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil: // the readable part of a directory is still walked
			return w.emit(object{name: path, found: true, err: err})
		case d.IsDir() && proxyfiles.OnKernelFS(path):
			return w.skipKernelFS(path, path == root)
		case d.IsDir():
			return nil
		case d.Type()&fs.ModeSymlink != 0:
			w.skipped.Links++
			return nil
		case !d.Type().IsRegular():
			w.skipped.Special++
			return nil
		}
		return w.emit(object{name: path, found: true})
	})
}

// skipKernelFS skips a directory of a kernel file system. If it is an argument, that is an error.
func (w *walker) skipKernelFS(path string, asked bool) error {
	if !asked {
		w.skipped.Mounts++
		return filepath.SkipDir
	}
	if err := w.emit(object{name: path, err: errKernelFS}); err != nil {
		return err
	}
	return filepath.SkipDir
}

var (
	errKernelFS = errors.New("a kernel file system, which is not scanned; name a file in it to scan that file")
	errChanged  = errors.New("not a file any more: it was replaced while the directory was read")
)

// open opens the file of an object. It never blocks, even if something else has replaced the
// file since it was found.
func (o object) open() (*os.File, int64, error) {
	flags := os.O_RDONLY | unix.O_NONBLOCK | unix.O_NOCTTY
	if o.found {
		flags |= unix.O_NOFOLLOW
	}
	f, err := os.OpenFile(o.name, flags, 0)
	if err != nil {
		if o.found && errors.Is(err, unix.ELOOP) {
			err = errChanged
		}
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = notRegular(info.Mode())
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

func notRegular(mode fs.FileMode) error {
	kind := "special file"
	switch mode.Type() {
	case fs.ModeDir:
		kind = "directory"
	case fs.ModeNamedPipe:
		kind = "named pipe"
	case fs.ModeSocket:
		kind = "socket"
	case fs.ModeDevice, fs.ModeDevice | fs.ModeCharDevice:
		kind = "device"
	}
	return fmt.Errorf("a %s, not a regular file", kind)
}
