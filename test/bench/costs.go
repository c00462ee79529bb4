package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"polyclam/test/bench/model"
	"polyclam/test/bench/report"
)

const (
	costClients = 4   // as many as keep two processors busy
	mixObjects  = 400 // messages of the mix
	logScans    = 200
)

var costSizes = []int64{kb, 10 * kb, 100 * kb, mb, 10 * mb}

// costs measures what the model of a large site needs, checks the model against a mix of
// sizes, and writes the costs to the file of --costs. The engine is a clamd with made-up
// signatures and its temporary files in memory.
func costs(ctx context.Context, w *world, out io.Writer) error {
	e, err := w.startCosts()
	if err != nil {
		return err
	}
	c := &model.Costs{
		Machine:  fmt.Sprintf("%s, %d cores, Linux %s", processor(), runtime.NumCPU(), kernel()),
		Programs: fmt.Sprintf("polyclamd %s, clamd %s, Redis %s", buildOf(w.options.binary), versionOf("clamd", "--version"), versionOf("redis-server", "--version")), Signatures: w.options.signatures,
	}
	fmt.Fprintf(out, "\nProcessor time per scan of a mail, in front of %s:\n\n", e.about)
	m := w.newMix()
	for _, size := range costSizes {
		if w.options.quick && size > mb {
			continue
		}
		if err := w.costsOf(ctx, e, c, size); err != nil {
			return err
		}
		if err := m.once(e); err != nil { // between the sizes, so that load of the machine affects both
			return err
		}
	}
	if err := w.costsOfMemory(e, c); err != nil {
		return err
	}
	if err := w.costsOfRedis(c); err != nil {
		return err
	}
	w.blocks["costs"] = c.Table().Markdown()
	fmt.Fprintln(out, c.Table().Text())
	fmt.Fprintf(out, "Memory: polyclamd %d MB, clamd %d MB. Log: %.0f bytes per scan. Redis: %.1f us per read, %.1f us per write, %.0f bytes per entry.\n",
		c.PolyclamdBytes>>20, c.EngineBytes>>20, c.LogBytes, c.RedisRead, c.RedisWrite, c.RedisEntry)
	if w.options.costs != "" {
		if err := c.Write(w.options.costs); err != nil {
			return err
		}
	}
	w.blocks["mix"] = m.compare(c, out)
	return nil
}

const costWay = 0 // through polyclamd, unique objects

// startCosts starts a clamd with many signatures, and polyclamd in front of it: without a
// cache, and if this build has one, with hits.
func (w *world) startCosts() (*engine, error) {
	var err error
	if w.memory == "" {
		if w.memory, err = os.MkdirTemp("/dev/shm", "bench"); err != nil {
			return nil, err
		}
	}
	d, err := w.launchClamd("costs", filepath.Join(w.memory, "costs-tmp"), w.options.signatures)
	if err != nil {
		return nil, err
	}
	if err := d.ready(w.socket("costs")); err != nil {
		return nil, err
	}
	e := &engine{name: "costs", daemon: d, ways: []way{{socket: w.socket("costs")}},
		about: fmt.Sprintf("a clamd with %d made-up signatures and temporary files in memory", w.options.signatures)}
	noCache := w.noCache(e)
	f := front{program: "polyclam", name: "costs-scan", engines: []string{w.socket("costs")}}
	if noCache == "" {
		f.config = memoryCache("0")
	}
	y, err := w.inFront(f)
	if err != nil {
		return nil, err
	}
	e.ways = []way{y}
	if noCache != "" {
		return e, nil
	}
	f.name, f.keys, f.config = "costs-hit", cacheTTL, memoryCache("32MiB")
	if y, err = w.inFront(f); err != nil {
		return nil, err
	}
	y.repeat = true
	e.ways = append(e.ways, y)
	_, err = w.addRedis(e, w.socket("costs"))
	return e, err
}

// costsOf measures one size.
func (w *world) costsOf(ctx context.Context, e *engine, c *model.Costs, size int64) error {
	l := load{body: bodyMail, size: size, clients: costClients}
	if reason := w.warm(ctx, e, l); reason != "" {
		return fmt.Errorf("the cache: %s", reason)
	}
	r, err := w.measure(ctx, e, l)
	if err != nil {
		return err
	}
	for i, list := range []*[]model.Cost{&c.Scans, &c.Hits, &c.RedisHits} {
		if i < len(r.ways) {
			m := &r.ways[i]
			*list = append(*list, model.Cost{Size: size, Polyclamd: rounded(1e6 * intervalOf(m.proxy).median), Engine: rounded(1e6 * intervalOf(m.engine).median)})
		}
	}
	return nil
}

