package admin

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"polyclam/proxy"
	"polyclam/proxy/cache"
	"polyclam/proxy/engine"
	"polyclam/test/testkit"
)

// fakeCache is a cache with given counters.
type fakeCache struct {
	mu      sync.Mutex
	stats   cache.Stats
	err     error // of the shared store
	hangs   bool  // the shared store
	flushed []bool
}

func (c *fakeCache) Stats() cache.Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stats
}

func (c *fakeCache) Flush(ctx context.Context, shared bool) error {
	c.mu.Lock()
	c.flushed = append(c.flushed, shared)
	c.stats.Memory.Entries = 0
	err, hangs := c.err, c.hangs && shared
	c.mu.Unlock()
	if hangs {
		<-ctx.Done()
		return ctx.Err()
	}
	if shared {
		return err
	}
	return nil
}

var (
	memoryOnly = cache.Stats{Memory: cache.MemoryStats{Limit: 1 << 20, Bytes: 99, Entries: 7}}
	withShared = cache.Stats{Memory: memoryOnly.Memory, Shared: &cache.SharedStats{Address: "redis\x1b:6379", State: "down", Reason: "refused\n" + strings.Repeat("x", 5000), Hint: "hint\n" + strings.Repeat("x", 5000)}}
)

func TestFlushCache(t *testing.T) {
	const notConfirmed = `{"error":"every host that uses the shared store would scan everything again; with force it is done nevertheless","force":true}`
	down := errors.New("connection refused\x1b")
	for _, c := range []struct {
		name, body string
		cache      *fakeCache
		status     int
		want, log  string
		flushed    int
	}{
		{"off", `{}`, &fakeCache{}, 409, `{"error":"the cache is off: the configuration has memory = \"0\" and no redis in [cache]"}`, `"command":"cache flush","wanted":"memory","error":"the cache is off`, 0},
		{"memory", ``, &fakeCache{stats: memoryOnly}, 200, `{"entries":7,"shared":false,"kept":false}`, `"command":"cache flush","wanted":"memory","before":"7 results in memory","after":"0 results in memory"`, 1},
		{"memory alone of two", `{}`, &fakeCache{stats: withShared, err: down}, 200, `{"entries":7,"shared":false,"kept":true}`, `"wanted":"memory","before"`, 1},
		{"no shared store", `{"shared":true,"force":true}`, &fakeCache{stats: memoryOnly}, 409, `{"error":"there is no shared store: the configuration has no redis in [cache]"}`, `"force":true,"error":"there is no shared store`, 0},
		{"not confirmed", `{"shared":true}`, &fakeCache{stats: withShared}, 409, notConfirmed, `"wanted":"memory and shared store","error":"every host`, 0},
		{"shared", `{"shared":true,"force":true}`, &fakeCache{stats: withShared}, 200, `{"entries":7,"shared":true,"kept":false}`, `"wanted":"memory and shared store","force":true,"before":"7 results`, 1},
		{"shared is down", `{"shared":true,"force":true}`, &fakeCache{stats: withShared, err: down}, 502,
			`{"error":"the memory of this polyclamd is flushed, but not the shared store redis\\x1b:6379: connection refused\\x1b; try again when it is up, see polyclam cache stats"}`, `"error":"the memory of this`, 1},
		{"shared hangs", `{"shared":true,"force":true}`, &fakeCache{stats: withShared, hangs: true}, 502, `but not the shared store redis\\x1b:6379: it does not answer; try again`, `it does not answer`, 1},
		{"unknown key", `{"redis":true}`, &fakeCache{stats: withShared}, 400, `unknown key \"redis\"`, "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, &fakeControls{})
			w.handler.cache = func() flusher { return c.cache }
			w.handler.flushTime = 50 * time.Millisecond
			status, got := w.post("/cache/flush", c.body)
			if status != c.status || !strings.Contains(got, c.want) {
				t.Errorf("%d %s\nwant %d %s", status, got, c.status, c.want)
			}
			log := w.log.String()
			if c.log == "" {
				if log != "" {
					t.Errorf("the log is %s", log)
				}
			} else if !strings.Contains(log, c.log) || !strings.Contains(log, `"user":"`+user+`"`) || strings.Count(log, `"message":"admin command"`) != 1 {
				t.Errorf("the log is %s\nwant one line with %s and the user", log, c.log)
			}
			if len(c.cache.flushed) != c.flushed {
				t.Errorf("flushed %v", c.cache.flushed)
			}
		})
	}
}

// TestFlushOneAtATime has a shared store that hangs: a second command is refused, and other
// commands stay possible.
func TestFlushOneAtATime(t *testing.T) {
	w := newWorld(t, &fakeControls{}, newFake("a", "unix:/a", "up", "unix:/b", "up"))
	c := &fakeCache{stats: withShared, hangs: true}
	w.handler.cache = func() flusher { return c }
	w.handler.flushTime = time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	var waiting sync.WaitGroup
	waiting.Go(func() {
		w.handler.flushCache(request(ctx), flushRequest{Shared: true, Force: true})
	})
	testkit.Eventually(t, "one waits", func() bool { return len(w.handler.flushes) == maxFlushes })
	if status, got := w.post("/cache/flush", "{}"); status != 503 || !strings.Contains(got, "another command flushes the cache") {
		t.Errorf("%d %s", status, got)
	}
	if status, got := w.post("/node/drain", `{"engine":"a","node":"unix:/a"}`); status != 200 {
		t.Errorf("%d %s", status, got)
	}
	cancel()
	waiting.Wait()
	if status, got := w.post("/cache/flush", "{}"); status != 200 {
		t.Errorf("%d %s", status, got)
	}
}

func TestCacheStats(t *testing.T) {
	w := newWorld(t, &fakeControls{})
	snap := proxy.Snapshot{Cache: withShared, Engines: []engine.Status{{Name: "clamav", Cache: engine.CacheCounters{Memory: 3, Misses: 4}}}}
	w.handler.snapshot = func() proxy.Snapshot { return snap }
	status, got := w.do("GET", "/cache", "")
	var answer Cache
	if err := json.Unmarshal([]byte(got), &answer); status != 200 || err != nil {
		t.Fatalf("%d %s: %v", status, got, err)
	}
	if s := answer.Shared; !answer.On || s == nil || s.Address != `redis\x1b:6379` || !strings.HasPrefix(s.Reason, `refused\x0axxx`) || len(s.Reason) > 2*maxError || !strings.HasPrefix(s.Hint, `hint\x0axxx`) || len(s.Hint) > 2*maxError {
		t.Errorf("got %+v, %+v", answer, answer.Shared)
	}
	if snap.Cache.Shared.Address != withShared.Shared.Address || !strings.Contains(snap.Cache.Shared.Reason, "\n") {
		t.Error("the snapshot itself was changed")
	}
	if len(answer.Engines) != 1 || answer.Engines[0].Engine != "clamav" || answer.Engines[0].Hits() != 3 || answer.Memory.Bytes != 99 {
		t.Errorf("got %+v", answer)
	}
	snap = proxy.Snapshot{}
	if _, got := w.do("GET", "/cache", ""); !strings.Contains(got, `"on":false`) || !strings.Contains(got, `"engines":[]`) {
		t.Errorf("off: %s", got)
	}
}
