package page

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"polyclam/proxy"
	"polyclam/proxy/ops/page/pagetest"
	"polyclam/proxy/record"
	"polyclam/test/testkit"
)

const hour = 240 // samples

func TestMain(m *testing.M) {
	time.Local = time.UTC // as in the golden files
	os.Exit(m.Run())
}

// rendered returns the page of a scene after an hour.
func rendered(t testing.TB, s *pagetest.Scene, o Options) string {
	t.Helper()
	p := Of(s, pagetest.Host, o)
	p.Sample()
	for range hour {
		s.Advance()
		p.Sample()
	}
	body, err := p.render()
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// TestGolden compares the parts of the page that change with files, for every scene.
func TestGolden(t *testing.T) {
	for name, scene := range pagetest.Scenes {
		t.Run(name, func(t *testing.T) {
			body := rendered(t, scene(), Options{Scans: true})
			if n := len(body); n > 256<<10 {
				t.Errorf("the page is %d bytes long", n)
			}
			body = strings.Replace(strings.Replace(body, pageCSS, "", 1), pageJS, "", 1)
			testkit.Golden(t, "testdata/"+name+".html", []byte(body))
		})
	}
}

// TestGoldenHasWhatMatters checks the words of some scenes, which -update cannot change.
func TestGoldenHasWhatMatters(t *testing.T) {
	for name, parts := range map[string][]string{
		"healthy": {
			"<title>ok: polyclam on mx1.example.org</title>", "<strong>ok</strong>everything is usable</p>", "version 1.0.0, up 3 days", ">14:05:00 UTC</time>",
			">up</span>", "clamd, required</span>", "inspect, optional</span>", "3 of 24 slots in use, 0 waiting", "ClamAV 1.4.6/27500", "9 hours", "p50 ", ">p95 ",
			"Win.Trojan.Emotet-9951800-0", "4XaB90k3zQ", "uid 108 (defang)", ">512 MiB</td>", "Lines of the log lost", "Connections not allowed", "Handshakes failed", "Not scanned: too many scans",
			"61,804 results, 21 MiB of 32 MiB", "<div>18 %</div>", "tcp:redis.example.org:6379", "98,114 hits, 1,701,298 misses", "from the cache (shared), scanned 7 minutes ago", "612,204 confirmed, 44 dropped",
			`<div class="found"><span>dns:clamd.example.org:3310</span> <span class="muted">1 node, last answered 8 seconds ago, next lookup in 7 seconds, 2 lookups failed since the start</span></div>`,
			`tcp:10.0.0.2:3310<div class="found muted">dns:clamd.example.org:3310</div>`,
		},
		"degraded": {
			"<strong>degraded</strong>polyclamd is up; 1 of 2 nodes of clamav is down; the signatures of sophos are 9 days old; inspect (optional) is down: ",
			"the configuration on disk is refused since ", "clamav tcp:10.0.0.2:3310 is down: connection refused. Is the engine running", ">old</span>", "limited to 6", "stops at the first heuristic match",
			`<span class="badge warn">down</span> tcp:redis.example.org:6379</div><div class="warn">cannot connect: connection refused</div>`, `<span class="badge bad">3</span>`,
			"the shared store of the cache is down, so objects are scanned that other hosts have scanned: cannot connect",
			"look whether the server runs at this address", "last answered 12 minutes ago", `<span class="warn">no name server answers (10.0.0.53:53: no answer in time)</span>`,
		},
		"failing": {
			"<strong>failing</strong>every scan is answered with ERROR: sophos (required) at unix:/run/savdi/sssp.sock is down: the socket does not exist", "draining: ",
			"not ready for load balancers: the spool is full", "4 hang in a file system", ">1,830</td>", "9 uploads wait for room",
		},
		"empty": {"<strong>ok</strong>polyclamd is up; clamav is not yet checked", ">unknown</span>", "no scans", "None. Records of recent scans", "Off: every object is scanned."},
	} {
		body := rendered(t, pagetest.Scenes[name](), Options{Scans: true})
		for _, part := range parts {
			if !strings.Contains(body, part) {
				t.Errorf("%s: the page has no %q", name, part)
			}
		}
	}
}

// noScans is a source whose records nothing may read.
type noScans struct {
	*pagetest.Scene
	t *testing.T
}

func (s noScans) NotOK(int) []*record.Scan { s.t.Error("the records were read"); return nil }

// TestScansOff checks that the names of clients and objects can be switched off.
func TestScansOff(t *testing.T) {
	body, err := Of(noScans{pagetest.Healthy(), t}, "h", Options{}).render()
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"scans", "defang", "Emotet"} {
		if strings.Contains(strings.Replace(string(body), pageCSS, "", 1), `"`+secret) || secret != "scans" && strings.Contains(string(body), secret) {
			t.Errorf("the page has %q", secret)
		}
	}
}

