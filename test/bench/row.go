package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"time"
)

// A row is one line of the table: a size and a number of clients.
type row struct {
	size    int64
	clients int
	rounds  int
	ways    []measured
}

// measured is what one way did in a row. The ratios have one value per round.
type measured struct {
	p50, rate     []float64 // seconds, scans per second
	p99           []float64
	proxy, engine time.Duration // processor time of all rounds
	engineRatio   []float64     // engine time per scan, relative to the direct way
	scans         int
	p50By, rateBy [2][]float64 // relative to the direct way, and to HAProxy
	p50Added      []float64    // seconds more than the direct way
}

// A slice is a short measurement of one way.
type slice struct {
	p50, p99      float64
	rate          float64
	scans         int
	proxy, engine time.Duration
}

// measure measures a row: rounds in which every way has its slice, in changing order.
func (w *world) measure(ctx context.Context, e *engine, size int64, clients int) (*row, error) {
	r := &row{size: size, clients: clients, ways: make([]measured, len(e.ways))}
	team := newTeam(w.options.body, size, clients)
	defer runtime.GC()
	end := time.Now().Add(w.options.budget)
	for i := range e.ways { // warm up connections, pools and caches
		if _, err := team.run(ctx, e, i, w.options.slice/4); err != nil {
			return nil, err
		}
	}
	for round := 0; round < w.options.rounds; round++ {
		if round >= 3 && time.Now().After(end) {
			break
		}
		slices := make([]slice, len(e.ways))
		for i := range e.ways {
			at := (i + round) % len(e.ways)
			var err error
			if slices[at], err = team.run(ctx, e, at, w.options.slice); err != nil {
				return nil, err
			}
		}
		r.add(slices)
	}
	return r, nil
}

// add adds the slices of one round.
func (r *row) add(round []slice) {
	r.rounds++
	for i, s := range round {
		m := &r.ways[i]
		m.p50, m.p99, m.rate = append(m.p50, s.p50), append(m.p99, s.p99), append(m.rate, s.rate)
		m.proxy += s.proxy
		m.engine += s.engine
		m.scans += s.scans
		m.engineRatio = append(m.engineRatio, s.engineTime()/round[direct].engineTime())
		m.p50Added = append(m.p50Added, s.p50-round[direct].p50)
		for j := range m.p50By {
			m.p50By[j] = append(m.p50By[j], s.p50/round[j].p50)
			m.rateBy[j] = append(m.rateBy[j], s.rate/round[j].rate)
		}
	}
}

// engineTime is the engine's processor time per scan.
func (s *slice) engineTime() float64 { return s.engine.Seconds() / float64(s.scans) }

// proxyTime is the processor time per scan of the program in front.
func (m *measured) proxyTime() float64 { return m.proxy.Seconds() / float64(m.scans) }

// A team is the clients of a row, with requests that they reuse.
type team struct {
	members []*member
}

type member struct {
	request *request
	took    []time.Duration
	err     error
}

func newTeam(body string, size int64, clients int) *team {
	t := &team{}
	for i := range clients {
		t.members = append(t.members, &member{
			request: newRequest(body, size, uint64(i+1)),
			took:    make([]time.Duration, 0, 1<<16),
		})
	}
	return t
}

// run is one slice: all clients scan until the time is over, at least once.
func (t *team) run(ctx context.Context, e *engine, at int, length time.Duration) (slice, error) {
	if ctx.Err() != nil {
		return slice{}, context.Cause(ctx)
	}
	y := e.ways[at]
	proxy, engine := y.cpu(), y.engineCPU(e)
	var wg sync.WaitGroup
	begin := time.Now()
	for _, m := range t.members {
		wg.Go(func() { m.run(y.socket, begin.Add(length)) })
	}
	wg.Wait()
	s := slice{proxy: y.cpu() - proxy, engine: y.engineCPU(e) - engine}
	elapsed := time.Since(begin)
	var all []time.Duration
	for _, m := range t.members {
		if m.err != nil {
			return slice{}, fmt.Errorf("scan %s: %w", y.name, m.err)
		}
		all = append(all, m.took...)
	}
	slices.Sort(all)
	s.scans = len(all)
	s.rate = float64(s.scans) / elapsed.Seconds()
	s.p50, s.p99 = quantile(all, 0.5), quantile(all, 0.99)
	return s, nil
}

func (m *member) run(socket string, end time.Time) {
	c := newClient(socket, hang)
	m.took, m.err = m.took[:0], nil
	for {
		took, err := c.scan(m.request.renew())
		if err != nil {
			m.err = err
			return
		}
		if len(m.took) == cap(m.took) {
			m.err = errors.New("more scans than there is room for: take a shorter slice")
			return
		}
		m.took = append(m.took, took)
		if !time.Now().Before(end) {
			return
		}
	}
}

func (y way) cpu() time.Duration {
	if y.daemon == nil {
		return 0
	}
	return y.daemon.cpu()
}

// quantile is the value that the share q of sorted values does not exceed, in seconds.
func quantile(values []time.Duration, q float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	return values[min(int(q*float64(len(values))), len(values)-1)].Seconds()
}

// engineCPU returns the processor time of the engine that the way leads to.
func (y *way) engineCPU(e *engine) time.Duration {
	if y.engine != nil {
		return y.engine.cpu()
	}
	return e.daemon.cpu()
}
