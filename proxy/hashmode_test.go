package proxy

import (
	"context"
	"testing"

	"polyclam/backends"
	"polyclam/proxy/spool"
)

// TestHashMode checks which log lines have a hash, also where something else needed the hash
// before.
func TestHashMode(t *testing.T) {
	for _, tt := range []struct {
		mode                 HashMode
		clean, other, needed bool // a hash is logged
	}{
		{HashAlways, true, true, true},
		{HashFound, false, true, true},
		{HashNever, false, false, false},
		{"", false, false, false},
	} {
		check := func(what string, c backends.Category, early, want bool) {
			t.Helper()
			e := testEngine{name: "a", backend: reporting(c)}
			if early {
				e.backend = hashing256{}
			}
			ts := newServer(t, func(c *Config) { c.Hash = tt.mode }, e)
			ts.ask("zINSTREAM\x00" + stream("x", 1))
			line := ts.logLine("scanned")
			if _, got := line["sha256"]; got != want || line["sha256_left_out"] != nil {
				t.Errorf("%q, %s: hash %v, want %v: %v", tt.mode, what, got, want, line)
			}
		}
		check("clean", backends.OK, false, tt.clean)
		check("found", backends.Virus, false, tt.other)
		check("encrypted", backends.Encrypted, false, tt.other)
		check("failed", backends.SWErr, false, tt.other)
		check("needed before", backends.OK, true, tt.needed)
	}
}

// hashing256 is an engine that has the object's hash computed, as a cache does.
type hashing256 struct{}

func (hashing256) Scan(ctx context.Context, o backends.Object) (backends.Result, error) {
	if _, err := o.(*spool.Object).Sum(ctx); err != nil {
		return backends.Result{}, err
	}
	return backends.Clean(0), nil
}
