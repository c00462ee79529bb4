package metrics

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http/httptest"
	"os/exec"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"polyclam/backends"
	"polyclam/protocol"
	"polyclam/protocol/extended"
	"polyclam/proxy"
	"polyclam/proxy/cache"
	"polyclam/proxy/count"
	"polyclam/proxy/engine"
	"polyclam/proxy/files"
	"polyclam/proxy/hook"
	"polyclam/proxy/policy"
	"polyclam/proxy/spool"
	"polyclam/test/testkit"
)

// fullSnapshot returns a snapshot with which every family has a metric.
func fullSnapshot() proxy.Snapshot {
	var times count.Times
	times.Observe(1000, 3*time.Millisecond)
	times.Observe(1000, 2*time.Minute)
	var results count.Categories
	results.Add(backends.Virus)
	counters := engine.Counters{Scans: 4, Failures: 1, Replays: 2, Hedges: 3, HedgesWon: 1, Results: results.Value(), Times: times.Value()}
	return proxy.Snapshot{
		Time: time.Unix(2e9, 0), Started: time.Unix(1.9e9, 0), Configured: time.Unix(1.95e9, 5e8),
		Server: extended.Server{
			Version: "1.2.3", About: extended.About{LogLevel: "debug", MemoryNeeded: 5, MemoryLimit: 6},
			Refusals: extended.Refusals{CommandsRefused: 7, NotAllowed: 9, HandshakesFailed: 10, NotScannedLimit: 8, NotScannedRate: 11},
		},
		Ready:       proxy.Readiness{Ready: true},
		Scans:       []proxy.ScanCount{{Listener: "unix:/s", Command: protocol.VerbInstream, Category: backends.OK, Action: policy.OK, Count: 9}},
		Times:       []proxy.ScanTimes{{Listener: "unix:/s", Times: times.Value()}},
		Expected:    []proxy.ScanCount{{Listener: "unix:/s", Command: protocol.VerbInstream, Category: backends.SWErr, Action: policy.Tempfail}},
		Connections: proxy.Connections{Served: 1, Waiting: 2, Limit: 3, WaitingLimit: 4, Handshakes: 5, HandshakesLimit: 6},
		Spool:       spool.Stats{Used: 10, Total: 20}, Files: files.Stats{Limit: 64}, OnFind: hook.Stats{Runs: 1}, LogLinesLost: 11,
		Cache: cache.Stats{
			Memory:  cache.MemoryStats{Limit: 32 << 20, Bytes: 12, Entries: 13, Hits: 14, Misses: 15, Added: 16, Evicted: 17},
			Shared:  &cache.SharedStats{Address: "redis.example:6379", State: "down", Reason: "connection refused", Hits: 18, Misses: 19, Added: 20, Late: 21, Failed: 22, Skipped: 23, Forged: 24, Dropped: 25},
			Pending: cache.PendingStats{Waiting: 26, Confirmed: 27, Dropped: 28},
		},
		Engines: []engine.Status{{
			Name: "clamav", Kind: "clamd", Required: true, Mode: engine.On, Slots: 10, Counters: counters,
			Cache: engine.CacheCounters{Memory: 1, Shared: 2, Joined: 3, Misses: 4, NotCacheable: 5},
			Names: []engine.NameStatus{{Address: "dns:clamd.example:3310", Nodes: 2, NotUsed: 1, Answered: time.Unix(1.99e9, 0), Failures: 3}},
			Nodes: []engine.NodeStatus{{
				Address: "unix:/c", State: "up", Usable: true, Counters: counters, Version: "ClamAV 1.4.6", DatabaseTime: time.Unix(1.8e9, 0),
				Canary: engine.Canary{Time: time.Unix(1.99e9, 0), Clean: backends.OK, EICAR: backends.Virus, Mail: backends.OK},
			}, {Address: "tcp:c:3310", State: "down", Blind: true, Limit: 2, OlderBy: 48 * time.Hour}},
		}},
	}
}

