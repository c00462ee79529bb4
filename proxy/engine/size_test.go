package engine

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"polyclam/backends"
	"polyclam/backends/testfile"
	"polyclam/proxy/spool"
	"polyclam/proxy/spool/spooltest"
)

// limited is an engine with a limit on the size of objects. It reads only their beginning.
type limited struct {
	mu    sync.Mutex
	limit int64
	over  backends.Result // its result above limit
	err   error           // or an error
	flat  bool            // it does not look into archives
	gate  chan struct{}   // scans above limit wait for it to be closed, if not nil
	asked []int64         // sizes of archives
}

func (s *limited) set(f func(s *limited)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
}

// sizes returns the sizes of the archives received.
func (s *limited) sizes() []int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

// Scan implements backends.Backend.
func (s *limited) Scan(_ context.Context, o backends.Object) (backends.Result, error) {
	s.mu.Lock()
	gate := s.gate
	s.mu.Unlock()
	if gate != nil && o.Size() > s.limit {
		<-gate
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	head := make([]byte, min(o.Size(), 4096))
	if _, err := o.ReadAt(head, 0); err != nil && err != io.EOF {
		return backends.Result{}, err
	}
	if bytes.Contains(head, []byte("zeros.bin")) {
		s.asked = append(s.asked, o.Size())
	}
	switch {
	case o.Size() > s.limit && s.err != nil:
		return backends.Result{}, s.err
	case o.Size() > s.limit:
		return s.over, nil
	case bytes.HasPrefix(head, []byte("PK")) && s.flat:
		return backends.Clean(0), nil
	}
	return judged(head), nil
}

const mib = 1 << 20

// zeros is an object of size bytes, all of them zero.
type zeros struct {
	*textObject
	size int64
}

func (z zeros) Size() int64 { return z.size }
func (z zeros) ReadAt(p []byte, off int64) (int, error) {
	clear(p)
	return len(p), nil
}

func sized(s *limited) Config {
	cfg := withCanary(s)
	cfg.SizeCheck, cfg.MaxSize, cfg.CanaryInterval = true, 100*mib, time.Minute
	return cfg
}

func TestSizeCheck(t *testing.T) {
	partial := backends.Found(1, "Heuristics.Limits.Exceeded.MaxFileSize")
	tests := []struct {
		name    string
		engine  *limited
		change  func(*Config)
		probes  int // 0: more than two
		scanned int64
		limited bool
	}{
		{"working", &limited{limit: 1 << 40}, nil, 2, 100 * mib, false},
		{"refuses larger objects", &limited{limit: 25 * mib, over: partial}, nil, 2, 0, false},
		{"passes larger objects", &limited{limit: 25 * mib, over: backends.Clean(0)}, nil, 0, 0, true},
		{"just below max_size", &limited{limit: 100*mib - 1, over: backends.Clean(0)}, nil, 0, 0, true},
		{"fails on larger objects", &limited{limit: 25 * mib, err: errors.New("too large")}, nil, 6, 0, false},
		{"does not look into archives", &limited{limit: 25 * mib, over: backends.Clean(0), flat: true}, nil, 1, 0, false},
		{"switched off", &limited{limit: 25 * mib, over: backends.Clean(0)}, func(c *Config) { c.SizeCheck = false }, -1, 0, false},
		{"limits.stream without max_size", &limited{limit: 1 << 40}, func(c *Config) { c.MaxSize, c.MaxStream = 0, 30*mib }, 2, 30 * mib, false},
		{"max_size goes before limits.stream", &limited{limit: 1 << 40}, func(c *Config) { c.MaxStream = 30 * mib }, 2, 100 * mib, false},
		{"tiny max_size", &limited{limit: 1 << 40}, func(c *Config) { c.MaxSize = 400 }, -1, 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg, log := sized(tt.engine), &lines{}
				cfg.Log = zerolog.New(log)
				if tt.change != nil {
					tt.change(&cfg)
				}
				e := New(cfg)
				run(t, e)
				synctest.Wait()
				limitSeen := e.Status().Nodes[0].UnscannedAbove
				time.Sleep(10 * time.Minute)
				synctest.Wait()
				s := e.Status().Nodes[0]
				if s.State != "up" || (s.UnscannedAbove != 0) != tt.limited || s.UnscannedAbove != limitSeen {
					t.Errorf("status %+v, limit %d before", s, limitSeen)
				}
				if !tt.limited && s.Scanned != tt.scanned {
					t.Errorf("scanned %d, want %d", s.Scanned, tt.scanned)
				}
				if limit := tt.engine.limit; tt.limited && (s.UnscannedAbove > limit || s.UnscannedAbove < limit-limit/10) {
					t.Errorf("unscanned above %d, want a little less than %d", s.UnscannedAbove, limit)
				}
				if n := len(tt.engine.asked); tt.probes != 0 && n != max(tt.probes, 0) || n > 40 {
					t.Errorf("asked for %d: %d", n, tt.engine.asked)
				}
				if n := log.count("size check", "AlertExceedsMax", "unscanned_above"); tt.limited != (n == 1) {
					t.Errorf("%d warnings", n)
				}
				wantIdle(t, e)
			})
		})
	}
}

