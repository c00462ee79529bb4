package main

import (
	"bytes"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"polyclam/test/bench/nullclamd"
)

func TestOutside(t *testing.T) {
	// From a table of the binomial distribution.
	for n, want := range map[int]int{0: 0, 1: 0, 5: 0, 6: 0, 8: 0, 9: 1, 12: 2, 15: 3, 20: 5, 30: 9} {
		if got := outside(n); got != want {
			t.Errorf("of %d values %d are left out, want %d", n, got, want)
		}
	}
}

// TestInterval draws values with a known median.
func TestInterval(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	inside := 0
	const times = 2000
	for range times {
		values := make([]float64, 9)
		for i := range values {
			values[i] = random.ExpFloat64()
		}
		i := intervalOf(values)
		if i.low > i.median || i.median > i.high {
			t.Fatalf("%v", i)
		}
		if i.low <= math.Ln2 && math.Ln2 <= i.high {
			inside++
		}
	}
	if inside < times*94/100 {
		t.Errorf("the median is in %d of %d intervals", inside, times)
	}
	if i := intervalOf(nil); !math.IsNaN(i.median) {
		t.Errorf("of nothing: %v", i)
	}
}

// TestRequest checks that streams have the right size, and that no two are equal.
func TestRequest(t *testing.T) {
	for _, body := range []string{bodyMail, bodyRandom} {
		for _, size := range []int64{minBody, 10 << 10, 1 << 20, chunk, chunk + 1} {
			seen := map[string]bool{}
			for seed := range uint64(3) {
				r := newRequest(body, size, seed)
				for range 3 {
					content := objectOf(t, r.renew())
					if int64(len(content)) != size {
						t.Fatalf("%s: %d bytes, want %d", body, len(content), size)
					}
					if body == bodyMail && !bytes.HasPrefix(content, []byte("From: ")) {
						t.Errorf("begins with %q", content[:20])
					}
					seen[string(content)] = true
				}
				if want := 1; body == bodyMail && len(r.marks) != want+1 || body == bodyRandom && len(r.marks) != want {
					t.Errorf("%s, %d bytes: marks at %v", body, size, r.marks)
				}
			}
			if len(seen) != 9 {
				t.Errorf("%s, %d bytes: %d of 9 are different", body, size, len(seen))
			}
		}
	}
}

// objectOf joins the chunks.
func objectOf(t *testing.T, request []byte) []byte {
	t.Helper()
	rest, ok := bytes.CutPrefix(request, []byte("zINSTREAM\x00"))
	if !ok {
		t.Fatal("no INSTREAM")
	}
	var content []byte
	for {
		n := int(rest[0])<<24 | int(rest[1])<<16 | int(rest[2])<<8 | int(rest[3])
		rest = rest[4:]
		if n == 0 {
			break
		}
		content, rest = append(content, rest[:n]...), rest[n:]
	}
	if len(rest) > 0 {
		t.Fatalf("%d bytes behind the end", len(rest))
	}
	return content
}

func TestOptions(t *testing.T) {
	o, err := parseOptions([]string{"--quick", "--rounds", "2", "--only", "null,idle", "--clients", "4"})
	if err != nil {
		t.Fatal(err)
	}
	if o.rounds != 2 || o.slice >= time.Second || !o.wants("idle") || o.wants("clamd") || !slices.Equal(o.sizes, []int64{1 << 10, 10 << 10, 1 << 20}) {
		t.Errorf("%+v", o)
	}
	for _, args := range [][]string{
		{"--only", "nothing"}, {"--sizes", "1"}, {"--sizes", "1G"}, {"--sizes", "999M"}, {"--clients", "0"}, {"--clients", "65"},
		{"--rounds", "0"}, {"--slice", "0s"}, {"--body", "text"}, {"more"},
	} {
		if _, err := parseOptions(args); err == nil {
			t.Errorf("%q is taken", args)
		}
	}
}

// TestSlice checks that the clients scan, and stop at anything but an OK.
func TestSlice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	null, err := nullclamd.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- null.Serve() }()
	defer func() { null.Close(); <-ended }()
	e := &engine{daemon: &daemon{name: "test", pid: os.Getpid()}, ways: []way{{name: "direct", socket: path}, {name: "nowhere", socket: path + "x"}}}
	s, err := newTeam(bodyMail, 10<<10, 3).run(t.Context(), e, 0, time.Millisecond)
	if err != nil || s.scans < 3 || s.p50 <= 0 || s.p99 < s.p50 || s.rate <= 0 || s.engine <= 0 {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := newTeam(bodyMail, 10<<10, 3).run(t.Context(), e, 1, time.Millisecond); err == nil {
		t.Error("scans without a server")
	}
	virus := &request{bytes: []byte("zINSTREAM\x00\x00\x00\x00\x0bX5O!P%@AP[4\x00\x00\x00\x00")}
	if _, err := newClient(path, hang).scan(virus.renew()); err == nil || !strings.Contains(err.Error(), "FOUND") {
		t.Errorf("a FOUND is %v", err)
	}
}

// TestVerdicts checks the verdicts on an aim.
func TestVerdicts(t *testing.T) {
	for _, tt := range []struct {
		least bool
		i     interval
		want  string
	}{
		{false, interval{0.9, 0.8, 1.0}, "holds"},
		{false, interval{0.9, 0.8, 1.1}, "holds by its median"},
		{false, interval{1.1, 0.9, 1.2}, "undecided"},
		{false, interval{1.2, 1.1, 1.3}, "missed"},
		{true, interval{1.2, 1.0, 1.3}, "holds"},
		{true, interval{1.2, 0.9, 1.3}, "holds by its median"},
		{true, interval{0.9, 0.8, 1.1}, "undecided"},
		{true, interval{0.8, 0.7, 0.9}, "missed"},
	} {
		a := aim{limit: 1, least: tt.least}
		if got := a.verdict(tt.i); got != tt.want {
			t.Errorf("least %t, %v: %s, want %s", tt.least, tt.i, got, tt.want)
		}
	}
}
