// Package spooltest makes spools for tests.
package spooltest

import (
	"path/filepath"
	"testing"
	"time"

	"polyclam/proxy/spool"
)

// New returns a spool with settings cfg, by default in a new directory. When the
// test ends, all objects must be released soon.
func New(t testing.TB, cfg spool.Config) *spool.Spool {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = filepath.Join(t.TempDir(), "spool")
	}
	s, err := spool.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Drain(time.Minute)
		got := s.Stats()
		got.Total, got.Pooled = 0, 0
		if got != (spool.Stats{}) {
			t.Errorf("left in the spool: %+v", got)
		}
		s.Close()
	})
	return s
}
