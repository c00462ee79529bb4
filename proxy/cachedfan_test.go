package proxy

import (
	"context"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"polyclam/backends"
	"polyclam/backends/testfile"
	"polyclam/proxy/cache"
	"polyclam/proxy/engine"
	"polyclam/proxy/policy"
	"polyclam/proxy/spool"
	"polyclam/proxy/spool/spooltest"
	"polyclam/proxy/status"
)

// cachedEngine is an engine that passes health checks, reports its signatures, and answers
// other objects with answer.
type cachedEngine struct {
	answer func(ctx context.Context, data string) (backends.Result, error)
	scans  atomic.Int32
}

func (c *cachedEngine) Version(context.Context) (backends.Version, error) {
	return backends.Version{Text: "Scanner 1/2", Database: "2"}, nil
}

func (c *cachedEngine) Scan(ctx context.Context, o backends.Object) (backends.Result, error) {
	b := make([]byte, o.Size())
	if n, err := o.ReadAt(b, 0); n < len(b) {
		return backends.Result{}, err
	}
	_, isControl := testfile.NonceOf(b)
	switch data := string(b); {
	case isControl, data == string(testfile.Encrypted()):
		return backends.Clean(0), nil
	case data == string(testfile.EICAR()), strings.HasPrefix(data, "PK"), strings.HasPrefix(data, "From: polyclam"):
		return backends.Found(1, "Eicar"), nil
	default:
		c.scans.Add(1)
		return c.answer(ctx, data)
	}
}

// start runs an engine with a cache until the test ends.
func (c *cachedEngine) start(t *testing.T, sp *spool.Spool, name string, change func(*engine.Config)) *engine.Engine {
	kept := cache.New(cache.Config{Memory: 8 << 20})
	cfg := engine.Config{
		Name: name, Kind: "fake", Required: true, Timeout: time.Minute, Canary: true,
		Cache: kept, CacheTTL: time.Hour, Fingerprint: name,
		Nodes: []engine.Node{{Address: name, Backend: c}}, Log: zerolog.Nop(), Spool: sp,
	}
	if change != nil {
		change(&cfg)
	}
	e := engine.New(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { e.Run(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done; e.Close(); kept.Close() })
	return e
}

// randomResult is a result that an engine may give, in any category that is not a failure.
func randomResult(r *rand.Rand) backends.Result {
	categories := []backends.Category{backends.Virus, backends.Suspicious, backends.Encrypted, backends.OK}
	names := []string{"", "Win.Test", "Heuristics.Encrypted.Zip", "a name: with (all) \"kinds\" of\x00bytes\n", "x FOUND\r\n1: stream: OK", "\xff\xfe\u202e\x1b[2J", "(code=0/category=ok/action=ok)", strings.Repeat("n", 300), "PUA.Tool"}
	result := backends.Result{Category: categories[r.IntN(len(categories))], Code: []int{0, 1, 3, backends.NoCode, -7, 1 << 40, -1 << 40}[r.IntN(7)]}
	if r.IntN(2) == 0 {
		result.Detail = names[r.IntN(len(names))]
	}
	if result.Category != backends.OK {
		for range r.IntN(4) {
			result.Findings = append(result.Findings, backends.Finding{Name: names[r.IntN(len(names))], Category: categories[r.IntN(3)]})
		}
	}
	return result
}

// policies are policies of all kinds.
func policies(r *rand.Rand) []*policy.Policy {
	actions := []policy.Action{policy.OK, policy.Quarantine, policy.Tempfail}
	var list []*policy.Policy
	for i := range 12 {
		p := policy.Default()
		if i%2 == 1 {
			p.Mode = policy.ByCategory
		}
		p.AnswerFirst = i%3 == 0
		if i > 3 {
			own := map[backends.Category]policy.Action{}
			for _, c := range backends.Categories() {
				own[c] = actions[r.IntN(len(actions))]
			}
			p = p.WithActionsFrom("test", own)
			r.Shuffle(len(p.Precedence), func(i, j int) { p.Precedence[i], p.Precedence[j] = p.Precedence[j], p.Precedence[i] })
		}
		if i > 5 {
			p.Rules = []policy.Rule{
				{Name: regexp.MustCompile("PUA"), Category: backends.OK}, {Engine: "a", Name: regexp.MustCompile("Test"), Category: backends.Encrypted},
			}
		}
		list = append(list, p)
	}
	return list
}

// TestCachedEqualsFresh compares verdicts and status lines from cached reports with those from
// fresh ones, for results, policies and listener profiles of all kinds, from the memory and
// from a store.
func TestCachedEqualsFresh(t *testing.T) {
	t.Run("memory", func(t *testing.T) { testCachedEqualsFresh(t, cache.Memory, cache.Config{Memory: 8 << 20}) })
	t.Run("shared", func(t *testing.T) {
		testCachedEqualsFresh(t, cache.Shared, cache.Config{Store: &mapStore{m: map[string][]byte{}}, Secret: make([]byte, cache.MinSecret), Budget: time.Second})
	})
}

// mapStore is a store that hosts share.
type mapStore struct {
	mu sync.Mutex
	m  map[string][]byte
}

func (*mapStore) Address() string { return "map" }
func (*mapStore) Close()          {}

func (s *mapStore) Get(_ context.Context, keys []string, limit int) (values [][]byte, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range keys {
		v := s.m[k]
		values = append(values, v[max(len(v)-limit, 0):])
	}
	return values, nil
}

func (s *mapStore) Put(_ context.Context, values []cache.Value) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range values {
		s.m[v.Key] = v.Data
	}
	return len(values), nil
}

