package filter

import (
	"bytes"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"
)

var filters = map[string]func(io.Reader) io.Reader{
	"delta 1":   func(r io.Reader) io.Reader { return Delta(r, 1) },
	"delta 256": func(r io.Reader) io.Reader { return Delta(r, 256) },
	"x86":       X86, "arm": ARM, "armt": ARMT, "ppc": PPC, "sparc": SPARC,
	"arm64": func(r io.Reader) io.Reader { return ARM64(r, 0) },
}

// program returns random bytes in which the call opcodes of all processors are frequent.
func program(n int, seed uint64) []byte {
	random := rand.New(rand.NewPCG(seed, 7))
	b := make([]byte, n)
	common := []byte{0xe8, 0xe9, 0x00, 0xff, 0xeb, 0xf0, 0xf8, 0x48, 0x40, 0x7f, 0x90, 0x94}
	for i := range b {
		if b[i] = byte(random.Uint32()); random.IntN(3) > 0 {
			b[i] = common[random.IntN(len(common))]
		}
	}
	return b
}

// TestBlocks checks that the output does not depend on the sizes of reads.
func TestBlocks(t *testing.T) {
	for name, open := range filters {
		for n := range 40 {
			size := n
			switch {
			case n == 39:
				size = 3*blockSize + 5
			case n > 20:
				size = blockSize - 30 + n // on both sides of the end of a block
			}
			data := program(size, uint64(n))
			want, err := io.ReadAll(open(bytes.NewReader(data)))
			if err != nil || len(want) != size {
				t.Fatalf("%s: %d bytes, %v, want %d", name, len(want), err, size)
			}
			for how, r := range map[string]io.Reader{"one byte": iotest.OneByteReader(open(iotest.OneByteReader(bytes.NewReader(data)))), "half": open(iotest.HalfReader(bytes.NewReader(data)))} {
				if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, want) {
					t.Errorf("%s, %s: %v, wrong bytes", name, how, err)
				}
			}
		}
	}
}

func TestDelta(t *testing.T) {
	for _, distance := range []int{1, 2, 255, 256} {
		want := program(5000, 1)
		packed := bytes.Clone(want)
		for i := len(packed) - 1; i >= distance; i-- {
			packed[i] -= packed[i-distance]
		}
		if got, err := io.ReadAll(Delta(bytes.NewReader(packed), distance)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("distance %d: %v, wrong bytes", distance, err)
		}
	}
}

func TestErrors(t *testing.T) {
	for name, open := range filters {
		for _, want := range []error{io.ErrNoProgress, io.ErrUnexpectedEOF} {
			r := open(io.MultiReader(bytes.NewReader(program(100, 1)), iotest.ErrReader(want)))
			if _, err := io.ReadAll(r); err != want {
				t.Errorf("%s: %v, want %v", name, err, want)
			}
		}
	}
}

// FuzzFilters checks that every filter returns as many bytes as it gets.
func FuzzFilters(f *testing.F) {
	f.Add(program(300, 3), []byte("calls"), []byte("jumps"))
	f.Fuzz(func(t *testing.T, data, calls, jumps []byte) {
		for name, open := range filters {
			if got, err := io.ReadAll(open(bytes.NewReader(data))); err != nil || len(got) != len(data) {
				t.Errorf("%s: %d of %d bytes, %v", name, len(got), len(data), err)
			}
		}
		r, err := BCJ2(bytes.NewReader(data), bytes.NewReader(calls), bytes.NewReader(jumps), bytes.NewReader(append([]byte{0, 1, 2, 3, 4}, data...)))
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := io.ReadAll(r); len(got) > len(data)+len(calls)+len(jumps) {
			t.Errorf("BCJ2: %d bytes", len(got))
		}
	})
}
