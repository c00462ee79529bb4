package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"polyclam/proxy/engine"
	"polyclam/test/testkit"
)

const wouldFail = ": every scan would be answered with ERROR, and every mail would be tempfailed; with force it is done nevertheless"

func TestCommands(t *testing.T) {
	mail := func() []*fakeEngine {
		optional := newFake("extra", "", "up")
		optional.optional = true
		return []*fakeEngine{newFake("clamav", "unix:/a", "up", "unix:/b", "up"), newFake("inspect", "", "up"), optional}
	}
	for _, c := range []struct {
		name, path, body string
		status           int
		want             string
		log              string // a part of the log line; empty: no line
	}{
		{"drain one node", "/node/drain", `{"engine":"clamav","node":"unix:/a"}`, 200,
			`{"engine":"clamav","nodes":[{"address":"unix:/a","before":"up","after":"drained"}]}`,
			`"command":"node drain","engine":"clamav","node":"unix:/a","before":"up","after":"drained","message":"admin command"`},
		{"drain the last", "/node/drain", `{"engine":"clamav"}`, 409,
			`{"error":"clamav, which is required, would have no usable node` + wouldFail + `","force":true}`,
			`"command":"node drain","engine":"clamav","error":"clamav, which is required, would have no usable node`},
		{"drain the last by force", "/node/drain", `{"engine":"clamav","force":true}`, 200,
			`{"engine":"clamav","nodes":[{"address":"unix:/a","before":"up","after":"drained"},{"address":"unix:/b","before":"up","after":"drained"}]}`,
			`"force":true,"before":"up, up","after":"drained, drained"`},
		{"drain an optional engine", "/node/drain", `{"engine":"extra"}`, 200, `{"engine":"extra","nodes":[{"address":"","before":"up","after":"drained"}]}`, `"engine":"extra"`},
		{"resume", "/node/resume", `{"engine":"clamav","node":"unix:/b"}`, 200,
			`{"engine":"clamav","nodes":[{"address":"unix:/b","before":"up","after":"up"}]}`, `"command":"node resume"`},
		{"unknown engine", "/node/drain", `{"engine":"clamv"}`, 404, `{"error":"unknown engine \"clamv\"; known: clamav, inspect, extra"}`, `"engine":"clamv","error":"unknown engine`},
		{"no engine", "/node/drain", ``, 400, `{"error":"the request names no engine; known: clamav, inspect, extra"}`, `"error"`},
		{"unknown node", "/node/drain", `{"engine":"clamav","node":"unix:/c"}`, 404, `{"error":"unknown node \"unix:/c\" of clamav; known: unix:/a, unix:/b"}`, `"error"`},
		{"node of an engine without one", "/node/drain", `{"engine":"inspect","node":"unix:/c"}`, 404, `{"error":"inspect has no nodes with addresses; leave the node out"}`, `"error"`},
		{"hostile name", "/node/drain", `{"engine":"\u001b[31m\n\u202ex"}`, 404, `{"error":"unknown engine \"\\x1b[31m\\x0a\\xe2\\x80\\xaex\"; known: clamav, inspect, extra"}`, `"engine":"\\x1b[31m\\x0a\\xe2\\x80\\xaex"`},
		{"long name", "/node/drain", `{"engine":"` + strings.Repeat("a", 999) + `"}`, 404, `{"error":"unknown engine \"` + strings.Repeat("a", 256) + `...\"; known: clamav, inspect, extra"}`, strings.Repeat("a", 256) + `..."`},
		{"observe", "/engine/mode", `{"engine":"extra","mode":"observe"}`, 200, `{"engine":"extra","before":"on","after":"observe"}`, `"command":"engine mode","engine":"extra","wanted":"observe","before":"on","after":"observe"`},
		{"off", "/engine/mode", `{"engine":"clamav","mode":"off"}`, 200, `{"engine":"clamav","before":"on","after":"off"}`, `"after":"off"`},
		{"unknown mode", "/engine/mode", `{"engine":"clamav","mode":"of"}`, 400, `{"error":"unknown mode \"of\"; known: on, observe, off"}`, `"wanted":"of","error"`},
		{"level", "/log", `{"level":"debug"}`, 200, `{"before":"info","after":"debug"}`, `"command":"log","wanted":"debug","before":"info","after":"debug"`},
		{"unknown level", "/log", `{"level":"loud"}`, 400, `{"error":"no such level"}`, `"wanted":"loud","error":"no such level"`},
		{"reload", "/reload", `{}`, 200, `{"changes":["limits.stream: 1 -\u003e 2"],"warnings":["old"]}`, `"command":"reload","changes":["limits.stream: 1 -> 2"]`},
		{"health", "/health", `{"engine":"inspect"}`, 200, `"name":"inspect","kind":""`, `"command":"health","engine":"inspect","before":"up","after":"up"`},
		{"health of none", "/health", `{"engine":"x"}`, 404, `{"error":"unknown engine \"x\"; known: clamav, inspect, extra"}`, `"error"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, &fakeControls{lines: []string{"limits.stream: 1 -> 2", WarningPrefix + "old"}}, mail()...)
			status, got := w.post(c.path, c.body)
			if status != c.status || !strings.Contains(got, c.want) {
				t.Errorf("%d %s\nwant %d %s", status, got, c.status, c.want)
			}
			log := w.log.String()
			if !strings.Contains(log, c.log) || !strings.Contains(log, `"user":"`+user+`"`) || strings.Count(log, `"message":"admin command"`) != 1 {
				t.Errorf("the log is %s\nwant one line with %s and the user", log, c.log)
			}
		})
	}
}

// TestHostileRequests has requests that no command may come from.
func TestHostileRequests(t *testing.T) {
	for _, c := range []struct {
		name, method, path, body string
		status                   int
		want                     string
	}{
		{"unknown key", "POST", "/node/drain", `{"engine":"a","nodes":"unix:/a"}`, 400, `the request is wrong: unknown key \"nodes\"`},
		{"wrong type", "POST", "/node/drain", `{"engine":["a"]}`, 400, `\"engine\" has a value of the wrong type`},
		{"no object", "POST", "/node/drain", `[]`, 400, "it must be a JSON object"},
		{"two objects", "POST", "/node/drain", `{"engine":"a"}{"engine":"b"}`, 400, "something follows its JSON object"},
		{"not JSON", "POST", "/node/drain", `engine=a`, 400, "it is not valid JSON"},
		{"cut off", "POST", "/node/drain", `{"engine":"a"`, 400, "it is not valid JSON"},
		{"deep", "POST", "/node/drain", strings.Repeat("[", 20000), 400, "the request is wrong"},
		{"large", "POST", "/node/drain", `{"engine":"` + strings.Repeat("a", maxBody) + `"}`, 413, "larger than 65536 bytes"},
		{"key of another command", "POST", "/reload", `{"level":"debug"}`, 400, "unknown key"},
		{"method", "GET", "/node/drain", ``, 405, "wants the method POST"},
		{"method of a question", "POST", "/status", ``, 405, "wants the method GET"},
		{"path", "POST", "/node", ``, 404, "has no such command"},
		{"path with dots", "POST", "/x/../node/drain", `{"engine":"a"}`, 404, "has no such command"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newFake("a", "unix:/a", "up", "unix:/b", "up")
			w := newWorld(t, &fakeControls{}, a)
			status, got := w.do(c.method, c.path, c.body)
			if status != c.status || !strings.Contains(got, c.want) {
				t.Errorf("%d %s\nwant %d %s", status, got, c.status, c.want)
			}
			for _, n := range a.Status().Nodes {
				if n.Drained {
					t.Errorf("node %s is drained", n.Address)
				}
			}
		})
	}
}