// TestUnscanned: an ok for an object above the limit counts as partial, any other result
// stays. When the engine's limit is raised, that ends.
func TestUnscanned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &limited{limit: 25 * mib, over: backends.Clean(0)}
		e := New(sized(s))
		run(t, e)
		synctest.Wait()
		scan := func(size int64) policyReport {
			r := e.Scan(t.Context(), zeros{text("x"), size}, false)
			return policyReport{r.Result, r.Err}
		}
		if r := scan(20 * mib); r.Category != backends.OK || r.err != nil {
			t.Errorf("below: %+v", r)
		}
		r := scan(26 * mib)
		if r.Category != backends.Partial || r.err != nil || len(r.Findings) != 1 || !strings.Contains(r.Detail, "MaxFileSize") {
			t.Errorf("above: %+v", r)
		}
		s.set(func(s *limited) { s.over = backends.Found(1, "X") })
		if r := scan(26 * mib); r.Category != backends.Virus {
			t.Errorf("a virus above: %+v", r)
		}
		s.set(func(s *limited) { s.limit = 200 * mib })
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if r := scan(26 * mib); r.Category != backends.OK {
			t.Errorf("after the limit was raised: %+v", r)
		}
		if got := e.Status().Nodes[0]; got.UnscannedAbove != 0 || got.Scanned != 100*mib {
			t.Errorf("status %+v", got)
		}
		before := len(s.asked)
		if err := e.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if n := len(s.asked) - before; n != 1 { // only for the largest: that it looks into archives is known
			t.Errorf("asked %d times after a reload", n)
		}
	})
}

// TestSizeCheckOnce: while a node is busy with a large object, further health checks do not
// send it another one.
func TestSizeCheckOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &limited{limit: 25 * mib, over: backends.Found(1, "X"), gate: make(chan struct{})}
		cfg := sized(s)
		cfg.Timeout = time.Hour
		e := New(cfg)
		run(t, e)
		time.Sleep(10*time.Minute + time.Second)
		close(s.gate)
		synctest.Wait()
		if len(s.asked) != 2 {
			t.Errorf("asked for %d", s.asked)
		}
		if n := e.Status().Nodes[0]; n.Scanned != 100*mib || n.State != "up" {
			t.Errorf("status %+v", n)
		}
	})
}

// TestSizeCheckWithoutSpool checks that a large test object that cannot be stored says
// nothing about the node.
func TestSizeCheckWithoutSpool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &limited{limit: 1 << 40}
		cfg := sized(s)
		cfg.Spool = spooltest.New(t, spool.Config{Store: spool.Tmpfile})
		cfg.Spool.Close() // it stores no new files
		e := New(cfg)
		run(t, e)
		time.Sleep(10 * time.Minute)
		if n := e.Status().Nodes[0]; n.State != "up" || n.Scanned != 0 || n.UnscannedAbove != 0 {
			t.Errorf("status %+v", n)
		}
		if sizes := s.sizes(); len(sizes) != 0 && sizes[len(sizes)-1] > largestInMemory {
			t.Errorf("asked for %d", sizes)
		}
	})
}

type policyReport struct {
	backends.Result
	err error
}

func TestLargestProbe(t *testing.T) {
	if largestProbe > testfile.LargeMax {
		t.Fatal("testfile cannot make it")
	}
	for _, tt := range []struct{ maxSize, maxStream, want int64 }{
		{0, 0, largestProbe}, {1 << 40, 5, largestProbe}, {7, 5, 7}, {0, 5, 5}, {0, 1 << 40, largestProbe},
	} {
		e := New(Config{MaxSize: tt.maxSize, MaxStream: tt.maxStream})
		if got := e.largest(); got != tt.want {
			t.Errorf("max_size %d, stream %d: %d, want %d", tt.maxSize, tt.maxStream, got, tt.want)
		}
		e.Close()
	}
}
