package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A slice is a short measurement of one way.
type slice struct {
	p50, p99      float64
	rate          float64
	scans         int
	proxy, engine time.Duration
}

// A team is the clients of a row, with requests that they reuse.
type team struct {
	load
	members []*member
}

type member struct {
	request *request
	fixed   *request // for ways on which the same object repeats
	took    []time.Duration
	err     error
}

func newTeam(l load) *team {
	t := &team{load: l}
	for i := range l.clients {
		t.members = append(t.members, &member{
			request: newRequest(l.body, l.size, uint64(i+1)),
			took:    make([]time.Duration, 0, 1<<16),
		})
	}
	return t
}

// fixedSeed makes the objects that repeat different from the others.
const fixedSeed = 1 << 12

// repeats makes the objects that repeat, all different, and returns them.
func (t *team) repeats() []*request {
	var all []*request
	for i, m := range t.members {
		if m.fixed == nil {
			m.fixed = newRequest(t.body, t.size, uint64(fixedSeed+i))
			m.fixed.renew()
		}
		all = append(all, m.fixed)
	}
	return all
}

// run is one slice: all clients scan until the time is over, at least once.
func (t *team) run(ctx context.Context, e *engine, at int, length time.Duration) (slice, error) {
	if ctx.Err() != nil {
		return slice{}, context.Cause(ctx)
	}
	y := e.ways[at]
	if y.repeat {
		t.repeats()
	}
	proxy, engine := y.cpu(), y.engineCPU(e)
	var wg sync.WaitGroup
	begin := time.Now()
	next := t.pace(begin, length)
	for _, m := range t.members {
		wg.Go(func() { m.run(y, next) })
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

// pace returns a function that says when a client's next scan is due. It is given how many
// scans the client has made. With a rate, the clients share one timetable: a scan that
// begins late counts from when it was due.
func (t *team) pace(begin time.Time, length time.Duration) func(made int) (time.Time, bool) {
	end := begin.Add(length)
	if t.rate == 0 {
		return func(made int) (time.Time, bool) {
			now := time.Now()
			return now, made == 0 || now.Before(end)
		}
	}
	var count atomic.Int64
	gap := time.Duration(float64(time.Second) / t.rate)
	return func(int) (time.Time, bool) {
		due := begin.Add(time.Duration(count.Add(1)) * gap)
		if !due.Before(end) {
			return due, false
		}
		time.Sleep(time.Until(due))
		return due, true
	}
}

func (m *member) run(y way, next func(int) (time.Time, bool)) {
	c := newClient(y.socket, hang)
	m.took, m.err = m.took[:0], nil
	for {
		due, more := next(len(m.took))
		if !more {
			return
		}
		object := m.request.bytes
		if y.repeat {
			object = m.fixed.bytes
		} else {
			m.request.renew()
		}
		if _, err := c.scan(object); err != nil {
			m.err = err
			return
		}
		if len(m.took) == cap(m.took) {
			m.err = errors.New("more scans than there is room for: take a shorter slice")
			return
		}
		m.took = append(m.took, time.Since(due))
	}
}

func (y way) cpu() time.Duration {
	if y.daemon == nil {
		return 0
	}
	return y.daemon.cpu()
}

// engineCPU returns the processor time of the engine that the way leads to.
func (y *way) engineCPU(e *engine) time.Duration {
	if y.engine != nil {
		return y.engine.cpu()
	}
	return e.daemon.cpu()
}

// quantile is the value that the share q of sorted values does not exceed, in seconds.
func quantile(values []time.Duration, q float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	return values[min(int(q*float64(len(values))), len(values)-1)].Seconds()
}
