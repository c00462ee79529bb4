package proxy

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"polyclam/backends"
	"polyclam/proxy/policy"
	"polyclam/proxy/record"
)

// TestCachedRecord checks what the record and the log line of an engine have if its result
// came from the cache, and that they say nothing about it if it did not.
func TestCachedRecord(t *testing.T) {
	clean := backends.Clean(0)
	for _, tt := range []struct {
		name   string
		report policy.Report
		want   record.Engine // Cached and CachedAge
		log    string        // empty: nothing about the cache
	}{
		{"asked", policy.Report{Result: clean}, record.Engine{}, ""},
		{"memory", policy.Report{Result: clean, Cached: "memory", CachedAge: 1500 * time.Millisecond}, record.Engine{Cached: "memory", CachedAge: 1500 * time.Millisecond}, `"cached":"memory","cached_age_ms":1500`},
		{"another host's clock", policy.Report{Result: clean, Cached: "shared", CachedAge: -time.Second}, record.Engine{Cached: "shared"}, `"cached":"shared","cached_age_ms":0`},
		{"joined", policy.Report{Result: backends.Found(1, "X"), Cached: "joined"}, record.Engine{Cached: "joined"}, `"cached":"joined","cached_age_ms":0`},
		{"cancelled", policy.Report{Cancelled: true, Cached: "memory"}, record.Engine{}, ""},
	} {
		tt.report.Engine = "e"
		v := policy.Default().Merge([]policy.Report{tt.report, {Engine: "f", Required: true, Result: clean}})
		rec := engineRecord(&v.Reports[0])
		if rec.Cached != tt.want.Cached || rec.CachedAge != tt.want.CachedAge {
			t.Errorf("%s: the record is %+v", tt.name, rec)
		}
		var b strings.Builder
		log := zerolog.New(&b)
		log.Info().Dict("e", engineFields(&rec)).Send()
		if !json.Valid([]byte(b.String())) || !strings.Contains(b.String(), tt.log) || tt.log == "" && strings.Contains(b.String(), "cached") {
			t.Errorf("%s: the log line is %s, want %s", tt.name, b.String(), tt.log)
		}
	}
}
