// Package backendtest tests backends: a conformance suite that every backend must pass
// ([Run], [RunRules]), objects to scan, a scripted [Fake] backend, a scripted daemon for
// fake engines ([Daemon]), and leak checks ([NoLeaks]). It is only for tests.
package backendtest

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"polyclam/backends"
)

// Object is a [backends.Object] of bytes in memory. File and Path create a file on first
// use, which is removed when the test ends.
type Object struct {
	data []byte
	tb   testing.TB

	mu   sync.Mutex
	file *os.File
}

// Bytes returns an object with the bytes of data, which must not change afterwards. It is
// valid until the test ends.
func Bytes(tb testing.TB, data []byte) *Object { return &Object{data: data, tb: tb} }

// CleanObject returns a short text that every engine finds clean.
func CleanObject(tb testing.TB) *Object {
	return Bytes(tb, []byte("Nothing to see here, move along.\n"))
}

// LargeObject returns an object of size bytes that every engine finds clean and that
// does not compress well.
func LargeObject(tb testing.TB, size int) *Object {
	data := make([]byte, size)
	x := uint32(1)
	for i := range data {
		// A linear congruential generator (Numerical Recipes), but only letters, so
		// that no magic number of a file format appears by chance.
		x = x*1664525 + 1013904223
		data[i] = 'a' + byte(x>>24)%26
	}
	return Bytes(tb, data)
}

// ReadAt implements [io.ReaderAt].
func (o *Object) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("offset %d is negative", off)
	}
	if off >= int64(len(o.data)) {
		return 0, io.EOF
	}
	n := copy(p, o.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Size implements [backends.Object].
func (o *Object) Size() int64 { return int64(len(o.data)) }

// Data returns the bytes of the object, which must not be changed.
func (o *Object) Data() []byte { return o.data }

// File implements [backends.Object].
func (o *Object) File() (*os.File, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.file != nil {
		return o.file, nil
	}
	f, err := os.Create(filepath.Join(o.tb.TempDir(), "object"))
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(f, bytes.NewReader(o.data)); err != nil {
		f.Close()
		return nil, err
	}
	o.tb.Cleanup(func() { f.Close() })
	o.file = f
	return f, nil
}

// Path implements [backends.Object].
func (o *Object) Path() (string, error) {
	f, err := o.File()
	if err != nil {
		return "", err
	}
	return f.Name(), nil
}

var _ backends.Object = (*Object)(nil)

// RealPath returns the path of an object without symbolic links, as backends send it.
func RealPath(tb testing.TB, o backends.Object) string {
	tb.Helper()
	path, err := o.Path()
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return path
}

// AtPath returns an object whose Path is path. If path is empty, it has none.
func AtPath(o backends.Object, path string) backends.Object { return atPath{o, path} }

type atPath struct {
	backends.Object
	path string
}

func (o atPath) Path() (string, error) {
	if o.path == "" {
		return "", os.ErrNotExist
	}
	return o.path, nil
}

// WithName returns a [backends.Named] object.
func WithName(o backends.Object, name string) backends.Object { return withName{o, name} }

type withName struct {
	backends.Object
	name string
}

func (o withName) Name() string { return o.name }

// Short returns an object that claims to be a byte longer than it is.
func Short(o backends.Object) backends.Object { return short{o} }

type short struct{ backends.Object }

func (o short) Size() int64 { return o.Object.Size() + 1 }
