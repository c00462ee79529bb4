package logbuf

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

var benchLine = []byte(strings.Repeat("x", 349) + "\n")

// BenchmarkLine compares a line of 350 bytes written directly and through the
// buffer. cpu-ns is the processor time of all threads.
func BenchmarkLine(b *testing.B) {
	for _, place := range []string{"file", "pipe"} {
		for _, pace := range []struct {
			name string
			gap  time.Duration
		}{{"busy", 0}, {"calm", 200 * time.Microsecond}} {
			for _, how := range []string{"direct", "buffer"} {
				b.Run(place+"/"+pace.name+"/"+how, func(b *testing.B) {
					f := benchFile(b, place)
					var w io.Writer = f
					settle := func() {}
					if how == "buffer" {
						buffer := New(f, 1<<20, func(int) []byte { return nil })
						defer buffer.Close(time.Minute)
						w, settle = buffer, func() { written(buffer) }
					}
					before := cpu(b)
					for n := 0; b.Loop(); n++ {
						w.Write(benchLine)
						if n%1000 == 0 {
							settle() // or most lines would be dropped
						}
						if pace.gap > 0 {
							time.Sleep(pace.gap)
						}
					}
					settle()
					b.ReportMetric(float64(cpu(b)-before)/float64(b.N), "cpu-ns/op")
				})
			}
		}
	}
}

func benchFile(b *testing.B, place string) *os.File {
	b.Helper()
	if place == "file" {
		f, err := os.OpenFile(filepath.Join(b.TempDir(), "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { f.Close() })
		return f
	}
	r, w, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	go io.Copy(io.Discard, r)
	b.Cleanup(func() { w.Close() })
	// Like stderr, in blocking mode.
	fd, err := syscall.Dup(int(w.Fd()))
	if err != nil {
		b.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "stderr")
	b.Cleanup(func() { f.Close() })
	return f
}

func cpu(b *testing.B) int64 {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return usage.Utime.Nano() + usage.Stime.Nano()
}
