package prometheus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/inspect"
	"polyclam/protocol"
	"polyclam/protocol/extended"
	"polyclam/proxy"
	"polyclam/proxy/engine"
	"polyclam/proxy/hook"
	"polyclam/proxy/ops/metrics"
	"polyclam/proxy/policy"
	"polyclam/proxy/spool"
	"polyclam/proxy/status"
	"polyclam/test/testkit"
)

// A fake is an engine that detects what inspect does, and misbehaves as objects ask.
type fake struct {
	inspect backends.Backend
	down    bool
	blind   atomic.Bool
}

func newFake(t testing.TB) *fake {
	t.Helper()
	b, err := inspect.NewConfig().Open("")
	if err != nil {
		t.Fatal(err)
	}
	return &fake{inspect: b}
}

// Scan implements [backends.Backend].
func (f *fake) Scan(ctx context.Context, o backends.Object) (backends.Result, error) {
	if f.down {
		return backends.Result{}, &backends.ConnError{Text: "connection refused"}
	}
	b := make([]byte, min(o.Size(), 64))
	if _, err := o.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return backends.Result{}, err
	}
	switch word, _, _ := strings.Cut(string(b), " "); word {
	case "fail":
		return backends.Result{}, &backends.Failure{Category: backends.SWErr, Code: 2, Text: "as asked"}
	case "encrypted":
		return backends.Result{Category: backends.Encrypted, Findings: []backends.Finding{{Name: "Encrypted.Test", Category: backends.Encrypted}}}, nil
	case "virus":
		return backends.Found(1, "Test.Virus"), nil
	case "slow":
		time.Sleep(5 * time.Millisecond)
	}
	if f.blind.Load() {
		return backends.Clean(0), nil
	}
	return f.inspect.Scan(ctx, o)
}

// Version implements [backends.Versioner].
func (f *fake) Version(context.Context) (backends.Version, error) {
	return backends.Version{Text: "Fake 1.0 \xff\"\n", DatabaseTime: time.Now().Add(-24 * time.Hour)}, nil
}

// daemon is a server with several engines, and its metrics at an address.
type daemon struct {
	*proxy.Server
	client  *protocol.Client
	engines map[string]*fake // by name
	cfg     *proxy.Config
	target  string // of /metrics
	lost    atomic.Uint64
	http    http.Handler
}

func startDaemon(t testing.TB) *daemon {
	t.Helper()
	dir := testkit.SocketDir(t)
	sp, err := spool.New(spool.Config{Memory: 64 << 10, Total: 64 << 20, Store: spool.Memfd, Dir: dir, PathMode: 0o600, PathGroup: -1})
	if err != nil {
		t.Fatal(err)
	}
	ln := testkit.Listen(t, "unix")
	d := &daemon{client: &protocol.Client{Network: "unix", Address: ln.Addr().String()}, engines: map[string]*fake{}}
	profile, _ := status.Lookup("generic")
	profile.AnswerWithin = time.Minute
	d.cfg = &proxy.Config{
		Listeners: []proxy.Listener{{Address: testkit.Address(ln), Profile: profile, Policy: policy.Default()}},
		Limits: proxy.Limits{
			Stream: 1 << 20, CommandReadTimeout: time.Minute, ReadTimeout: time.Minute, WriteTimeout: time.Minute,
			Connections: 100, Waiting: 10, SessionScans: 4,
		},
		OnFind: &hook.Config{},
	}
	for _, e := range []struct {
		name  string
		nodes int
		mode  engine.Mode
		down  bool
	}{{"good", 2, engine.On, false}, {"observed", 1, engine.Observe, false}, {"down", 1, engine.On, true}} {
		f := newFake(t)
		f.down = e.down
		d.engines[e.name] = f
		c := engine.Config{
			Name: e.name, Kind: "fake", Required: !e.down, Mode: e.mode, Timeout: time.Minute, MaxDelay: time.Second, MaxScans: 10,
			Canary: true, CanaryInterval: time.Second, MaxSignatureAge: time.Hour, Log: zerolog.Nop(), Spool: sp,
		}
		for i := range e.nodes {
			c.Nodes = append(c.Nodes, engine.Node{Address: fmt.Sprintf("unix:/run/%s%d", e.name, i), Identity: "same", Backend: f})
		}
		d.cfg.Engines = append(d.cfg.Engines, engine.New(c))
	}
	d.Server = proxy.NewServer(proxy.ServerOptions{
		Config: d.cfg, Spool: sp, Log: zerolog.Nop(), Version: "1.2.3", Stop: func() {}, LogLinesLost: d.lost.Load,
	})
	d.SetAbout(extended.About{MemoryNeeded: 1 << 30, MemoryLimit: 2 << 30})
	served := make(chan struct{})
	go func() {
		defer close(served)
		d.Serve(ln, d.cfg.Listeners[0].Address)
	}()
	d.http = metrics.Handler(d.Server)
	mux := http.NewServeMux()
	mux.Handle("/metrics", d.http)
	web := httptest.NewServer(mux)
	d.target = strings.TrimPrefix(web.URL, "http://")
	t.Cleanup(func() {
		web.Close()
		d.Shutdown(context.Background())
		<-served
		sp.Close()
	})
	testkit.Eventually(t, "the good engine is up", func() bool {
		return d.Snapshot().Engines[0].Nodes[0].Usable && d.Snapshot().Engines[1].Nodes[0].Usable
	})
	return d
}