func (s *mapStore) Append(_ context.Context, key string, data []byte, _ time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.m[key] = append(s.m[key], data...)
	return nil
}

func testCachedEqualsFresh(t *testing.T, origin cache.Source, config cache.Config) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	const objects = 200
	answers := map[string][2]backends.Result{}
	for i := range objects {
		answers[fmt.Sprint("object ", i)] = [2]backends.Result{randomResult(r), randomResult(r)}
	}
	var profiles []status.Profile
	for _, client := range []string{"generic", "mimedefang", "amavis", "rspamd", "exim", "haraka", "milter", "http-gateway"} {
		p, ok := status.Lookup(client)
		if !ok {
			t.Fatal(client)
		}
		for _, form := range []status.Form{status.Plain, status.Extended, status.Annotated} {
			p.Form = form
			profiles = append(profiles, p)
		}
	}
	all := policies(r)
	all[0].AnswerFirst = false // for reports of both engines
	synctest.Test(t, func(t *testing.T) {
		sp := spooltest.New(t, spool.Config{})
		shared := cache.New(config)
		engines := make([]*engine.Engine, 2)
		for i, name := range []string{"a", "b"} {
			c := &cachedEngine{answer: func(_ context.Context, data string) (backends.Result, error) { return answers[data][i], nil }}
			engines[i] = c.start(t, sp, name, func(cfg *engine.Config) { cfg.Cache.Close(); cfg.Cache = shared })
		}
		t.Cleanup(shared.Close)
		synctest.Wait()
		fan := func(data string) []policy.Report {
			o := spooled(t, sp, data)
			defer o.Release()
			return fanOut(t.Context(), engines, all[0], o, false)
		}
		fresh := map[string][]policy.Report{}
		for data := range answers {
			fresh[data] = fan(data)
		}
		time.Sleep(20 * time.Second)
		for data := range answers {
			cached := fan(data)
			for i := range cached {
				if cached[i].Cached != string(origin) || fresh[data][i].Cached != "" {
					t.Fatalf("%q: %+v, then %+v", answers[data][i].Category, fresh[data][i], cached[i])
				}
			}
			for _, p := range all {
				v, w := p.Merge(fresh[data]), p.Merge(cached)
				if v.Category != w.Category || v.Action != w.Action || v.Code != w.Code || !slices.Equal(v.Names, w.Names) || v.ActionBy != w.ActionBy || v.Engine != w.Engine || v.Detail != w.Detail || v.Cause != w.Cause {
					t.Fatalf("fresh %+v\ncached %+v", v, w)
				}
				for _, profile := range profiles {
					if a, b := fmt.Sprint(profile.Line("stream", v)), fmt.Sprint(profile.Line("stream", w)); a != b {
						t.Fatalf("fresh %q, cached %q", a, b)
					}
					if a, b := fmt.Sprint(profile.AllMatchLines("stream", v)), fmt.Sprint(profile.AllMatchLines("stream", w)); a != b {
						t.Fatalf("fresh %q, cached %q", a, b)
					}
				}
			}
		}
	})
}

// spooled returns an object with the bytes of data, as a stream has them.
func spooled(t *testing.T, sp *spool.Spool, data string) *spool.Object {
	t.Helper()
	w := sp.Create(t.Context())
	if _, err := w.Write([]byte(data)); err != nil {
		t.Fatal(err)
	}
	o, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// TestCachedFan mixes results from the cache with scans.
func TestCachedFan(t *testing.T) {
	for _, tt := range []struct {
		name            string
		cached          backends.Result // of the first engine
		takes           time.Duration   // the second one
		optional        bool            // the second one
		want            backends.Category
		after           time.Duration
		asked, canceled bool // the second one
	}{
		{name: "a virus settles it", cached: backends.Found(1, "V"), takes: time.Hour, want: backends.Virus, canceled: true},
		{name: "ok waits for the other", cached: backends.Clean(0), takes: 2 * time.Second, want: backends.OK, after: 2 * time.Second, asked: true},
		{name: "max_delay begins immediately", cached: backends.Clean(0), takes: time.Hour, optional: true, want: backends.OK, after: 6 * time.Second, asked: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sp := spooltest.New(t, spool.Config{})
				a := &cachedEngine{answer: func(context.Context, string) (backends.Result, error) { return tt.cached, nil }}
				b := &cachedEngine{answer: func(ctx context.Context, _ string) (backends.Result, error) {
					select {
					case <-time.After(tt.takes):
						return backends.Clean(0), nil
					case <-ctx.Done():
						return backends.Result{}, ctx.Err()
					}
				}}
				first := a.start(t, sp, "a", nil)
				second := b.start(t, sp, "b", func(c *engine.Config) { c.CacheTTL, c.Required = 0, !tt.optional })
				synctest.Wait()
				o := spooled(t, sp, "object")
				defer o.Release()
				fanOut(t.Context(), []*engine.Engine{first}, policy.Default(), o, false)
				time.Sleep(10 * time.Second)
				begin := time.Now()
				reports := fanOut(t.Context(), []*engine.Engine{first, second}, policy.Default(), o, false)
				took := time.Since(begin)
				v := policy.Default().Merge(reports)
				if v.Category != tt.want || took < tt.after || took > tt.after+time.Second || reports[0].Cached != string(cache.Memory) {
					t.Errorf("%s after %v: %+v", v.Category, took, reports)
				}
				if asked := b.scans.Load() > 0; asked != tt.asked || reports[1].Cancelled != tt.canceled {
					t.Errorf("asked %v, canceled %v", asked, reports[1].Cancelled)
				}
			})
		})
	}
}