// scrape returns what a handler answers.
func scrape(t testing.TB, snap proxy.Snapshot) string {
	t.Helper()
	w := httptest.NewRecorder()
	handler(func() proxy.Snapshot { return snap }).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

// own returns the lines about polyclam's own metrics.
func own(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if strings.Contains(line, "polyclam_") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// TestGolden compares everything that a full snapshot gives.
func TestGolden(t *testing.T) {
	version := regexp.MustCompile(`goversion="[^"]*"`)
	got := version.ReplaceAllString(own(scrape(t, fullSnapshot())), `goversion="go"`)
	testkit.Golden(t, "testdata/metrics.txt", []byte(got))
	for _, f := range families() {
		if !strings.Contains(got, "# TYPE "+f.name+" ") {
			t.Errorf("the full snapshot has no %s", f.name)
		}
	}
}

// TestPromtool has Prometheus's own linter look at the metrics.
func TestPromtool(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("NOT TESTED: the conventions of Prometheus; this needs promtool")
	}
	c := exec.Command(promtool, "check", "metrics")
	c.Stdin = strings.NewReader(own(scrape(t, fullSnapshot())))
	if out, err := c.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}

// TestDocumented compares the metrics with docs/metrics.md.
func TestDocumented(t *testing.T) {
	types := map[prometheus.ValueType]string{counter: "counter", gauge: "gauge", histogram: "histogram"}
	var b strings.Builder
	b.WriteString("\n| metric | type | labels | |\n|---|---|---|---|\n")
	for _, f := range families() {
		labels := ""
		if len(f.labels) > 0 {
			labels = "`" + strings.Join(f.labels, "`, `") + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.name, types[f.kind], labels, f.help)
	}
	testkit.GoldenSection(t, "../../../docs/metrics.md", "<!-- begin metrics -->\n", "<!-- end metrics -->", b.String())
}

var hostile = []string{
	"", "\x00\xff\xfe", "a\"} 1\n# HELP evil\nevil 1\n", strings.Repeat("x", 100_000), strings.Repeat("x", 100_000) + "y", strings.Repeat("\xff", 10_000),
	"日本", "{node=\"x\"}", "\\", "\\\\", "a\rb", "\u2028", "listener", "le", "__name__", "#2",
}

// TestHostileNames has every name that comes from outside contain whatever it likes. All of
// them stay apart, and the scrape succeeds.
func TestHostileNames(t *testing.T) {
	snap := fullSnapshot()
	first := snap.Engines[0]
	snap.Engines, snap.Scans, snap.Expected, snap.Times = nil, nil, nil, nil
	for _, name := range hostile {
		e := first
		e.Name, e.Nodes = name, nil
		for _, address := range hostile {
			n := first.Nodes[0]
			n.Address, n.Version, n.Reason, n.State = address, address, address, address
			e.Nodes = append(e.Nodes, n)
		}
		snap.Engines = append(snap.Engines, e)
		snap.Scans = append(snap.Scans, proxy.ScanCount{Listener: name, Command: "INSTREAM", Category: "ok", Action: "ok", Count: 1})
		snap.Expected = append(snap.Expected, proxy.ScanCount{Listener: name, Command: "INSTREAM", Category: "virus", Action: "quarantine"})
		snap.Times = append(snap.Times, proxy.ScanTimes{Listener: name})
	}
	snap.Server.Version = hostile[1]
	text := scrape(t, snap)
	if !utf8.ValidString(text) || strings.Contains(text, "\nevil") || !strings.Contains(text, "promhttp_metric_handler_errors_total{cause=\"gathering\"} 0") {
		t.Error("the hostile names got through")
	}
	for line := range strings.Lines(text) {
		if len(line) > 4*4*maxLabel+300 {
			t.Fatalf("a line of %d bytes", len(line))
		}
	}
	if n := strings.Count(text, "\npolyclam_node_usable{"); n != len(hostile)*len(hostile) {
		t.Errorf("%d nodes, want %d", n, len(hostile)*len(hostile))
	}
	if n := strings.Count(text, "\npolyclam_scans_total{"); n != 2*len(hostile) {
		t.Errorf("%d counters of listeners, want %d", n, 2*len(hostile))
	}
	if promtool, err := exec.LookPath("promtool"); err == nil {
		c := exec.Command(promtool, "check", "metrics")
		c.Stdin = strings.NewReader(own(text))
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("promtool check metrics: %v\n%s", err, out)
		}
	}
}