// TestWebPage checks that a page in a browser cannot steer.
func TestWebPage(t *testing.T) {
	w := newWorld(t, &fakeControls{})
	r, _ := http.NewRequest("POST", "http://admin/reload", nil)
	r.Header.Set("Origin", "http://localhost")
	resp, err := w.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("status %d, want 403", resp.StatusCode)
	}
}

// TestLoggedAtEveryLevel checks that a log that only has errors still has the commands.
func TestLoggedAtEveryLevel(t *testing.T) {
	w := newWorld(t, &fakeControls{})
	w.handler.log = w.handler.log.Level(zerolog.ErrorLevel)
	w.post("/log", `{"level":"debug"}`)
	if log := w.log.String(); !strings.Contains(log, `"level":"info"`) || !strings.Contains(log, "admin command") {
		t.Errorf("the log is %q", log)
	}
}

func TestReloadRefused(t *testing.T) {
	w := newWorld(t, &fakeControls{err: errors.New("config.toml:3: limits.stream: bad")})
	status, got := w.post("/reload", "")
	if want := `{"error":"config.toml:3: limits.stream: bad"}`; status != 409 || got != want {
		t.Errorf("%d %s, want 409 %s", status, got, want)
	}
}

// TestReloadTakesLong has a reload that hangs: requests are answered, too many are refused,
// and the other commands stay possible.
func TestReloadTakesLong(t *testing.T) {
	w := newWorld(t, &fakeControls{hangs: true}, newFake("a", "unix:/a", "up", "unix:/b", "up"))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var waiting sync.WaitGroup
	for range maxReloads {
		waiting.Go(func() {
			r, _ := http.NewRequestWithContext(ctx, "POST", "http://admin/reload", nil)
			if resp, err := w.client.Do(r); err == nil {
				resp.Body.Close()
				t.Error("a canceled request is answered")
			}
		})
	}
	testkit.Eventually(t, "all wait", func() bool { return len(w.handler.reloads) == maxReloads })
	if status, got := w.post("/reload", ""); status != 503 || !strings.Contains(got, "3 other commands wait for a reload") {
		t.Errorf("%d %s", status, got)
	}
	if status, got := w.post("/node/drain", `{"engine":"a","node":"unix:/a"}`); status != 200 {
		t.Errorf("%d %s", status, got)
	}
	cancel()
	waiting.Wait()
	testkit.Eventually(t, "their log lines", func() bool {
		return strings.Count(w.log.String(), "did not wait for the end of the reload") == maxReloads
	})
}

