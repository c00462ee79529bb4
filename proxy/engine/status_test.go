package engine

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/rs/zerolog"

	"polyclam/backends"
	"polyclam/proxy/count"
)

func TestStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := New(withCanary(&versioned{text: "Engine 1"}, &fakeEngine{err: errRefused}, &fakeEngine{blind: true}))
		wantState(t, e, "unknown", "unknown", "unknown")
		run(t, e)
		synctest.Wait()
		e.Scan(t.Context(), text("x"), false)
		s := e.Status()
		if s.Name != "fake" || s.Kind != "scripted" || !s.Required || e.Name() != "fake" || e.Kind() != "scripted" || !e.Required() {
			t.Errorf("status %+v", s)
		}
		up, down, blind := s.Nodes[0], s.Nodes[1], s.Nodes[2]
		want := Canary{Time: time.Now(), Clean: backends.OK, EICAR: backends.Virus, Name: "Eicar-Test-Signature", Encrypted: backends.Encrypted, Mail: backends.Virus}
		if up.Canary != want || up.Version != "Engine 1" || up.Counters.Scans != 1 || up.Counters.Results != (count.ByCategory{8: 1}) || !up.Usable || up.Blind {
			t.Errorf("up: %+v", up)
		}
		if down.Canary.Clean != backends.CannotExecute || down.Canary.EICAR != "" || down.Canary.Error == "" || down.Reason != down.Canary.Error || down.Usable || down.Blind {
			t.Errorf("down: %+v", down)
		}
		if blind.Canary.EICAR != backends.OK || blind.Canary.Error != "" || blind.Reason != missesEICAR || blind.Usable || !blind.Blind || blind.State != "down" {
			t.Errorf("blind: %+v", blind)
		}
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var back Status
		if err := json.Unmarshal(b, &back); err != nil || back.Nodes[0].Canary.Name != want.Name || back.Nodes[0].Counters.Results != up.Counters.Results {
			t.Errorf("%s: %v", b, err)
		}
	})
}

// TestLog checks that there is one line for each change, however many scans notice it, and
// that an engine's error neither breaks the line nor fills the disk.
func TestLog(t *testing.T) {
	for _, canary := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			log := &lines{}
			f := &fakeEngine{}
			cfg := config(f)
			cfg.Canary, cfg.Log = canary, zerolog.New(log)
			e := New(cfg)
			run(t, e)
			scan := func() {
				for range 30 {
					e.Scan(t.Context(), text("x"), false)
					time.Sleep(2 * time.Second)
				}
			}
			scan()
			hostile := "x\x00\xff\n{\"level\":\"fatal\"}" + strings.Repeat("é", 10_000)
			f.set(func(f *fakeEngine) { f.err = errors.Join(errRefused, errors.New(hostile)) })
			scan()
			f.set(func(f *fakeEngine) { f.err = nil })
			time.Sleep(30 * time.Second)
			scan()
			if n := log.count(`"info"`, `"node up"`, `"engine":"fake"`, `"node":"a"`); n != 1 {
				t.Errorf("canary %v: %d lines say that the node is up at first", canary, n)
			}
			if n := log.count(`"warn"`, `"node down"`, `"reason":`); n != 1 {
				t.Errorf("canary %v: %d lines say that it went down", canary, n)
			}
			if n := log.count(`"warn"`, `"node up"`); n != 1 {
				t.Errorf("canary %v: %d lines say that it is back", canary, n)
			}
			if n := log.count(""); n != 3 || log.buf.Len() > 2000 {
				t.Errorf("canary %v: %d lines, %d bytes:\n%s", canary, n, log.buf.Len(), log.buf.String())
			}
		})
	}
}

func TestLogPanic(t *testing.T) {
	log := &lines{}
	cfg := config(nil)
	cfg.Log = zerolog.New(log)
	e := New(cfg)
	defer e.Close()
	e.Scan(t.Context(), text("x"), false)
	if n := log.count(`"error"`, `"backend panicked"`, `"stack":"goroutine`, `"node":"a"`); n != 1 {
		t.Errorf("log:\n%s", log.buf.String())
	}
}

func TestBounded(t *testing.T) {
	for _, s := range []string{"", "short", strings.Repeat("a", 200), strings.Repeat("é", 150), "a" + strings.Repeat("é", 150), strings.Repeat("\xbf", 500)} {
		got := bounded(s)
		if !utf8.ValidString(got) || len(got) > 300 {
			t.Errorf("bounded(%q) = %q", s, got)
		}
		if len(s) <= 200 && got != s {
			t.Errorf("bounded(%q) = %q", s, got)
		}
		if len(s) > 200 && utf8.ValidString(s) && !strings.HasPrefix(s, strings.TrimSuffix(got, "...")) {
			t.Errorf("bounded(%q) = %q", s, got)
		}
	}
}
