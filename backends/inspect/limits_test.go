package inspect

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"testing"

	"polyclam/backends"
	"polyclam/backends/inspect/internal/build"
)

const exceeded = "Heuristics.Limits.Exceeded."

func TestMaxDepth(t *testing.T) {
	one := build.Zip(t, build.Locked("x"))
	for _, stored := range []bool{true, false} {
		b := open(t, func(c *Config) { c.MaxDepth = 3 })
		wantFinding(t, scan(t, b, build.Nest(t, one, 2, stored)), backends.Encrypted, encryptedZip)
		wantFinding(t, scan(t, b, build.Nest(t, one, 3, stored)), backends.Partial, exceeded+"MaxDepth")
		wantFinding(t, scan(t, b, build.Nest(t, one, 7, stored)), backends.Partial, exceeded+"MaxDepth")
		both := build.Zip(t, build.Inner("deep.zip", build.Nest(t, one, 3, stored), stored), build.Inner("flat.zip", one, stored))
		wantFinding(t, scan(t, b, both), backends.Encrypted, encryptedZip, exceeded+"MaxDepth")
	}
	wantFinding(t, scan(t, open(t, nil), build.Nest(t, one, 7, false)), backends.Encrypted, encryptedZip)
	wantFinding(t, scan(t, open(t, nil), build.Nest(t, one, 8, false)), backends.Partial, exceeded+"MaxDepth")
}

func TestMaxMembers(t *testing.T) {
	b := open(t, func(c *Config) { c.MaxMembers = 10 })
	wantFinding(t, scan(t, b, build.Zip(t, build.ManyMembers(10)...)), backends.OK, "")
	wantFinding(t, scan(t, b, build.Zip(t, build.ManyMembers(11)...)), backends.Partial, exceeded+"MaxMembers")
	// The flags are checked first.
	wantFinding(t, scan(t, b, build.Zip(t, append(build.ManyMembers(20), build.Locked("x"))...)), backends.Encrypted, encryptedZip)
	// The budget covers the whole object.
	half := build.Zip(t, build.ManyMembers(6)...)
	wantFinding(t, scan(t, b, build.Zip(t, build.Inner("a.zip", half, false), build.Inner("b.zip", half, true))), backends.Partial, exceeded+"MaxMembers")
}

// bomb returns a deflated member that unpacks to size bytes and begins like an archive.
func bomb(tb testing.TB, size int, declared uint64) build.File {
	tb.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		tb.Fatal(err)
	}
	w.Write([]byte(build.ZipLocal))
	zeros := make([]byte, 1<<20)
	for range size >> 20 {
		w.Write(zeros)
	}
	w.Close()
	return build.File{Name: "bomb.zip", Raw: true, Method: 8, Data: b.Bytes(), Unpacked: declared}
}

func TestMaxBytes(t *testing.T) {
	b := open(t, func(c *Config) { c.MaxBytes = 4 << 20 })
	one := build.Zip(t, build.Locked("x"))
	for name, declared := range map[string]uint64{"honest": 8 << 20, "lying": 0} {
		r := scan(t, b, build.Zip(t, bomb(t, 8<<20, declared)))
		if wantFinding(t, r, backends.Partial, exceeded+"MaxBytes"); t.Failed() {
			t.Log(name)
		}
	}
	// A member with an honest size does not use up the budget.
	r := scan(t, b, build.Zip(t, bomb(t, 8<<20, 8<<20), build.Inner("x.zip", one, false)))
	wantFinding(t, r, backends.Encrypted, encryptedZip, exceeded+"MaxBytes")
	// Only containers are unpacked.
	text := build.File{Name: "text", Data: make([]byte, 16<<20)}
	wantFinding(t, scan(t, b, build.Zip(t, text)), backends.OK, "")
}

// TestOverlap scans an archive in which 3000 directory records point to the same nested
// archive.
func TestOverlap(t *testing.T) {
	big := build.Zip(t, build.File{Name: "big", Data: make([]byte, 100), Stored: true}, build.File{Name: "z", Data: make([]byte, 64<<10), Stored: true})
	data := build.Zip(t, build.Inner("x.zip", big, false))
	directory := bytes.Index(data, []byte(build.ZipCentral))
	end := bytes.LastIndex(data, []byte(build.ZipEnd))
	record := data[directory:end]
	many := append(bytes.Clone(data[:directory]), bytes.Repeat(record, 3000)...)
	tail := bytes.Clone(data[end:])
	binary.LittleEndian.PutUint32(tail[12:], uint32(3000*len(record)))
	r := scan(t, open(t, nil), append(many, tail...))
	wantFinding(t, r, backends.Partial, exceeded+"MaxBytes")
}

// TestMaxTime scans with no time at all.
func TestMaxTime(t *testing.T) {
	b := open(t, nil)
	b.config.MaxTime = 0
	wantFinding(t, scan(t, b, build.Zip(t, build.Locked("x"))), backends.Partial, exceeded+"MaxTime")
	// A context that ended on its own is not a limit.
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errEnough)
	if _, err := b.Scan(ctx, nil); !errors.Is(err, errEnough) {
		t.Error(err)
	}
}

// TestMemory checks how much memory hostile archives make inspect allocate.
func TestMemory(t *testing.T) {
	headers := bytes.Repeat([]byte(build.ZipCentral+string(make([]byte, 42))), 200_000)
	for _, c := range []struct {
		name string
		data []byte
		most uint64
	}{
		{"65536 members", build.Zip(t, make65k()...), 16 << 20},
		{"directory of 9 MB", append(headers, build.ZipEnd+string(make([]byte, 8))+le32(len(headers))+le32(0)+"\x00\x00"...), 1 << 20},
		{"bomb", build.Zip(t, bomb(t, 24<<20, 0)), 6 << 20},
		{"not an archive", make([]byte, 20<<20), 1 << 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := open(t, func(c *Config) { c.MaxBytes = 4 << 20; c.MaxMembers = 100_000 })
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			r := scan(t, b, c.data)
			runtime.ReadMemStats(&after)
			if got := after.TotalAlloc - before.TotalAlloc; got > c.most {
				t.Errorf("%d bytes allocated, want %d at most; %v", got, c.most, r)
			}
		})
	}
}

func le32(n int) string { return string(binary.LittleEndian.AppendUint32(nil, uint32(n))) }

func BenchmarkInspectZip(b *testing.B) {
	backend := open(b, nil)
	for _, members := range []int{50, 5000} {
		data := build.Zip(b, build.ManyMembers(members)...)
		b.Run(fmt.Sprintf("%dKB", len(data)/1000), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				scan(b, backend, data)
			}
		})
	}
	large := build.Zip(b, build.Inner("a.zip", build.Zip(b, build.File{Name: "x", Data: bytes.Repeat([]byte("random enough"), 80_000), Stored: true}), true))
	b.Run("1MB nested", func(b *testing.B) {
		for b.Loop() {
			scan(b, backend, large)
		}
	})
}
