// Package page serves the status page: the state of the engines, the verdicts of the last
// hour, and the last scans that were not ok.
//
// The page is one document without external parts. It is rendered at most once per second,
// however many viewers it has.
package page

import (
	"cmp"
	"context"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	"polyclam/proxy"
	"polyclam/proxy/record"
)

const (
	sampleEvery = 15 * time.Second
	renderEvery = time.Second     // viewers share what was rendered within this time
	renderTime  = 2 * time.Second // a viewer waits for at most this long
	maxScans    = 50              // scans listed
)

// Options say what the page shows.
type Options struct {
	// Scans shows the last scans that were not ok, with the names of clients and objects.
	Scans bool
}

// A Source is where a page gets what it shows. Its methods do not wait.
type Source interface {
	// Snapshot returns the current state.
	Snapshot() proxy.Snapshot
	// NotOK returns the most recent records that are not ok, the newest first.
	NotOK(max int) []*record.Scan
}

type server struct{ *proxy.Server }

func (s server) NotOK(max int) []*record.Scan { return s.Records().NotOK(max) }

// A Page serves the status page. It is safe for concurrent use.
type Page struct {
	source   Source
	options  Options
	host     string
	history  history
	sampling sync.Mutex
	cache    cache
	ticker   func(time.Duration) (ticks <-chan time.Time, stop func())
}

// New returns the page of a server.
func New(s *proxy.Server, o Options) *Page {
	host, _ := os.Hostname()
	return Of(server{s}, host, o)
}

// Of returns a page with this source, and this name of the host.
func Of(s Source, host string, o Options) *Page {
	p := &Page{source: s, options: o, host: cmp.Or(host, "this host"), ticker: newTicker}
	p.cache = cache{render: p.render, now: time.Now, patience: renderTime}
	return p
}

func newTicker(every time.Duration) (<-chan time.Time, func()) {
	t := time.NewTicker(every)
	return t.C, t.Stop
}

// Run takes the samples that the page's charts show, until ctx ends. Call it in a
// goroutine.
func (p *Page) Run(ctx context.Context) {
	ticks, stop := p.ticker(sampleEvery)
	defer stop()
	for {
		p.Sample()
		select {
		case <-ctx.Done():
			return
		case <-ticks:
		}
	}
}

// Sample takes one sample. Run does it every 15 seconds.
func (p *Page) Sample() { p.sample() }

// sample takes one sample and returns it. Samples are taken one after another, because the
// history counts from one to the next.
func (p *Page) sample() proxy.Snapshot {
	p.sampling.Lock()
	defer p.sampling.Unlock()
	s := p.source.Snapshot()
	p.history.add(&s)
	return s
}

// render renders the page as it is now. What it shows is a sample too, so that the last
// hour is as new as the rest of the page.
func (p *Page) render() ([]byte, error) {
	snap := p.sample()
	var scans []*record.Scan
	if p.options.Scans {
		scans = p.source.NotOK(maxScans)
	}
	return execute(p.view(&snap, scans))
}

// ServeHTTP implements [http.Handler].
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	switch {
	case r.URL.Path != "/":
		http.Error(w, "There is no such page. The status page is at /", http.StatusNotFound)
		return
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "The status page can only be read.", http.StatusMethodNotAllowed)
		return
	}
	h.Set("Cache-Control", "no-store")
	body, err := p.cache.get(r.Context())
	if err != nil {
		h.Set("Retry-After", "5")
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", securityPolicy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.Write(body) // nothing for HEAD
}
