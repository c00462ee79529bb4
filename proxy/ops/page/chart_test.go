package page

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/proxy/count"
)

func everything(backends.Category) bool { return true }

// TestHeights checks that a column is never higher than the chart, and every category in it
// is visible.
func TestHeights(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		var v count.ByCategory
		for i := range v {
			if random.IntN(3) > 0 {
				v[i] = uint64(1) << random.IntN(50)
			}
		}
		most := v.Total() + uint64(random.IntN(1000))
		sum, pieces := 0, 0
		for _, p := range heights(v, everything, most) {
			sum += p.height
			pieces++
			if p.height < leastVisible || v.Of(p.category) == 0 {
				t.Fatalf("%v: the height of %s is %d", v, p.category, p.height)
			}
		}
		want := 0
		for _, n := range v {
			if n > 0 {
				want++
			}
		}
		if sum > chartHeight || pieces != want {
			t.Fatalf("%v: the column is %d high and has %d pieces, want %d", v, sum, pieces, want)
		}
	}
}

func TestChart(t *testing.T) {
	var hour [minutes]count.ByCategory
	hour[59].Add(backends.OK, 75)
	hour[59].Add(backends.Virus, 25)
	hour[0].Add(backends.OK, 50)
	newest := time.Date(2026, 11, 23, 14, 5, 0, 0, time.UTC)
	c := newChart("All objects", &hour, everything, newest)
	if c.Max != "100" || c.From != "13:06" || c.To != "14:05" || len(c.Areas) != 2 {
		t.Fatalf("got %+v", c)
	}
	if a := c.Areas[0]; a.Category != "virus" || a.Path != "M591 0h8v50h-8z" {
		t.Errorf("the viruses are %+v", a)
	}
	if a := c.Areas[1]; a.Category != "ok" || a.Path != "M1 100h8v100h-8zM591 50h8v150h-8z" {
		t.Errorf("the clean objects are %+v", a)
	}
	c = newChart("Without ok", &hour, func(c backends.Category) bool { return c != backends.OK }, newest)
	if c.Max != "25" || len(c.Areas) != 1 || c.Areas[0].Path != "M591 0h8v200h-8z" {
		t.Errorf("without ok it is %+v", c)
	}
}

func TestSpark(t *testing.T) {
	var list [minutes]nodeMinute
	if s := newSpark(&list); s != (spark{}) {
		t.Errorf("without scans it is %+v", s)
	}
	list[59].times[3] = 100 // 5 to 10 ms
	list[58].times[0] = 100 // to 1 ms
	list[57].failures = 2
	s := newSpark(&list)
	if s.Latency != "p50 1.0 ms, p95 9.5 ms" || !strings.HasSuffix(s.Times, "M118 3h2v21h-2z") || s.Failures != "M114 0h2v3h-2z" {
		t.Errorf("got %+v", s)
	}
	if s.Label != "p95 by minute, at most 9.8 ms; 2 failures, marked at the top" {
		t.Errorf("the label is %q", s.Label)
	}
}

func TestWords(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1000: "-1,000", -999: "-999"} {
		if got := number(n); got != want {
			t.Errorf("number(%d) = %q, want %q", n, got, want)
		}
	}
	if got := shown(strings.Repeat("x", 20), 10); got.Text != strings.Repeat("x", 9)+"…" || got.Full != strings.Repeat("x", 20) {
		t.Errorf("a long text is %+v", got)
	}
	if got := shown(strings.Repeat("\x00", 5000), 10); len(got.Full) > 4*maxFull+3 {
		t.Errorf("a very long text is %d bytes long", len(got.Full))
	}
	now := time.Date(2026, 11, 23, 0, 5, 0, 0, time.UTC)
	for at, want := range map[time.Time]string{now.Add(-time.Minute): "00:04:00", now.Add(-6 * time.Minute): "Nov 22, 23:59"} {
		if got := clock(at, now); got != want {
			t.Errorf("clock(%v) = %q, want %q", at, got, want)
		}
	}
}
