package engine

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestReloadStops has the second node not come back, for several reasons.
func TestReloadStops(t *testing.T) {
	tests := []struct {
		name   string
		change func(*loading)
		reason string
	}{
		{"hangs", func(l *loading) { l.takes = time.Hour }, "no answer within 10m0s after RELOAD"},
		{"dies", func(l *loading) { l.takes, l.canary = 0, errRefused }, "connection refused"},
		{"is blind", func(l *loading) { l.blinded = true }, missesEICAR},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				engines := fleet()
				log := new(lines)
				e := upAndRunning(t, log, nil, engines...)
				engines[1].set(func(*fakeEngine) { tt.change(engines[1]) })
				done := make(chan error, 1)
				go func() { done <- e.Reload(t.Context()) }()
				var m mails
				m.send(t, e, 50*time.Millisecond, 40*time.Second)
				err := <-done
				m.under.Wait()
				if longest := time.Duration(m.longest.Load()); longest != 300*time.Millisecond {
					t.Errorf("longest scan %v", longest)
				}
				for _, want := range []string{"reload fake b: it did not come back: ", tt.reason, "; the nodes after it keep their old signatures"} {
					if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
						t.Errorf("error %v, want %q in one line", err, want)
					}
				}
				for i, want := range []int{1, 1, 0} {
					if reloads, _ := engines[i].counts(); reloads != want {
						t.Errorf("engine %d: %d reloads, want %d", i, reloads, want)
					}
				}
				wantState(t, e, "up", "down", "up")
				if n := log.count("node down", `"node":"b"`); n != 1 {
					t.Errorf("%d log lines say that it is down", n)
				}
				engines[1].set(func(f *fakeEngine) { engines[1].blinded, f.blind, f.canary = false, false, nil })
				time.Sleep(2 * time.Hour)
				wantState(t, e, "up", "up", "up")
			})
		})
	}
}

// TestReloadRefused has an engine that refuses RELOAD but works: the others follow.
func TestReloadRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engines := fleet()
		engines[0].fails = errors.New("COMMAND UNAVAILABLE")
		e := upAndRunning(t, nil, nil, engines...)
		err := e.Reload(t.Context())
		if err == nil || err.Error() != "reload fake a: COMMAND UNAVAILABLE" {
			t.Errorf("error %v", err)
		}
		if reloads, _ := engines[2].counts(); reloads != 1 {
			t.Errorf("%d reloads of the last node", reloads)
		}
		wantState(t, e, "up", "up", "up")
	})
}

// TestReloadDownBefore has a node that is dead already: the reload goes on.
func TestReloadDownBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engines := fleet()
		engines[0].err, engines[0].fails = errRefused, errRefused
		e := upAndRunning(t, nil, nil, engines...)
		wantState(t, e, "down", "up", "up")
		if err := e.Reload(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "reload fake a: dial: ") {
			t.Errorf("error %v", err)
		}
		for i, f := range engines {
			if reloads, _ := f.counts(); reloads != 1 {
				t.Errorf("engine %d: %d reloads", i, reloads)
			}
		}
	})
}

// TestReloadLastNode has the other node die while one loads: scans go to the loading node
// immediately, and none is refused while it may still answer.
func TestReloadLastNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engines := fleet()
		e := upAndRunning(t, nil, func(c *Config) { c.Timeout, c.MaxScans = time.Minute, 1000 }, engines[:2]...)
		go e.Reload(t.Context())
		time.Sleep(5 * time.Second)
		wantStates(t, e, "reloading", "up")
		engines[1].set(func(f *fakeEngine) { f.err = errRefused })
		var m mails
		m.send(t, e, 100*time.Millisecond, 10*time.Second)
		wantStates(t, e, "up", "down")
		m.under.Wait()
		if _, early := engines[0].counts(); early == 0 {
			t.Error("the loading node got no scans")
		}
	})
}

// TestReloadClosed closes the engine during a reload.
func TestReloadClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engines := fleet()
		e := upAndRunning(t, nil, nil, engines...)
		done := make(chan error, 1)
		go func() { done <- e.Reload(t.Context()) }()
		time.Sleep(5 * time.Second)
		e.Close()
		if err := <-done; err == nil || !strings.Contains(err.Error(), "the engine is closed") {
			t.Errorf("error %v", err)
		}
		time.Sleep(time.Minute)
		if reloads, _ := engines[1].counts(); reloads != 0 {
			t.Error("the reload went on")
		}
	})
}
