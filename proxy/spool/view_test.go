package spool

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestView reads a client's file after the request that opened it has ended, and after the
// request has released the object.
func TestView(t *testing.T) {
	s := newSpool(t, Config{Memory: 16 << 10, Total: 8 << 20})
	name := filepath.Join(t.TempDir(), "file")
	want := random(1 << 20)
	if err := os.WriteFile(name, want, 0o600); err != nil {
		t.Fatal(err)
	}
	f := adopted(t, name, unix.O_RDONLY)
	if f.Foreign() {
		f.Close()
		t.Skip("the temporary directory is on a foreign file system")
	}
	uncache := func() { // so that reading uses a context
		f.File().Sync()
		unix.Fadvise(int(f.File().Fd()), 0, 0, unix.FADV_DONTNEED)
	}
	request, end := context.WithCancel(t.Context())
	o, err := s.Open(request, f, 0)
	if err != nil {
		t.Fatal(err)
	}
	later, stop := context.WithCancel(t.Context())
	released := 0
	v := NewView(later, o, func() { released++ })
	end()
	uncache()
	if _, err := o.ReadAt(make([]byte, 100), 0); err == nil {
		t.Log("the kernel still has the file in its cache: this test proves little here")
	}
	o.Release()
	uncache()
	got := make([]byte, len(want))
	if n, err := v.ReadAt(got, 0); n != len(want) || err != nil || string(got) != string(want) {
		t.Errorf("%d bytes, %v", n, err)
	}
	uncache()
	path, err := v.Path()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != string(want) {
		t.Errorf("the copy has %d bytes, %v", len(got), err)
	}
	v.Retain()
	v.Release()
	if released != 0 || s.Stats().Objects != 1 {
		t.Errorf("released %d times with a reference left, %d objects", released, s.Stats().Objects)
	}
	stop()
	v.Release()
	v.Release() // once too often
	if released != 1 {
		t.Errorf("released %d times", released)
	}
	if _, err := v.ReadAt(got, 0); err != ErrReleased {
		t.Errorf("a read after the release: %v", err)
	}
	checkEmpty(t, s)
}

// TestViewSpooled views a stream, with a name.
func TestViewSpooled(t *testing.T) {
	s := newSpool(t, Config{Memory: 16 << 10, Total: 1 << 20})
	w := s.Create(t.Context())
	if _, err := io.WriteString(w, "some object"); err != nil {
		t.Fatal(err)
	}
	o, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	o.SetPath("/a/name")
	v := NewView(t.Context(), o, func() {})
	o.Release()
	if o.Spooled() != o.Size() || v.Name() != "name" || v.Size() != 11 {
		t.Errorf("%d bytes spooled, name %q, size %d", o.Spooled(), v.Name(), v.Size())
	}
	got := make([]byte, 11)
	if _, err := v.ReadAt(got, 0); err != nil || string(got) != "some object" {
		t.Errorf("%q, %v", got, err)
	}
	if f, err := v.File(); err != nil || f == nil {
		t.Errorf("File: %v", err)
	}
	v.Release()
	checkEmpty(t, s)
}
