// Package metrics serves what a server has counted in the formats of Prometheus.
//
// Each scrape takes one [proxy.Snapshot] and writes it as constant metrics: nothing is
// counted here, and scans know nothing of Prometheus. docs/metrics.md lists the metrics; a
// test compares it with the code.
//
// The library is client_golang. VictoriaMetrics/metrics would make the daemon smaller, but
// it writes no help texts, leaves names, types and the escaping of labels to the caller, and
// has neither the usual go_ and process_ metrics by their usual names nor content
// negotiation. docs/architecture.md has the figures.
package metrics

import (
	"fmt"
	"net/http"
	"runtime/debug"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"polyclam/proxy"
)

// maxScrapes is how many scrapes are answered at the same time. Further ones get the status
// 503: two Prometheus servers and a person with curl are fine.
const maxScrapes = 4

// Handler serves the metrics of a server. It takes no lock that a scan holds for long, and
// asks no engine.
func Handler(s *proxy.Server) http.Handler { return handler(s.Snapshot) }

func handler(snapshot func() proxy.Snapshot) http.Handler {
	r, c := prometheus.NewRegistry(), newCollector(snapshot)
	r.MustRegister(
		c,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return c.guarded(promhttp.HandlerFor(r, promhttp.HandlerOpts{
		// One metric that cannot be written must not hide the others from an operator.
		ErrorHandling:       promhttp.ContinueOnError,
		Registry:            r, // counts such errors
		MaxRequestsInFlight: maxScrapes,
	}))
}

// A collector writes a snapshot as metrics. It is safe for concurrent use.
type collector struct {
	snapshot func() proxy.Snapshot
	families []family
	panicked atomic.Pointer[string] // the last panic of Collect, until guarded has it
}

func newCollector(snapshot func() proxy.Snapshot) *collector {
	c := &collector{snapshot: snapshot, families: families()}
	for i := range c.families {
		f := &c.families[i]
		f.desc = prometheus.NewDesc(f.name, f.help, f.labels, nil)
	}
	return c
}

// Describe implements [prometheus.Collector].
func (c *collector) Describe(descs chan<- *prometheus.Desc) {
	for _, f := range c.families {
		descs <- f.desc
	}
}

// Collect implements [prometheus.Collector]. The library calls it on a separate goroutine,
// where a panic would end the daemon.
func (c *collector) Collect(metrics chan<- prometheus.Metric) {
	defer func() {
		if v := recover(); v != nil {
			text := fmt.Sprintf("%v\n%s", v, debug.Stack())
			c.panicked.Store(&text)
		}
	}()
	s := newState(c.snapshot())
	for _, f := range c.families {
		f.write(s, &writer{family: f, metrics: metrics})
	}
}

// guarded returns h, which panics if Collect did.
func (c *collector) guarded(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r)
		if text := c.panicked.Swap(nil); text != nil {
			panic(*text)
		}
	})
}

// A family is the metrics with one name.
type family struct {
	name   string
	kind   prometheus.ValueType // ignored for histograms
	help   string
	labels []string
	write  func(s *state, w *writer)

	desc *prometheus.Desc
}
