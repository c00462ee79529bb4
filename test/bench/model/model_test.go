package model

import (
	"math"
	"os"
	"path/filepath"
	"testing"
)

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if math.IsNaN(got) || math.Abs(got-want) > tolerance {
		t.Errorf("%s is %g, want %g", what, got, want)
	}
}

func TestSizes(t *testing.T) {
	near(t, "the median", Mail.quantile(0.5), 12<<10, 1)
	near(t, "one sigma above it", Mail.quantile(0.8413447), 12<<10*math.Exp(1.94), 200)
	near(t, "the largest", Mail.quantile(0.9999999), 25<<20, 0)
	near(t, "the smallest", Mail.quantile(0.0000001), 1<<10, 0)
	near(t, "the mean in KB", Mail.Mean()/(1<<10), 75, 5)
	near(t, "half", Mail.Above(12<<10), 0.5, 1e-3)
	sizes := Mail.Sample(1000)
	sum := 0.0
	for _, s := range sizes {
		sum += float64(s) / 1000
	}
	near(t, "the mean of a sample in KB", sum/(1<<10), Mail.Mean()/(1<<10), 8)
	for i, s := range Mail.Sample(1000) {
		if s != sizes[i] {
			t.Fatal("another sample")
		}
	}
}

// some has costs that are easy to compute with: 100 us and 1 ms per KB.
func some() *Costs {
	return &Costs{
		Scans:    []Cost{{1 << 10, 100, 1000}, {10 << 10, 1000, 10000}, {100 << 10, 10000, 100000}},
		LogBytes: 500, RedisRead: 10, RedisWrite: 20, RedisEntry: 400,
	}
}

func TestAt(t *testing.T) {
	for _, tt := range []struct{ kb, polyclamd, engine float64 }{
		{0.1, 100, 1000}, {1, 100, 1000}, {5, 500, 5000}, {10, 1000, 10000}, {20, 2000, 20000}, {100, 10000, 100000}, {1000, 100000, 1e6},
	} {
		p, e := at(some().Scans, tt.kb*(1<<10))
		near(t, "polyclamd", p, tt.polyclamd, 1e-6)
		near(t, "the engine", e, tt.engine, 1e-6)
	}
	p, e := some().Of([]int64{5 << 10, 15 << 10})
	near(t, "polyclamd on average", p, 1000, 1e-6)
	near(t, "the engine on average", e, 10000, 1e-6)
}

// site has 100 messages a second of exactly 10 KB.
func site() Site {
	s := Default()
	s.Messages, s.PeakShare = 100*3600*10, 0.1
	s.Sizes = Sizes{Median: 10 << 10, Sigma: 1e-9, Min: 1, Max: 1 << 30}
	s.Cores, s.Load, s.Spare = 4, 0.5, 1
	return s
}

func TestPlan(t *testing.T) {
	p, err := some().Plan(site())
	if err != nil {
		t.Fatal(err)
	}
	near(t, "the rate", p.Rate, 100, 1e-9)
	near(t, "bytes", p.Bytes, 100*10<<10, 1)
	near(t, "cores for engines", p.Engine, 1, 1e-3)
	near(t, "cores for polyclamd", p.Polyclamd, 0.1, 1e-3)
	near(t, "hosts", float64(p.Hosts), 2, 0) // 1.1 of 2 usable cores, and a spare
	near(t, "Redis reads", p.RedisReads, 100, 1e-9)
	near(t, "Redis writes", p.RedisWrites, 100, 1e-9)
	near(t, "Redis cores", p.RedisCores, 0.003, 1e-9)
	near(t, "Redis memory", p.RedisMemory, 100*3600*400, 1)
	near(t, "log", p.LogBytes, 3600*1000*500, 1)
	if first := p.First(); first.What != "processors of the hosts" {
		t.Errorf("first: %+v", first)
	} else {
		near(t, "first", first.Times, 4/1.1, 1e-2)
	}

	s := site()
	s.Hits, s.Engines, s.Factor = 0.5, 2, 3
	c := some()
	c.Hits = []Cost{{1 << 10, 10, 0}, {10 << 10, 20, 0}}
	if p, err = c.Plan(s); err != nil {
		t.Fatal(err)
	}
	near(t, "cores for two engines at three times the cost, half of the objects", p.Engine, 3, 1e-3)
	near(t, "cores for polyclamd with cheap hits", p.Polyclamd, 0.05+0.001, 1e-3)
	near(t, "hosts", float64(p.Hosts), 3, 0)
	near(t, "Redis reads, a quarter known locally", p.RedisReads, 75, 1e-9)
	near(t, "Redis writes for two engines", p.RedisWrites, 100, 1e-9)
}

func TestPlanRefuses(t *testing.T) {
	for name, change := range map[string]func(*Site){
		"messages": func(s *Site) { s.Messages = 0 }, "not a number": func(s *Site) { s.Messages = math.NaN() },
		"peak share": func(s *Site) { s.PeakShare = 1.1 }, "hits": func(s *Site) { s.Hits = 1 }, "engines": func(s *Site) { s.Engines = 0 },
		"load": func(s *Site) { s.Load = 0 }, "sigma": func(s *Site) { s.Sizes.Sigma = 0 }, "max": func(s *Site) { s.Sizes.Max = 1 },
	} {
		s := site()
		change(&s)
		if _, err := some().Plan(s); err == nil {
			t.Errorf("%s: planned", name)
		}
	}
}

func TestCostsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "costs.json")
	if err := some().Write(path); err != nil {
		t.Fatal(err)
	}
	c, err := ReadCosts(path)
	if err != nil || len(c.Scans) != 3 || c.Scans[2] != some().Scans[2] || c.RedisWrite != 20 {
		t.Errorf("%+v, %v", c, err)
	}
	for _, text := range []string{"", "{}", `{"scans":[{"size":2},{"size":1}]}`} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadCosts(path); err == nil {
			t.Errorf("%q is read", text)
		}
	}
	if _, err := Measured(); err != nil {
		t.Error(err)
	}
}

func TestFormats(t *testing.T) {
	for v, want := range map[float64]string{1 << 10: "1 KB", 10 << 10: "10 KB", 1 << 20: "1 MB", 1.5 * (1 << 30): "1.50 GB", 484.5: "484 B"} {
		if got := bytes(v); got != want {
			t.Errorf("%g: %q, want %q", v, got, want)
		}
	}
}
