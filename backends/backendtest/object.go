// Package backendtest tests backends: a conformance suite that every backend
// must pass ([Run]), contents to scan, a scripted [Fake] backend, a scripted
// daemon for the fakes of engine protocols ([Daemon]), and leak checks
// ([NoLeaks]).
//
// It is meant for tests and imports the standard library only.
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

// Object is a [backends.Object] of bytes in memory. File and Path make a file
// on first use; it goes when the test ends.
type Object struct {
	data []byte
	tb   testing.TB

	mu   sync.Mutex
	file *os.File
}

// Bytes makes a content of data, which must not change any more. It lives as
// long as the test.
func Bytes(tb testing.TB, data []byte) *Object { return &Object{data: data, tb: tb} }

// CleanObject is a short text that no engine dislikes.
func CleanObject(tb testing.TB) *Object {
	return Bytes(tb, []byte("Nothing to see here, move along.\n"))
}

// LargeObject has size bytes that no engine dislikes, and that do not
// compress to nothing.
func LargeObject(tb testing.TB, size int) *Object {
	data := make([]byte, size)
	x := uint32(1)
	for i := range data {
		// A linear congruential generator (Numerical Recipes) in letters only, so
		// that no magic number appears by chance.
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

// Data returns the bytes of the content, not to be changed.
func (o *Object) Data() []byte { return o.data }

// File implements [backends.Object].
func (o *Object) File() (*os.File, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.file != nil {
		return o.file, nil
	}
	f, err := os.Create(filepath.Join(o.tb.TempDir(), "content"))
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
