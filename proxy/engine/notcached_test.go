package engine

import (
	"testing"
	"testing/synctest"

	"polyclam/backends"
	"polyclam/backends/testfile"
)

// TestNotCachedReasons counts why the cache was not asked.
func TestNotCachedReasons(t *testing.T) {
	for _, tt := range []struct {
		name   string
		engine backends.Backend
		object Object
		change func(*Config)
		want   string
	}{
		{"a stream", &versioned{text: "one"}, streamOf("a"), nil, ""},
		{"no version", &fakeEngine{}, streamOf("a"), nil, "version"},
		{"empty", &versioned{text: "one"}, streamOf(""), nil, "object"},
		{"a test object", &versioned{text: "one"}, streamOf(string(testfile.EICAR())), nil, "object"},
		{"larger than max_size", &versioned{text: "one"}, streamOf("abc"), func(c *Config) { c.MaxSize = 2 }, "object"},
		{"a client's file", &versioned{text: "one"}, text("a"), nil, "file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := withCache(tt.engine)
				if tt.change != nil {
					tt.change(&c)
				}
				e := New(c)
				run(t, e)
				synctest.Wait()
				askCached(t.Context(), e, tt.object, false)
				total := uint64(0)
				for _, r := range e.Status().Cache.Reasons() {
					want := uint64(0)
					if r.Name == tt.want {
						want = 1
					}
					if total += r.Count; r.Count != want {
						t.Errorf("%d for the reason %s, want %d", r.Count, r.Name, want)
					}
				}
				if n := e.Status().Cache.NotCacheable; n != total {
					t.Errorf("%d not cacheable, but reasons for %d", n, total)
				}
			})
		})
	}
}
