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
	o, err := parseOptions([]string{"--quick", "--rounds", "2", "--only", "null,idle,n5", "--clients", "4"})
	if err != nil {
		t.Fatal(err)
	}
	if o.rounds != 2 || o.slice >= time.Second || !o.wants(partNamed("idle")) || !o.wants(partNamed("N5")) || o.wants(partNamed("clamd")) || !slices.Equal(o.sizes, []int64{1 << 10, 10 << 10, 1 << 20}) {
		t.Errorf("%+v", o)
	}
	if o, err = parseOptions(nil); err != nil || o.wants(partNamed("idle")) || !o.wants(partNamed("N1")) {
		t.Errorf("by default: %+v, %v", o, err)
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

func partNamed(name string) part {
	return parts[slices.IndexFunc(parts, func(p part) bool { return p.name == name })]
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
	s, err := newTeam(load{body: bodyMail, size: 10 << 10, clients: 3}).run(t.Context(), e, 0, time.Millisecond)
	if err != nil || s.scans < 3 || s.p50 <= 0 || s.p99 < s.p50 || s.rate <= 0 || s.engine <= 0 {
		t.Errorf("%+v, %v", s, err)
	}
	open := newTeam(load{body: bodyMail, size: 10 << 10, clients: 3, rate: 1000})
	if s, err := open.run(t.Context(), e, 0, 100*time.Millisecond); err != nil || s.scans != 99 {
		t.Errorf("%d scans in 100 ms at 1000/s, %v", s.scans, err)
	}
	e.ways[0].repeat = true
	repeat := newTeam(load{body: bodyMail, size: 10 << 10, clients: 2})
	for range 2 {
		if _, err := repeat.run(t.Context(), e, 0, time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	if a, b := repeat.members[0], repeat.members[1]; a.request.count != 1<<40 || bytes.Equal(a.fixed.bytes, b.fixed.bytes) {
		t.Errorf("%d objects were renewed, or two clients have the same", a.request.count-1<<40)
	}
	e.ways[0].repeat = false
	if _, err := newTeam(load{body: bodyMail, size: 10 << 10, clients: 3}).run(t.Context(), e, 1, time.Millisecond); err == nil {
		t.Error("scans without a server")
	}
	virus := &request{bytes: []byte("zINSTREAM\x00\x00\x00\x00\x0bX5O!P%@AP[4\x00\x00\x00\x00")}
	if _, err := newClient(path, hang).scan(virus.renew()); err == nil || !strings.Contains(err.Error(), "FOUND") {
		t.Errorf("a FOUND is %v", err)
	}
}

// TestVerdicts checks the verdicts on a goal.
func TestVerdicts(t *testing.T) {
	for _, tt := range []struct {
		least  bool
		values []float64
		want   string
	}{
		{false, []float64{0.8, 0.9, 1.0}, "met"},
		{false, []float64{0.8, 0.9, 1.1}, "met by its median"},
		{false, []float64{0.9, 1.1, 1.2}, "undecided"},
		{false, []float64{1.1, 1.2, 1.3}, "missed"},
		{true, []float64{1.0, 1.2, 1.3}, "met"},
		{true, []float64{0.9, 1.2, 1.3}, "met by its median"},
		{true, []float64{0.8, 0.9, 1.1}, "undecided"},
		{true, []float64{0.7, 0.8, 0.9}, "missed"},
	} {
		c := cell{limit: 1, least: tt.least, values: tt.values}
		if got := c.verdict(); got != tt.want {
			t.Errorf("least %t, %v: %s, want %s", tt.least, tt.values, got, tt.want)
		}
		c.skipped = "no reason"
		if got := c.verdict(); got != "not measured: no reason" {
			t.Errorf("skipped: %s", got)
		}
	}
}

// TestPace checks that clients share one timetable, and that a late scan counts from when
// it was due.
func TestPace(t *testing.T) {
	tm := &team{load: load{rate: 1000}}
	begin := time.Now()
	next := tm.pace(begin, 50*time.Millisecond)
	for i := range 49 {
		due, more := next(0)
		if want := begin.Add(time.Duration(i+1) * time.Millisecond); !more || !due.Equal(want) {
			t.Fatalf("scan %d: due %v after the beginning, %t", i, due.Sub(begin), more)
		}
		if time.Now().Before(due) {
			t.Fatalf("scan %d is early", i)
		}
	}
	if _, more := next(0); more {
		t.Error("a 50th scan in 50 ms at 1000/s")
	}
	closed := (&team{}).pace(begin, 0)
	if _, more := closed(0); !more {
		t.Error("no first scan")
	}
	if _, more := closed(1); more {
		t.Error("a second scan after the end")
	}
}

func TestOver(t *testing.T) {
	r := &row{ways: make([]measured, 2)}
	for i := range 3 {
		r.add([]slice{{p50: 2, rate: 4, scans: 2, engine: time.Second}, {p50: float64(i), rate: 1, scans: 4, proxy: time.Second, engine: time.Second}})
	}
	if got := r.over(ofP50, 1, 0); !slices.Equal(got, []float64{0, 0.5, 1}) {
		t.Errorf("p50: %v", got)
	}
	if got := r.over(ofEngine, 1, 0); !slices.Equal(got, []float64{0.5, 0.5, 0.5}) {
		t.Errorf("engine: %v", got)
	}
	if got := r.ways[1].proxy; !slices.Equal(got, []float64{0.25, 0.25, 0.25}) {
		t.Errorf("proxy: %v", got)
	}
}

// TestParseCounts reads the table that strace -c printed for a polyclamd.
func TestParseCounts(t *testing.T) {
	got, err := parseCounts(`% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 31.20    0.012345          24       512           epoll_pwait
 10.00    0.004000           2      2000       100 futex
  0.00    0.000000           0         1           pread64
------ ----------- ----------- --------- --------- ----------------
100.00    0.039567          12      2513       100 total
`)
	if err != nil || len(got) != 3 || got["epoll_pwait"] != 512 || got["futex"] != 2000 || got["pread64"] != 1 {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := parseCounts("strace: attach: ptrace(PTRACE_SEIZE, 1): Operation not permitted\n"); err == nil {
		t.Error("no table, and no error")
	}
}
