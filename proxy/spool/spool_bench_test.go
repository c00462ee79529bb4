package spool

import (
	"fmt"
	"os"
	"testing"
)

// benchDir is where Tmpfile is measured. The environment can set it, to compare file systems.
func benchDir(b *testing.B) string {
	if dir := os.Getenv("POLYCLAM_SPOOL_BENCH"); dir != "" {
		return dir
	}
	return b.TempDir()
}

// BenchmarkSpool receives an object in pieces of 128 KiB, reads it once as an engine does, and
// releases it. With "descriptor" the engine gets the file instead.
func BenchmarkSpool(b *testing.B) {
	data := make([]byte, 25<<20)
	for _, size := range []int{1 << 10, 10 << 10, 100 << 10, 1 << 20, 25 << 20} {
		for _, way := range []struct {
			name   string
			store  Store
			memory int64
			file   bool
		}{
			{"memory", Memfd, 32 << 20, false},
			{"memfd", Memfd, 0, false},
			{"tmpfile", Tmpfile, 0, false},
			{"memory+descriptor", Memfd, 32 << 20, true},
			{"memfd+descriptor", Memfd, 0, true},
			{"tmpfile+descriptor", Tmpfile, 0, true},
		} {
			b.Run(fmt.Sprintf("%dk/%s", size>>10, way.name), func(b *testing.B) {
				s, err := New(Config{Memory: way.memory, Store: way.store, Dir: benchDir(b)})
				if err != nil {
					b.Fatal(err)
				}
				defer s.Close()
				b.SetBytes(int64(size))
				b.ReportAllocs()
				buf := make([]byte, 128<<10)
				for b.Loop() {
					benchObject(b, s, data[:size], buf, way.file)
				}
			})
		}
	}
}

func benchObject(b *testing.B, s *Spool, data, buf []byte, file bool) {
	w := s.Create(b.Context())
	defer w.Abort()
	for len(data) > 0 {
		n := min(len(data), len(buf))
		if _, err := w.Write(data[:n]); err != nil {
			b.Fatal(err)
		}
		data = data[n:]
	}
	o, err := w.Finish()
	if err != nil {
		b.Fatal(err)
	}
	defer o.Release()
	if file {
		if _, err := o.File(); err != nil {
			b.Fatal(err)
		}
		return
	}
	for off := int64(0); off < o.Size(); {
		n, err := o.ReadAt(buf, off)
		if n == 0 {
			b.Fatal(err)
		}
		off += int64(n)
	}
}

// BenchmarkSeal measures the cost of protecting files against engines, compared with creating
// them.
func BenchmarkSeal(b *testing.B) {
	for _, store := range stores {
		for _, sealed := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/%v", store, sealed), func(b *testing.B) {
				s, err := New(Config{Store: store, Dir: benchDir(b)})
				if err != nil {
					b.Fatal(err)
				}
				defer s.Close()
				data := make([]byte, 100<<10)
				for b.Loop() {
					f, err := s.set.anonymous()
					if err != nil {
						b.Fatal(err)
					}
					f.Write(data)
					if sealed {
						if f, err = s.set.seal(f); err != nil {
							b.Fatal(err)
						}
					}
					f.Close()
				}
			})
		}
	}
}
