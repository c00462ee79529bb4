package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A curve is measured at several points and becomes a CSV file, from which test/bench/plot
// draws a chart.
type curve struct {
	file   string
	points []int
	quick  []int
	at     func(ctx context.Context, w *world, x int) (*curvePoint, error)
}

// A curvePoint is a load and the ways to compare there.
type curvePoint struct {
	swarm *swarm
	ways  []curveWay
	end   func() // ends what was started for it
}

type curveWay struct {
	name    string
	targets [][]string
	swarm   *swarm // instead of the point's
}

var curveList = []curve{
	{"clients-clamd", []int{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000}, []int{1, 100}, clientsAt(func(w *world) (*engine, error) { return w.clamd() })},
	{"clients-null", []int{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000}, []int{1, 100}, clientsAt(func(w *world) (*engine, error) { return w.null() })},
	{"nodes", []int{1, 2, 3, 4, 6, 8}, []int{1, 2}, nodesAt},
	{"sizes", []int{1, 3, 10, 30, 100, 300, 1 << 10, 3 << 10, 10 << 10, 30 << 10, 100 << 10}, []int{1, 100}, sizesAt},
	{"engines", []int{1, 2, 3, 4}, []int{1, 2}, enginesAt(20 * time.Millisecond)},
	{"engines-null", []int{1, 2, 3, 4}, []int{1, 2}, enginesAt(0)},
}

// curves measures all curves and writes them to the directory of --data.
func curves(ctx context.Context, w *world, out io.Writer) error {
	if err := os.MkdirAll(w.options.data, 0o755); err != nil {
		return err
	}
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	return asGoroutines(func() error {
		for _, c := range curveList {
			if len(w.options.curves) > 0 && !slices.Contains(w.options.curves, c.file) {
				continue
			}
			begin := time.Now()
			text, err := w.curve(ctx, c)
			if err != nil {
				return fmt.Errorf("%s: %w", c.file, err)
			}
			path := filepath.Join(w.options.data, c.file+".csv")
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				return err
			}
			fmt.Fprintf(out, "%s: %.0f s\n", path, time.Since(begin).Seconds())
		}
		return nil
	})
}

// curveHead is the first line of a CSV file. Times are in seconds; failed is the share of
// scans without an OK, which count for nothing else.
const curveHead = "x,way,p50,p50_low,p50_high,p99,p99_low,p99_high,rate,rate_low,rate_high,failed\n"

func (w *world) curve(ctx context.Context, c curve) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s, %d cores, Linux %s, polyclamd %s, clamd %s, HAProxy %s\n%s", processor(), runtime.NumCPU(), kernel(), buildOf(w.options.binary),
		versionOf("clamd", "--version"), versionOf("haproxy", "-v"), curveHead)
	xs := c.points
	if w.options.quick {
		xs = c.quick
	}
	for _, x := range xs {
		p, err := c.at(ctx, w, x)
		if err != nil {
			return "", err
		}
		ways, failed, err := w.measureCurve(ctx, p)
		if p.end != nil {
			p.end()
		}
		if err != nil {
			return "", fmt.Errorf("at %d: %w", x, err)
		}
		for i, m := range ways {
			if len(m.p50) == 0 {
				continue // no scan succeeded
			}
			fmt.Fprintf(&b, "%d,%s", x, p.ways[i].name)
			for _, values := range [][]float64{m.p50, m.p99, m.rate} {
				v := intervalOf(values)
				for _, f := range []float64{v.median, v.low, v.high} {
					b.WriteString("," + strconv.FormatFloat(f, 'g', 4, 64))
				}
			}
			fmt.Fprintf(&b, ",%.4f\n", failed[i])
		}
		runtime.GC()
	}
	return b.String(), nil
}

// measureCurve measures one point in rounds, like measure. failed is the highest share of
// failed scans of each way.
func (w *world) measureCurve(ctx context.Context, p *curvePoint) (ways []measured, failed []float64, err error) {
	ways, failed = make([]measured, len(p.ways)), make([]float64, len(p.ways))
	end := time.Now().Add(w.options.budget)
	for round := -1; round < w.options.rounds; round++ { // the first is for warming up
		if round >= 3 && time.Now().After(end) {
			break
		}
		for i := range p.ways {
			at := (i + max(round, 0)) % len(p.ways)
			y, length := p.ways[at], w.options.slice
			if round < 0 {
				length /= 4
			}
			clients := p.swarm
			if y.swarm != nil {
				clients = y.swarm
			}
			s, lost, err := clients.run(ctx, y.targets, length)
			if err != nil {
				return nil, nil, fmt.Errorf("%s: %w", y.name, err)
			}
			failed[at] = max(failed[at], lost)
			if m := &ways[at]; round >= 0 && s.scans > 0 {
				m.p50, m.p99, m.rate = append(m.p50, s.p50), append(m.p99, s.p99), append(m.rate, s.rate)
			}
		}
	}
	return ways, failed, nil
}