// rounded has a tenth of a microsecond.
func rounded(v float64) float64 { return float64(int64(v*10+0.5)) / 10 }

// costsOfMemory measures the memory of the programs, and the length of log lines.
func (w *world) costsOfMemory(e *engine, c *model.Costs) error {
	y := e.ways[costWay]
	var err error
	if c.PolyclamdBytes, err = y.daemon.resident(); err != nil {
		return err
	}
	if c.EngineBytes, err = e.daemon.resident(); err != nil {
		return err
	}
	before, err := os.Stat(y.daemon.log)
	if err != nil {
		return err
	}
	scan, r := newClient(y.socket, hang), newRequest(bodyMail, 10*kb, 77)
	for range logScans {
		if _, err := scan.scan(r.renew()); err != nil {
			return err
		}
	}
	time.Sleep(100 * time.Millisecond) // lines may be written after the answer
	after, err := os.Stat(y.daemon.log)
	if err != nil {
		return err
	}
	c.LogBytes = rounded(float64(after.Size()-before.Size()) / logScans)
	return nil
}

// A mix is messages of the sizes that the model assumes, and what scanning them cost: a
// value per run.
type mix struct {
	sizes                             []int64
	requests                          []*request
	rates, polyclamd, engine, clients []float64 // scans per second; CPU per scan in us
	cores                             []float64 // that all of them used
}

func (w *world) newMix() *mix {
	n := mixObjects
	if w.options.quick {
		n /= 8
	}
	m := &mix{sizes: model.Mail.Sample(n)}
	for i, size := range m.sizes {
		m.requests = append(m.requests, newRequest(bodyMail, size, uint64(fixedSeed+i)))
	}
	return m
}

// once scans all messages.
func (m *mix) once(e *engine) error {
	y := e.ways[costWay]
	var next atomic.Int64
	errs := make(chan error, costClients)
	polyclamd, engine, client, begin := y.cpu(), y.engineCPU(e), ownCPU(), time.Now()
	var wg sync.WaitGroup
	for range costClients {
		wg.Go(func() {
			c := newClient(y.socket, hang)
			for i := next.Add(1) - 1; int(i) < len(m.requests); i = next.Add(1) - 1 {
				if _, err := c.scan(m.requests[i].renew()); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	select {
	case err := <-errs:
		return err
	default:
	}
	n := float64(len(m.requests))
	per := func(d time.Duration) float64 { return d.Seconds() * 1e6 / n }
	rate, p, g, c := n/time.Since(begin).Seconds(), per(y.cpu()-polyclamd), per(y.engineCPU(e)-engine), per(ownCPU()-client)
	m.rates, m.polyclamd, m.engine, m.clients = append(m.rates, rate), append(m.polyclamd, p), append(m.engine, g), append(m.clients, c)
	m.cores = append(m.cores, rate*(p+g+c)/1e6)
	return nil
}

// compare compares the model with the mix, and returns the table in Markdown.
func (m *mix) compare(c *model.Costs, out io.Writer) string {
	polyclamd, engine := c.Of(m.sizes)
	each := (polyclamd + engine + intervalOf(m.clients).median) / 1e6
	all, got := float64(runtime.NumCPU()), intervalOf(m.cores).median
	g := &report.Grid{Head: []string{"", "model", "measured [95 %]", "error of the model"}}
	for _, r := range []struct {
		what   string
		want   float64
		values []float64
	}{
		{"polyclamd, µs of CPU per scan", polyclamd, m.polyclamd},
		{"clamd, µs of CPU per scan", engine, m.engine},
		{fmt.Sprintf("scans per second of %.0f cores", all), all / each, m.rates},
		{fmt.Sprintf("scans per second of the %.2f cores that were free", got), got / each, m.rates},
	} {
		i := intervalOf(r.values)
		g.Add(r.what, fmt.Sprintf("%.0f", r.want), fmt.Sprintf("%.0f [%.0f-%.0f]", i.median, i.low, i.high), fmt.Sprintf("%+.0f %%", 100*(r.want/i.median-1)))
	}
	fmt.Fprintf(out, "\nThe model against %d messages of the sizes that it assumes, %d at a time:\n\n%s", len(m.sizes), costClients, g.Text())
	return g.Markdown()
}

// ownCPU is the processor time of this process.
func ownCPU() time.Duration {
	var u unix.Rusage
	unix.Getrusage(unix.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
