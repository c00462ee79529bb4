package files

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"polyclam/test/fusetest"
)

// BenchmarkAdopt adopts a descriptor, reads the file once and closes it. A foreign file is
// copied, as the spool does.
func BenchmarkAdopt(b *testing.B) {
	for _, size := range []int{1 << 10, 100 << 10, 1 << 20} {
		fs := fusetest.Mount(b, fusetest.File{Name: "f", Data: make([]byte, size)})
		disk := filepath.Join(b.TempDir(), "f")
		shm := filepath.Join("/dev/shm", fmt.Sprintf("polyclam-bench-%d", os.Getpid()))
		for _, path := range []string{disk, shm} {
			if err := os.WriteFile(path, make([]byte, size), 0o600); err != nil {
				b.Skip(err)
			}
		}
		defer os.Remove(shm)
		for _, where := range []struct{ name, path string }{{"memory", shm}, {"disk", disk}, {"fuse", fs.Path("f")}} {
			b.Run(fmt.Sprintf("%s/%dK", where.name, size>>10), func(b *testing.B) {
				p := NewPool(0)
				buf := make([]byte, 128<<10)
				b.ReportAllocs()
				for b.Loop() {
					fd, err := unix.Open(where.path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
					if err != nil {
						b.Fatal(err)
					}
					f, err := p.Adopt(b.Context(), fd)
					if err != nil {
						b.Fatal(err)
					}
					if err := readAll(b, f, buf); err != nil {
						b.Fatal(err)
					}
					f.Close()
				}
			})
		}
	}
}

func readAll(b *testing.B, f *File, buf []byte) error {
	if f.Foreign() {
		return f.Copy(b.Context(), io.Discard)
	}
	for off := int64(0); off < f.Size(); off += int64(len(buf)) {
		if _, err := f.ReadAt(b.Context(), buf, off); err != nil && err != io.EOF {
			return err
		}
	}
	return nil
}

// BenchmarkDo measures the cost of a thread of the pool.
func BenchmarkDo(b *testing.B) {
	p := NewPool(0)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Do(b.Context(), p, "", func() (int, error) { return 1, nil }, nil); err != nil {
			b.Fatal(err)
		}
	}
}