func TestServeHTTP(t *testing.T) {
	p := Of(pagetest.Healthy(), "h", Options{Scans: true})
	for _, tt := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/", 200}, {"HEAD", "/", 200}, {"GET", "/?x=1", 200}, {"POST", "/", 405}, {"DELETE", "/", 405}, {"GET", "/favicon.ico", 404}, {"GET", "//", 404},
	} {
		w := httptest.NewRecorder()
		p.ServeHTTP(w, httptest.NewRequest(tt.method, "http://host"+tt.path, nil))
		if w.Code != tt.status || w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s %s: %d %v", tt.method, tt.path, w.Code, w.Header())
		}
		if tt.status != 200 {
			continue
		}
		h := w.Header()
		for key, want := range map[string]string{"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"} {
			if h.Get(key) != want {
				t.Errorf("%s is %q, want %q", key, h.Get(key), want)
			}
		}
		csp := h.Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'; ", "base-uri 'none'; ", "form-action 'none'; ", "frame-ancestors 'none'", "style-src 'sha256-", "script-src 'sha256-"} {
			if !strings.Contains(csp, part) {
				t.Errorf("the policy has no %q: %s", part, csp)
			}
		}
		if strings.Contains(csp, "unsafe") || strings.Contains(csp, "*") {
			t.Errorf("the policy is %s", csp)
		}
	}
}

// TestServeHTTPLate has a server that does not answer.
func TestServeHTTPLate(t *testing.T) {
	p := Of(pagetest.Healthy(), "h", Options{})
	release := make(chan struct{})
	defer close(release)
	p.cache.render = func() ([]byte, error) { <-release; return nil, nil }
	p.cache.patience = time.Millisecond
	w := httptest.NewRecorder()
	p.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "overloaded") || w.Header().Get("Retry-After") == "" {
		t.Errorf("got %d %q", w.Code, w.Body)
	}
}

// counting is a source that counts its snapshots.
type counting struct {
	*pagetest.Scene
	taken chan struct{}
}

func (s counting) Snapshot() proxy.Snapshot {
	snap := s.Scene.Snapshot()
	s.taken <- struct{}{}
	return snap
}

// TestRun checks that samples are taken at every tick, until the context ends.
func TestRun(t *testing.T) {
	s := counting{pagetest.Healthy(), make(chan struct{})}
	p := Of(s, "h", Options{})
	ticks, stopped, ended := make(chan time.Time), make(chan struct{}), make(chan struct{})
	p.ticker = func(every time.Duration) (<-chan time.Time, func()) {
		if every != 15*time.Second {
			t.Errorf("a sample every %v", every)
		}
		return ticks, func() { close(stopped) }
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { p.Run(ctx); close(ended) }()
	<-s.taken
	for range 4 {
		s.Advance()
		ticks <- time.Time{}
		<-s.taken
	}
	cancel()
	<-ended
	<-stopped
	all, _ := p.history.hour()
	n := uint64(0)
	for _, v := range all {
		n += v.Total()
	}
	if n < 100 {
		t.Errorf("%d verdicts in a minute", n)
	}
}
