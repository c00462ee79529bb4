package engine

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"polyclam/backends"
)

// dated is an engine that reports the time of its database.
type dated struct {
	fakeEngine
	database time.Time
}

func (d *dated) Version(context.Context) (backends.Version, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return backends.Version{Text: "Engine 1", DatabaseTime: d.database}, nil
}

func TestStaleSignatures(t *testing.T) {
	const week = 7 * 24 * time.Hour
	synctest.Test(t, func(t *testing.T) {
		log, d := &lines{}, &dated{database: time.Now()}
		cfg := withCanary(d)
		cfg.MaxSignatureAge, cfg.Log = week, zerolog.New(log)
		e := New(cfg)
		run(t, e)
		expect := func(when string, stale bool, warnings, infos int) {
			t.Helper()
			synctest.Wait()
			if got := e.Status().Nodes[0]; got.Stale != stale || got.State != "up" {
				t.Errorf("%s: stale %v and %s, want %v and up", when, got.Stale, got.State, stale)
			}
			if n := log.count(`"warn"`, `"signatures are old"`, `"max_signature_age":"7 days"`); n != warnings {
				t.Errorf("%s: %d warnings, want %d", when, n, warnings)
			}
			if n := log.count(`"info"`, `"signatures are recent again"`); n != infos {
				t.Errorf("%s: %d times recent again, want %d", when, n, infos)
			}
		}
		time.Sleep(week - time.Hour)
		expect("before max_signature_age", false, 0, 0)
		time.Sleep(2 * time.Hour)
		expect("after it", true, 1, 0)
		time.Sleep(20 * time.Hour)
		expect("on the same day", true, 1, 0)
		time.Sleep(50 * time.Hour)
		expect("two days later", true, 3, 0)
		d.set(func(*fakeEngine) { d.database = time.Now() })
		time.Sleep(time.Hour)
		expect("after an update", false, 3, 1)
	})
}

func TestStaleLimits(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		name     string
		database time.Time
		most     time.Duration
		want     bool
	}{
		{"older", now.Add(-2 * time.Hour), time.Hour, true},
		{"newer", now.Add(-time.Minute), time.Hour, false},
		{"no limit", now.Add(-1e6 * time.Hour), 0, false},
		{"unknown age", time.Time{}, time.Hour, false},
		{"in the future", now.Add(time.Hour), time.Minute, false},
	} {
		if got := isStale(c.database, c.most); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
