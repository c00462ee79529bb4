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
)

const exceeded = "Heuristics.Limits.Exceeded."

func TestMaxDepth(t *testing.T) {
	one := makeZip(t, locked("x"))
	for _, stored := range []bool{true, false} {
		b := open(t, func(c *Config) { c.MaxDepth = 3 })
		wantFinding(t, scan(t, b, nest(t, one, 2, stored)), backends.Encrypted, encryptedZip)
		wantFinding(t, scan(t, b, nest(t, one, 3, stored)), backends.Partial, exceeded+"MaxDepth")
		wantFinding(t, scan(t, b, nest(t, one, 7, stored)), backends.Partial, exceeded+"MaxDepth")
		both := makeZip(t, inner("deep.zip", nest(t, one, 3, stored), stored), inner("flat.zip", one, stored))
		wantFinding(t, scan(t, b, both), backends.Encrypted, encryptedZip)
	}
	wantFinding(t, scan(t, open(t, nil), nest(t, one, 7, false)), backends.Encrypted, encryptedZip)
	wantFinding(t, scan(t, open(t, nil), nest(t, one, 8, false)), backends.Partial, exceeded+"MaxDepth")
}

func TestMaxMembers(t *testing.T) {
	b := open(t, func(c *Config) { c.MaxMembers = 10 })
	wantFinding(t, scan(t, b, makeZip(t, manyMembers(10)...)), backends.OK, "")
	wantFinding(t, scan(t, b, makeZip(t, manyMembers(11)...)), backends.Partial, exceeded+"MaxMembers")
	// The flags are looked at first.
	wantFinding(t, scan(t, b, makeZip(t, append(manyMembers(20), locked("x"))...)), backends.Encrypted, encryptedZip)
	// The budget is for the whole content.
	half := makeZip(t, manyMembers(6)...)
	wantFinding(t, scan(t, b, makeZip(t, inner("a.zip", half, false), inner("b.zip", half, true))), backends.Partial, exceeded+"MaxMembers")
}

// bomb is a deflated member of size bytes that begins like an archive.
func bomb(tb testing.TB, size int, declared uint64) file {
	tb.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		tb.Fatal(err)
	}
	w.Write([]byte(zipLocal))
	zeros := make([]byte, 1<<20)
	for range size >> 20 {
		w.Write(zeros)
	}
	w.Close()
	return file{name: "bomb.zip", raw: true, method: 8, data: b.Bytes(), unpacked: declared}
}

func TestMaxBytes(t *testing.T) {
	b := open(t, func(c *Config) { c.MaxBytes = 4 << 20 })
	one := makeZip(t, locked("x"))
	for name, declared := range map[string]uint64{"honest": 8 << 20, "lying": 0} {
		r := scan(t, b, makeZip(t, bomb(t, 8<<20, declared)))
		if wantFinding(t, r, backends.Partial, exceeded+"MaxBytes"); t.Failed() {
			t.Log(name)
		}
	}
	// An honest size does not use the budget up.
	r := scan(t, b, makeZip(t, bomb(t, 8<<20, 8<<20), inner("x.zip", one, false)))
	wantFinding(t, r, backends.Encrypted, encryptedZip)
	// What is not a container is not unpacked.
	text := file{name: "text", data: make([]byte, 16<<20)}
	wantFinding(t, scan(t, b, makeZip(t, text)), backends.OK, "")
}

// TestOverlap lets 3000 records point to the same nested archive.
func TestOverlap(t *testing.T) {
	big := makeZip(t, file{name: "big", data: make([]byte, 100), stored: true}, file{name: "z", data: make([]byte, 64<<10), stored: true})
	data := makeZip(t, inner("x.zip", big, false))
	directory := bytes.Index(data, []byte(zipCentral))
	end := bytes.LastIndex(data, []byte(zipEnd))
	record := data[directory:end]
	many := append(bytes.Clone(data[:directory]), bytes.Repeat(record, 3000)...)
	tail := bytes.Clone(data[end:])
	binary.LittleEndian.PutUint32(tail[12:], uint32(3000*len(record)))
	r := scan(t, open(t, nil), append(many, tail...))
	wantFinding(t, r, backends.Partial, exceeded+"MaxBytes")
}

// TestMaxTime lets no time at all.
func TestMaxTime(t *testing.T) {
	b := open(t, nil)
	b.config.MaxTime = 0
	wantFinding(t, scan(t, b, makeZip(t, locked("x"))), backends.Partial, exceeded+"MaxTime")
	// A context that is over is no limit of ours.
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errEnough)
	if _, err := b.Scan(ctx, nil); !errors.Is(err, errEnough) {
		t.Error(err)
	}
}

// TestMemory counts what is allocated while budgets are attacked.
func TestMemory(t *testing.T) {
	headers := bytes.Repeat([]byte(zipCentral+string(make([]byte, 42))), 200_000)
	for _, c := range []struct {
		name string
		data []byte
		most uint64
	}{
		{"65536 members", makeZip(t, make65k()...), 16 << 20},
		{"directory of 9 MB", append(headers, zipEnd+string(make([]byte, 8))+le32(len(headers))+le32(0)+"\x00\x00"...), 1 << 20},
		{"bomb", makeZip(t, bomb(t, 24<<20, 0)), 6 << 20},
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
		data := makeZip(b, manyMembers(members)...)
		b.Run(fmt.Sprintf("%dKB", len(data)/1000), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				scan(b, backend, data)
			}
		})
	}
	large := makeZip(b, inner("a.zip", makeZip(b, file{name: "x", data: bytes.Repeat([]byte("random enough"), 80_000), stored: true}), true))
	b.Run("1MB nested", func(b *testing.B) {
		for b.Loop() {
			scan(b, backend, large)
		}
	})
}
