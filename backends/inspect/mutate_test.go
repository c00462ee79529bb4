package inspect

import (
	"encoding/binary"
	"maps"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"polyclam/backends"
)

// TestMutations scans random mutations of samples, bare and in containers, for a second;
// with POLYCLAM_MUTATIONS=1000000 it scans that many.
func TestMutations(t *testing.T) {
	most, limit := 1<<30, time.Second
	if n, err := strconv.Atoi(os.Getenv("POLYCLAM_MUTATIONS")); err == nil {
		most, limit = n, 24*time.Hour
	}
	seeds := mutationSeeds(t)
	b := open(t, func(c *Config) { c.MaxBytes = 2 << 20; c.MaxTime = 10 * time.Second })
	goroutines := runtime.NumGoroutine()
	largest, large := uint64(0), ""
	random := rand.New(rand.NewPCG(1, uint64(most)))
	categories := make(map[backends.Category]int)
	begin, slowest, slow := time.Now(), time.Duration(0), ""
	n := 0
	for ; n < most && time.Since(begin) < limit; n++ {
		s := seeds[random.IntN(len(seeds))]
		data := mutate(random, s.data, seeds)
		started := time.Now()
		var before, after runtime.MemStats
		measured := n%64 == 0 // measuring stops the world
		if measured {
			runtime.ReadMemStats(&before)
		}
		r := fuzzScan(t, b, data)
		if measured {
			runtime.ReadMemStats(&after)
			if bytes := after.TotalAlloc - before.TotalAlloc; bytes > largest {
				largest, large = bytes, s.name
			}
		}
		if took := time.Since(started); took > slowest {
			slowest, slow = took, s.name
		}
		categories[r.Category]++
		if t.Failed() {
			t.Fatalf("%s, mutation %d", s.name, n)
		}
		if n%100_000 == 99_999 {
			t.Logf("%d after %v", n+1, time.Since(begin).Round(time.Second))
		}
	}
	takeSlots(t, b)() // none may be lost
	wantGoroutines(t, goroutines)
	// The total includes memory that has been released meanwhile, and the libraries'
	// small allocations.
	if most := uint64(b.config.MaxBytes)*8 + 16<<20; largest > most {
		t.Errorf("%d bytes allocated for %s, max_bytes is %d", largest, large, b.config.MaxBytes)
	}
	t.Logf("table: memory: %d bytes allocated at most in the scans measured (%s)", largest, large)
	t.Logf("table: %d mutations of %d samples in %v: ok %d, encrypted %d, partial %d; the slowest %v (%s); %d goroutines",
		n, len(seeds), time.Since(begin).Round(time.Millisecond), categories[backends.OK], categories[backends.Encrypted],
		categories[backends.Partial], slowest, slow, runtime.NumGoroutine())
}

// mutationSeeds returns all samples, bare and each in one container.
func mutationSeeds(tb testing.TB) []sample {
	tb.Helper()
	around := wrappers(tb)
	names := slices.Sorted(maps.Keys(around))
	seeds := append(allSamples(tb), kinds(tb)...)
	for i, s := range seeds[:len(seeds):len(seeds)] {
		how := names[i%len(names)]
		seeds = append(seeds, sample{name: s.name + " in " + how, data: around[how](s.data)})
	}
	return seeds
}

// interesting are numbers that often break parsers.
var interesting = []uint64{0, 1, 2, 4, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff, 1 << 32, 1 << 62, 1<<63 - 1, 1 << 63, 1<<64 - 1}

// mutate changes a copy of data in one to eight places.
func mutate(random *rand.Rand, data []byte, others []sample) []byte {
	out := slices.Clone(data)
	for range 1 + random.IntN(8) {
		if len(out) < 16 {
			return append(out, make([]byte, 16)...)
		}
		at := random.IntN(len(out))
		length := min(1+random.IntN(64), len(out)-at)
		switch random.IntN(9) {
		case 0:
			out[at] ^= 1 << random.IntN(8)
		case 1:
			out[at] = byte(random.Uint32())
		case 2: // a number of one to eight bytes
			var b [8]byte
			v := interesting[random.IntN(len(interesting))]
			binary.LittleEndian.PutUint64(b[:], v)
			if random.IntN(4) == 0 {
				binary.BigEndian.PutUint64(b[:], v)
			}
			copy(out[at:], b[:1<<random.IntN(4)])
		case 3:
			out = slices.Delete(out, at, at+length)
		case 4: // repeat a part
			out = slices.Insert(out, at, out[at:at+length]...)
		case 5: // copy a part elsewhere
			copy(out[random.IntN(len(out)):], out[at:at+length])
		case 6:
			out = out[:max(16, len(out)-random.IntN(200))]
		case 7:
			other := others[random.IntN(len(others))].data
			from := random.IntN(len(other))
			out = slices.Insert(out, at, other[from:min(len(other), from+random.IntN(300))]...)
		case 8:
			for i := range length {
				out[at+i] = byte(random.Uint32())
			}
		}
	}
	return out
}