func TestSlowReload(t *testing.T) {
	w := newWorld(t, &fakeControls{hangs: true})
	w.handler.reloadTime = time.Millisecond
	if status, got := w.post("/reload", ""); status != 504 || !strings.Contains(got, "the reload takes long and goes on") {
		t.Errorf("%d %s", status, got)
	}
}

// TestReloadManyChanges checks that the answer has all changes, and the log the first ones.
func TestReloadManyChanges(t *testing.T) {
	c := &fakeControls{}
	for i := range 50 {
		c.lines = append(c.lines, fmt.Sprintf("change %d.", i))
	}
	w := newWorld(t, c)
	_, got := w.post("/reload", "")
	if n := strings.Count(got, "change"); n != 51 {
		t.Errorf("the answer has %d changes", n-1)
	}
	if log := w.log.String(); strings.Count(log, "change ") != 20 || !strings.Contains(log, `"30 more"`) {
		t.Errorf("the log is %s", log)
	}
}

// TestHealthChecks checks the time limit and the bound on requests that wait.
func TestHealthChecks(t *testing.T) {
	slow := newFake("slow", "unix:/a", "up")
	slow.check = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	broken := newFake("broken", "unix:/a", "up")
	broken.check = func(context.Context) error { return errors.New("it has no canary") }
	w := newWorld(t, &fakeControls{}, slow, broken)
	if status, got := w.post("/health", `{"engine":"broken"}`); status != 409 || !strings.Contains(got, "broken: it has no canary") {
		t.Errorf("%d %s", status, got)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var waiting sync.WaitGroup
	for range maxChecks {
		waiting.Go(func() {
			r, _ := http.NewRequestWithContext(ctx, "POST", "http://admin/health", strings.NewReader(`{"engine":"slow"}`))
			if resp, err := w.client.Do(r); err == nil {
				resp.Body.Close()
				t.Error("a canceled request is answered")
			}
		})
	}
	testkit.Eventually(t, "all wait", func() bool { return len(w.handler.checks) == maxChecks })
	if status, got := w.post("/health", `{"engine":"slow"}`); status != 503 || !strings.Contains(got, "3 other commands wait") {
		t.Errorf("%d %s", status, got)
	}
	cancel()
	waiting.Wait()
	testkit.Eventually(t, "none waits", func() bool { return len(w.handler.checks) == 0 })
	testkit.Eventually(t, "their log lines", func() bool {
		return strings.Count(w.log.String(), "did not wait for the end of the check") == maxChecks
	})
}

// TestHealthCheckTakesLong checks that a check that does not end is answered.
func TestHealthCheckTakesLong(t *testing.T) {
	slow := newFake("slow", "unix:/a", "up")
	slow.check = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	w := newWorld(t, &fakeControls{}, slow)
	w.handler.checkTime = time.Millisecond
	status, got := w.post("/health", `{"engine":"slow"}`)
	if status != 200 || !strings.Contains(got, `"unfinished":true`) {
		t.Errorf("%d %s", status, got)
	}
}

func TestStatusIsJSON(t *testing.T) {
	w := newWorld(t, &fakeControls{}, newFake("a\x1b\xff", "unix:/\u2028", "up"))
	status, got := w.do("GET", "/status", "")
	var s struct{ Engines []engine.Status }
	if err := json.Unmarshal([]byte(got), &s); status != 200 || err != nil || len(s.Engines) != 1 || s.Engines[0].Nodes[0].Address != "unix:/\u2028" {
		t.Errorf("%d %s: %v", status, got, err)
	}
}

// TestTogether drains both nodes of an engine concurrently: one request must be refused.
func TestTogether(t *testing.T) {
	for range 20 {
		e := newFake("a", "unix:/a", "up", "unix:/b", "up")
		w := newWorld(t, &fakeControls{}, e)
		statuses := make([]int, 2)
		var wg sync.WaitGroup
		for i, node := range []string{"unix:/a", "unix:/b"} {
			wg.Go(func() { statuses[i], _ = w.post("/node/drain", `{"engine":"a","node":"`+node+`"}`) })
		}
		wg.Wait()
		if statuses[0]+statuses[1] != 200+409 {
			t.Fatalf("statuses %v, want one 200 and one 409", statuses)
		}
	}
}