// words are what objects consist of.
var words = []string{"ok", "ok", "ok", "slow", "virus", "encrypted", "fail"}

// load has clients scan until ctx ends, and returns a function that waits for them.
func (d *daemon) load(ctx context.Context, t testing.TB, clients int, pause time.Duration) (wait func() int64) {
	var wg sync.WaitGroup
	var scans atomic.Int64
	for range clients {
		wg.Go(func() {
			for ctx.Err() == nil {
				word := words[rand.IntN(len(words))]
				text := word + " " + strings.Repeat("x", []int{10, 100 << 10, 600 << 10}[rand.IntN(3)])
				_, err := d.client.Instream(context.Background(), strings.NewReader(text))
				if err != nil && !errors.As(err, new(*protocol.ReplyError)) {
					t.Errorf("%s: %v", word, err)
					return
				}
				scans.Add(1)
				time.Sleep(pause)
			}
		})
	}
	return func() int64 { wg.Wait(); return scans.Load() }
}

// TestScrapesUnderLoad scrapes 400 times while clients scan and the configuration is
// reloaded. No scrape fails, and no counter goes back.
func TestScrapesUnderLoad(t *testing.T) {
	backendtest.NoLeaks(t)
	d := startDaemon(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	wait := d.load(ctx, t, 2, 0)
	scrapes := 400
	if testing.Short() {
		scrapes = 100
	}
	last := map[string]float64{}
	for i := range scrapes {
		w := httptest.NewRecorder()
		d.http.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		if w.Code != http.StatusOK {
			t.Fatalf("status %d: %s", w.Code, w.Body)
		}
		for line := range strings.Lines(w.Body.String()) {
			at := strings.LastIndexByte(line, ' ')
			if !strings.HasPrefix(line, "polyclam_") || !strings.Contains(line, "_total") {
				continue
			}
			value, err := strconv.ParseFloat(strings.TrimSpace(line[at+1:]), 64)
			if err != nil || value < last[line[:at]] {
				t.Fatalf("%q after %v: %v", line, last[line[:at]], err)
			}
			last[line[:at]] = value
		}
		if i%100 == 50 {
			cfg := *d.cfg
			cfg.Engines = nil
			for _, e := range d.cfg.Engines {
				f := d.engines[e.Name()]
				c := engine.Config{
					Name: e.Name(), Kind: "fake", Required: e.Required(), Mode: engine.On, Timeout: time.Minute, MaxScans: 10, Log: zerolog.Nop(),
					Nodes: []engine.Node{{Address: filepath.Join("unix:/run", e.Name()+"0"), Identity: fmt.Sprint(i), Backend: f}},
				}
				cfg.Engines = append(cfg.Engines, engine.New(c))
			}
			d.Apply(&cfg)
		}
	}
	cancel()
	scans := wait()
	testkit.Eventually(t, "all scans are counted", func() bool {
		var n uint64
		for _, c := range d.Snapshot().Scans {
			n += c.Count
		}
		return n == uint64(scans)
	})
	t.Logf("measured: %d scrapes during %d scans", scrapes, scans)
}
