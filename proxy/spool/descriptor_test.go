package spool

import (
	"os"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// TestDescriptor checks that Descriptor and File share one lent descriptor, which cannot
// write, and that the last Release closes it, whichever was called first.
func TestDescriptor(t *testing.T) {
	for _, c := range []struct {
		name        string
		size        int
		sealed      bool // the memory cannot be opened again
		first, then bool // File is called before, after
	}{
		{name: "in memory", size: 1000},
		{name: "large", size: 1 << 20},
		{name: "file first", size: 1000, first: true},
		{name: "file afterwards", size: 1 << 20, then: true},
		{name: "sealed", size: 1 << 20, sealed: true},
		{name: "sealed, file afterwards", size: 1 << 20, sealed: true, then: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newKeeping(t, 0) // checks that no descriptor is left
			want := pattern(1, c.size)
			o := spooled(t, s, want)
			if c.sealed {
				o.mem.name = []byte("none\x00")
			}
			file := -1
			open := func() {
				f, err := o.File()
				if err != nil {
					t.Fatal(err)
				}
				file = int(f.Fd())
			}
			if c.first {
				open()
			}
			fd, ok, err := o.Descriptor()
			if err != nil || !ok {
				t.Fatalf("Descriptor: %v, %v", ok, err)
			}
			if c.then {
				open()
			}
			if (c.first || c.then) && file != fd {
				t.Errorf("File has descriptor %d, and Descriptor %d", file, fd)
			}
			if got, err := os.ReadFile("/proc/self/fd/" + strconv.Itoa(fd)); err != nil || string(got) != string(want) {
				t.Errorf("read %d bytes, %v", len(got), err)
			}
			if _, err := unix.Pwrite(fd, []byte("x"), 0); err == nil {
				t.Error("the descriptor can write")
			}
			o.Release()
			if _, _, err := o.Descriptor(); err != ErrReleased {
				t.Errorf("after the last Release: %v", err)
			}
		})
	}
}

// TestSealedIsClosedOnce checks that a memory that lends its own descriptor keeps it: its
// number may belong to another file by the time the memory closes it.
func TestSealedIsClosedOnce(t *testing.T) {
	m, err := newMemory(unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING)
	if err != nil {
		t.Fatal(err)
	}
	defer m.close()
	m.name = []byte("none\x00")
	fd, err := m.lendOrSeal()
	if err != nil {
		t.Fatal(err)
	}
	m.unlend(fd)
	if _, err := m.f.Stat(); err != nil {
		t.Error(err)
	}
	if f := m.lentFile(fd); f != m.f {
		t.Error("two files own one descriptor")
	}
}

// TestNoDescriptor checks that objects without a lent descriptor refer to File.
func TestNoDescriptor(t *testing.T) {
	s, err := New(Config{Memory: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	o := spooled(t, s, pattern(1, 1000))
	defer o.Release()
	if _, ok, err := o.Descriptor(); ok || err != nil {
		t.Errorf("got %v, %v", ok, err)
	}
}