// waysTo are the ways to an engine that is surrounded.
func waysTo(e *engine) (ways []curveWay) {
	for _, y := range e.ways {
		ways = append(ways, curveWay{name: y.name, targets: [][]string{{y.socket}}})
	}
	return ways
}

// clientsAt has x clients that scan 10 KB.
func clientsAt(start func(*world) (*engine, error)) func(context.Context, *world, int) (*curvePoint, error) {
	return func(ctx context.Context, w *world, x int) (*curvePoint, error) {
		e, err := start(w)
		if err != nil {
			return nil, err
		}
		return &curvePoint{swarm: newSwarm(bodyMail, 10*kb, x), ways: waysTo(e)}, nil
	}
}

// sizesAt has one client that scans x KB of random bytes.
func sizesAt(ctx context.Context, w *world, x int) (*curvePoint, error) {
	e, err := w.clamd()
	if err != nil {
		return nil, err
	}
	return &curvePoint{swarm: newSwarm(bodyRandom, int64(x)*kb, 1), ways: waysTo(e)}, nil
}

const (
	curveNode  = 20 * time.Millisecond // of a scan on the nodes and engines of the curves
	curveSlots = 10                    // scans at a time on each node
)

// nodesAt has x nodes. The direct way has as many clients as the nodes may have scans at a
// time, each at its own node: nothing can be faster. The others have 128 clients.
func nodesAt(ctx context.Context, w *world, x int) (*curvePoint, error) {
	p := &curvePoint{swarm: newSwarm(bodyRandom, 10*kb, 128)}
	var sockets []string
	var each [][]string
	daemons, err := w.launchDelayed("curve-node", x, curveNode)
	if err != nil {
		return nil, err
	}
	for i := range x {
		sockets = append(sockets, w.socket(fmt.Sprintf("curve-node%d", i)))
		each = append(each, sockets[i:i+1])
	}
	p.ways = append(p.ways, curveWay{name: "direct", targets: each, swarm: newSwarm(bodyRandom, 10*kb, x*curveSlots)})
	for _, program := range []string{"haproxy", "polyclam"} {
		y, err := w.inFront(front{program: program, name: "curve-" + program, engines: sockets, slots: curveSlots})
		if err != nil {
			return nil, err
		}
		daemons = append(daemons, y.daemon)
		p.ways = append(p.ways, curveWay{name: program, targets: [][]string{{y.socket}}})
	}
	p.end = func() { w.discard(daemons) }
	return p, nil
}

// enginesAt has x engines. A client that has no polyclam asks them one after the other.
func enginesAt(delay time.Duration) func(context.Context, *world, int) (*curvePoint, error) {
	return func(ctx context.Context, w *world, x int) (*curvePoint, error) {
		p := &curvePoint{swarm: newSwarm(bodyRandom, 10*kb, 1)}
		daemons, err := w.launchDelayed("curve-engine", x, delay)
		if err != nil {
			return nil, err
		}
		var sockets, balanced []string
		for i := range x {
			sockets = append(sockets, w.socket(fmt.Sprintf("curve-engine%d", i)))
			y, err := w.inFront(front{program: "haproxy", name: fmt.Sprintf("curve-haproxy%d", i), engines: sockets[i : i+1]})
			if err != nil {
				return nil, err
			}
			daemons, balanced = append(daemons, y.daemon), append(balanced, y.socket)
		}
		y, err := w.inFront(front{program: "polyclam", name: "curve-polyclam", engines: sockets, many: true})
		if err != nil {
			return nil, err
		}
		daemons = append(daemons, y.daemon)
		p.ways = []curveWay{{name: "direct", targets: [][]string{sockets}}, {name: "haproxy", targets: [][]string{balanced}}, {name: "polyclam", targets: [][]string{{y.socket}}}}
		p.end = func() { w.discard(daemons) }
		return p, nil
	}
}

func (w *world) launchDelayed(name string, n int, delay time.Duration) (all []*daemon, err error) {
	for i := range n {
		d, err := w.launchNull(fmt.Sprintf("%s%d", name, i), delay)
		if err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	return all, nil
}

// discard ends daemons and removes their sockets, so that their names can be used again.
func (w *world) discard(daemons []*daemon) {
	for i := len(daemons) - 1; i >= 0; i-- {
		w.stop(daemons[i])
		os.Remove(w.socket(daemons[i].name))
	}
}
