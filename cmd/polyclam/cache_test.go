package main

import (
	"encoding/json"
	"strings"
	"testing"

	"polyclam/protocol/extended"
	"polyclam/proxy/cache"
	"polyclam/proxy/engine"
	"polyclam/proxy/ops/admin"
)

var fullCache = admin.Cache{
	On: true,
	Stats: cache.Stats{
		Memory:  cache.MemoryStats{Limit: 32 << 20, Bytes: 1 << 20, Entries: 1, Added: 9, Evicted: 8},
		Shared:  &cache.SharedStats{Address: "tcp:r:6379", State: "down", Reason: "connection refused\x1b", Hint: "look\x1b", Hits: 1, Misses: 2, Added: 3, Late: 4, Failed: 5, Skipped: 6, Forged: 7, Dropped: 8},
		Pending: cache.PendingStats{Waiting: 4, Confirmed: 5, Dropped: 6},
	},
	Engines: []admin.EngineCache{
		{Engine: "clamav", CacheCounters: engine.CacheCounters{Memory: 60, Shared: 5, Joined: 1, Misses: 34, NotCacheable: 3, Object: 1, File: 1}},
		{Engine: "inspect\u202e", CacheCounters: engine.CacheCounters{NotCacheable: 100, NoVersion: 100}},
	},
}

func TestCacheText(t *testing.T) {
	memory := fullCache
	memory.Shared, memory.Engines = nil, memory.Engines[:1]
	shared := fullCache
	shared.Memory, shared.Engines = cache.MemoryStats{}, nil
	for name, c := range map[string]struct {
		cache admin.Cache
		want  string
	}{
		"all": {fullCache, `memory: 1 result in 1 MiB of 32 MiB, 9 added, 8 removed for lack of room
shared store: down at tcp:r:6379
  reason: connection refused\x1b
  hint: look\x1b
  1 hits, 2 misses, 3 written, 8 writes lost
  without an answer: 4 late, 5 failed, 6 not asked
  rejected: 7 not genuine, damaged or too old
waiting for a health check: 4; confirmed 5, dropped 6

ENGINE         HIT RATE  MEMORY  SHARED  JOINED  SCANNED  NOT CACHED
clamav         66 %      60      5       1       34       3
inspect\u202e  -         0       0       0       0        100
clamav, not cached: 1 empty, too large or test objects; 1 client files, of which no results are kept; 1 not hashed in time
inspect\u202e, not cached: 100 without a known version
`},
		"memory": {memory, `memory: 1 result in 1 MiB of 32 MiB, 9 added, 8 removed for lack of room
shared store: none
waiting for a health check: 4; confirmed 5, dropped 6

ENGINE  HIT RATE  MEMORY  SHARED  JOINED  SCANNED  NOT CACHED
clamav  66 %      60      5       1       34       3
clamav, not cached: 1 empty, too large or test objects; 1 client files, of which no results are kept; 1 not hashed in time
`},
		"shared": {shared, `memory: off
shared store: down at tcp:r:6379
  reason: connection refused\x1b
  hint: look\x1b
  1 hits, 2 misses, 3 written, 8 writes lost
  without an answer: 4 late, 5 failed, 6 not asked
  rejected: 7 not genuine, damaged or too old
waiting for a health check: 4; confirmed 5, dropped 6

ENGINE  HIT RATE  MEMORY  SHARED  JOINED  SCANNED  NOT CACHED
`},
		"off": {admin.Cache{Engines: []admin.EngineCache{{Engine: "clamav"}}}, "the cache is off: the configuration has memory = \"0\" and no redis in [cache]\n"},
	} {
		if got := cacheText(&c.cache); got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, c.want)
		}
	}
}

// TestCacheStats asks an admin socket.
func TestCacheStats(t *testing.T) {
	text, err := json.Marshal(fullCache)
	if err != nil {
		t.Fatal(err)
	}
	a := newFakeAdmin(t, map[string]string{"/cache": string(text)})
	r := polyclam(t, "", "cache", "--admin", a.path, "stats")
	r.wantStatus(t, exitOK)
	if want := cacheText(&fullCache); r.stdout != want {
		t.Errorf("got\n%s\nwant\n%s", r.stdout, want)
	}
	r = polyclam(t, "", "cache", "--admin", a.path, "stats", "--json")
	r.wantStatus(t, exitOK)
	wantParts(t, r.stdout, `"on":true`, `"rejected":7`, `"engine":"clamav"`, `"not_cacheable":3`, `"no_version":100`)
	a.set("/cache", `{"error":"this polyclamd has no such command"}`)
	r = polyclam(t, "", "cache", "--admin", a.path, "stats")
	r.wantStatus(t, exitFound)
	wantParts(t, r.stderr, "this polyclamd has no such command")
}

func TestCacheLine(t *testing.T) {
	for want, c := range map[string]extended.CacheState{
		"":                                  {},
		"cache: 1 MiB of 32 MiB":            {CacheUsed: 1 << 20, CacheLimit: 32 << 20},
		"cache: no memory, shared store up": {CacheShared: "up"},
		"cache: 0 bytes of 32 MiB, 75 % of the results without a scan, shared store down: polyclam cache stats shows why": {CacheLimit: 32 << 20, CacheHits: 3, CacheMisses: 1, CacheShared: "down"},
	} {
		if got := cacheLine(c); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestCacheTrouble checks that the status says what is wrong with the shared store, and what
// to do.
func TestCacheTrouble(t *testing.T) {
	const hint = "run in redis-cli: ACL SETUSER me +set"
	for _, tt := range []struct{ state, reason, hint, want string }{
		{"up", "", "", "shared store up\n"},
		{"down", "", "", "shared store down: polyclam cache stats shows why\n"},
		{"up", "the user may not do this\x1b", hint, "shared store up\nshared store: the user may not do this\\x1b; " + hint + "\n"},
		{"down", "no answer", "", "shared store down\nshared store: no answer\n"},
	} {
		st := serverStatus{}
		st.CacheState = extended.CacheState{CacheShared: tt.state, CacheReason: tt.reason, CacheHint: tt.hint}
		var b strings.Builder
		st.writeServer(&b)
		if !strings.HasSuffix(b.String(), tt.want) {
			t.Errorf("got %q, want it to end with %q", b.String(), tt.want)
		}
	}
}
