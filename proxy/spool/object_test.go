package spool

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"polyclam/test/testkit"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

func TestReadAt(t *testing.T) {
	s := newSpool(t, Config{Memory: 64 << 10})
	small, large := []byte("0123456789"), random(100<<10)
	for _, want := range [][]byte{small, large} {
		o := spooled(t, s, want)
		end := int64(len(want))
		for _, tt := range []struct {
			name string
			off  int64
			len  int
			n    int
			err  error
		}{
			{"start", 0, 4, 4, nil},
			{"middle", 3, 4, 4, nil},
			{"up to the end", end - 4, 4, 4, nil},
			{"past the end", end - 4, 5, 4, io.EOF},
			{"at the end", end, 1, 0, io.EOF},
			{"after the end", end + 100, 1, 0, io.EOF},
			{"nothing", 3, 0, 0, nil},
		} {
			p := make([]byte, tt.len)
			n, err := o.ReadAt(p, tt.off)
			if n != tt.n || err != tt.err || n > 0 && !bytes.Equal(p[:n], want[tt.off:][:n]) {
				t.Errorf("%s: %d %q %v, want %d, %v", tt.name, n, p[:n], err, tt.n, tt.err)
			}
		}
		if n, err := o.ReadAt(make([]byte, 1), -1); n != 0 || err == nil || err == io.EOF {
			t.Errorf("negative offset: %d, %v", n, err)
		}
		o.Release()
	}
}

// TestReleased uses objects of every kind after their last Release.
func TestReleased(t *testing.T) {
	s := newSpool(t, Config{Memory: 16 << 10})
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, random(1000), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		o    *Object
	}{
		{"memory", spooled(t, s, random(1000))},
		{"file", spooled(t, s, random(100<<10))},
		{"constant", s.Bytes(random(1000))},
		{"opened", opened(t, s, name)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := tt.o
			o.Retain()
			f, err := o.File()
			if err != nil {
				t.Fatal(err)
			}
			path, err := o.Path()
			if err != nil {
				t.Fatal(err)
			}
			o.Release()
			if _, err := os.Stat(path); err != nil {
				t.Error("removed before the last Release:", err)
			}
			checkBytes(t, o, random(int(o.Size())))
			o.Release()
			if _, err := os.Stat(path); !os.IsNotExist(err) {
				t.Errorf("named file after Release: %v", err)
			}
			if _, err := f.ReadAt(make([]byte, 1), 0); !errors.Is(err, os.ErrClosed) {
				t.Errorf("descriptor after Release: %v", err)
			}
			o.Retain() // must not bring it back
			o.Release()
			o.Release()
			_, err = o.ReadAt(make([]byte, 1), 0)
			checkIs(t, err, ErrReleased)
			_, err = o.File()
			checkIs(t, err, ErrReleased)
			_, err = o.Path()
			checkIs(t, err, ErrReleased)
			_, err = o.SHA256(t.Context())
			checkIs(t, err, ErrReleased)
		})
	}
	checkEmpty(t, s)
}

// TestReleaseRace reads objects while they are released and their memory is reused: a reader
// gets the right bytes or ErrReleased.
func TestReleaseRace(t *testing.T) {
	for _, store := range stores {
		s := newSpool(t, Config{Memory: 16 << 10, Store: store})
		for i := range 60 {
			size := 3000
			if i%3 == 0 {
				size = 20 << 10
			}
			releaseRace(t, s, bytes.Repeat([]byte{byte(i)}, size))
		}
		testkit.Eventually(t, "everything is freed", func() bool { return s.Stats().Used == 0 })
	}
}

func releaseRace(t *testing.T, s *Spool, want []byte) {
	o := spooled(t, s, want)
	var wg sync.WaitGroup
	defer wg.Wait()
	for j := range 4 {
		wg.Go(func() {
			buf := make([]byte, len(want))
			for {
				n, err := o.ReadAt(buf, 0)
				if errors.Is(err, ErrReleased) {
					return
				}
				if n != len(want) || !bytes.Equal(buf, want) {
					t.Errorf("read %d bytes, error %v, of another object: %v", n, err, !bytes.Equal(buf[:n], want[:n]))
					return
				}
				switch j {
				case 0:
					_, err = o.File()
				case 1:
					_, err = o.Path()
				case 2:
					_, err = o.SHA256(t.Context())
				}
				if err != nil && !errors.Is(err, ErrReleased) {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Go(func() { spooled(t, s, bytes.Repeat([]byte{0xff}, len(want))).Release() })
	o.Retain()
	wg.Go(o.Release)
	wg.Go(o.Release)
}

// TestFileCannotBeChanged has an engine try to write to its descriptor.
func TestFileCannotBeChanged(t *testing.T) {
	for _, store := range stores {
		s := newSpool(t, Config{Memory: 16 << 10, Store: store})
		for _, size := range []int{0, 1000, 100 << 10} {
			want := random(size)
			o := spooled(t, s, want)
			f, err := o.File()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteAt([]byte("x"), 0); err == nil {
				t.Errorf("%s, %d bytes: written to", store, size)
			}
			if err := f.Truncate(int64(size) + 1); err == nil {
				t.Errorf("%s, %d bytes: extended", store, size)
			}
			if err := f.Truncate(0); err == nil && size > 0 {
				t.Errorf("%s, %d bytes: truncated", store, size)
			}
			if store == Memfd { // sealed: not even through a new descriptor
				name := "/proc/self/fd/" + strconv.Itoa(int(f.Fd()))
				if again, err := os.OpenFile(name, os.O_RDWR, 0); err == nil {
					if _, err := again.WriteAt([]byte("x"), 0); !errors.Is(err, unix.EPERM) {
						t.Errorf("written through a new descriptor: %v", err)
					}
					again.Close()
				}
			}
			if again, err := o.File(); again != f || err != nil {
				t.Errorf("second File: %v, %v", again, err)
			}
			checkBytes(t, f, want)
			o.Release()
		}
	}
}

// TestBytesAreNotPooled checks that constant bytes never become a free segment, even if they
// have the size of one.
func TestBytesAreNotPooled(t *testing.T) {
	s := newSpool(t, Config{Memory: 64 << 10})
	b := random(4 << 10)
	s.Bytes(b).Release()
	o := spooled(t, s, bytes.Repeat([]byte("x"), 4<<10))
	defer o.Release()
	if !bytes.Equal(b, random(4<<10)) || strings.HasPrefix(string(b), "xxx") {
		t.Error("the bytes were changed")
	}
}
