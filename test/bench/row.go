package main

import (
	"context"
	"runtime"
	"time"
)

// A load is how clients scan: what, how many at a time, and how often.
type load struct {
	body    string
	size    int64
	clients int
	rate    float64       // scans per second of all clients together; 0: one after the other
	slice   time.Duration // 0: as --slice says
}

// A row is what one load measured: a slice of every way in each round.
type row struct {
	load
	rounds int
	ways   []measured
}

// measured is what one way did in a row: one value per round.
type measured struct {
	p50, p99 []float64 // seconds
	rate     []float64 // scans per second
	proxy    []float64 // processor time per scan of the program in front, seconds
	engine   []float64 // the same of the engine
}

// A quantity is one of the lists of measured.
type quantity func(*measured) []float64

func ofP50(m *measured) []float64    { return m.p50 }
func ofP99(m *measured) []float64    { return m.p99 }
func ofRate(m *measured) []float64   { return m.rate }
func ofProxy(m *measured) []float64  { return m.proxy }
func ofEngine(m *measured) []float64 { return m.engine }

// over is a quantity of one way relative to that of another, in each round.
func (r *row) over(q quantity, way, by int) []float64 {
	return over(q(&r.ways[way]), q(&r.ways[by]))
}

func over(a, b []float64) []float64 {
	var ratios []float64
	for i := range a {
		ratios = append(ratios, a[i]/b[i])
	}
	return ratios
}

// measure measures a row: rounds in which every way has its slice, in changing order.
func (w *world) measure(ctx context.Context, e *engine, l load) (*row, error) {
	if l.slice == 0 {
		l.slice = w.options.slice
	}
	r := &row{load: l, ways: make([]measured, len(e.ways))}
	team := newTeam(l)
	defer runtime.GC()
	end := time.Now().Add(w.options.budget)
	for i := range e.ways { // warm up connections, pools and caches
		if _, err := team.run(ctx, e, i, l.slice/4); err != nil {
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
			if slices[at], err = team.run(ctx, e, at, l.slice); err != nil {
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
		m.proxy = append(m.proxy, s.proxy.Seconds()/float64(s.scans))
		m.engine = append(m.engine, s.engine.Seconds()/float64(s.scans))
	}
}