// TestNoSharedStore checks that counters of the shared store begin at 0 without one, but that
// nothing says it is down. What it says about itself is in no label.
func TestNoSharedStore(t *testing.T) {
	snap := fullSnapshot()
	snap.Cache.Shared.Reason, snap.Cache.Shared.State = strings.Repeat("x", 100_000)+"\nevil 1", "evil"
	if text := own(scrape(t, snap)); !strings.Contains(text, "\npolyclam_cache_shared_up 0\n") || strings.Contains(text, "evil") {
		t.Error("a shared store in no known state is not down, or is in a label")
	}
	snap.Cache.Shared = nil
	text := own(scrape(t, snap))
	if strings.Contains(text, "polyclam_cache_shared_up") {
		t.Error("there is no shared store, and it has a state")
	}
	for _, line := range []string{`polyclam_cache_hits_total{store="shared"} 0`, `polyclam_cache_hits_total{store="memory"} 14`,
		`polyclam_cache_shared_failures_total{kind="late"} 0`, "polyclam_cache_shared_rejected_total 0"} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("%s is missing", line)
		}
	}
}

func FuzzLabel(f *testing.F) {
	for _, text := range hostile {
		f.Add(text[:min(len(text), 1000)], "x")
	}
	f.Add(strings.Repeat("x", 200), strings.Repeat("x", 201)) // cut to the same label
	f.Fuzz(func(t *testing.T, a, b string) {
		var all = labels{}
		x, y := all.unique(a), all.unique(b)
		if x == y {
			t.Errorf("%q and %q are both %q", a, b, x)
		}
		for _, l := range []string{x, y} {
			if !utf8.ValidString(l) || len(l) > 4*maxLabel+8 || strings.ContainsAny(l, "\n\r\x00") {
				t.Errorf("label %q", l)
			}
		}
	})
}

func TestGzip(t *testing.T) {
	r := httptest.NewRequest("GET", "/metrics", nil)
	r.Header.Set("Accept-Encoding", "gzip")
	w := httptest.NewRecorder()
	handler(fullSnapshot).ServeHTTP(w, r)
	z, err := gzip.NewReader(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(z); err != nil || !strings.Contains(string(text), "polyclam_ready 1\n") || !strings.Contains(string(text), "\ngo_goroutines ") ||
		!strings.Contains(string(text), "\nprocess_open_fds ") {
		t.Errorf("%d bytes, %v", len(text), err)
	}
}

// TestPanic checks that a panic reaches the server, which survives it and logs it.
func TestPanic(t *testing.T) {
	defer func() {
		if text, _ := recover().(string); !strings.HasPrefix(text, "out of paper\n") || !strings.Contains(text, "metrics_test.go") {
			t.Errorf("the panic is %q", text)
		}
	}()
	h := handler(func() proxy.Snapshot { panic("out of paper") })
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/metrics", nil))
}

// TestBusy holds as many scrapes as are allowed. The next one is refused.
func TestBusy(t *testing.T) {
	begun, release := make(chan struct{}), make(chan struct{})
	var scrapes atomic.Int32
	h := handler(func() proxy.Snapshot {
		if scrapes.Add(1) <= maxScrapes {
			begun <- struct{}{}
			<-release
		}
		return proxy.Snapshot{}
	})
	ended := make(chan int)
	for range maxScrapes {
		go func() {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
			ended <- w.Code
		}()
		<-begun
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 503 {
		t.Errorf("one more scrape gets the status %d", w.Code)
	}
	close(release)
	for range maxScrapes {
		if code := <-ended; code != 200 {
			t.Errorf("status %d", code)
		}
	}
}

func BenchmarkScrape(b *testing.B) {
	snap := fullSnapshot()
	h := handler(func() proxy.Snapshot { return snap })
	b.ReportAllocs()
	for range b.N {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/metrics", nil))
	}
}
