package main

import (
	"fmt"
	"strings"
)

// An aim is a ratio that polyclam in front of a clamd should keep. It is reported, not
// enforced: a busy machine fails no build.
type aim struct {
	what  string
	limit float64
	least bool // the ratio should be at least the limit, not at most
	of    func(r *row) bool
	value func(p *measured) []float64
}

var aims = []aim{
	{"p50 no worse than direct", 1.00, false, noWorse, func(p *measured) []float64 { return p.p50By[direct] }},
	{"scans/s no worse than direct", 1.00, true, noWorse, func(p *measured) []float64 { return p.rateBy[direct] }},
	{"p50 near direct", 1.05, false, small, func(p *measured) []float64 { return p.p50By[direct] }},
	{"scans/s better than HAProxy", 1.05, true, many, func(p *measured) []float64 { return p.rateBy[haproxy] }},
}

// noWorse selects the rows in which a kept session and a descriptor save clamd more
// than polyclam costs.
func noWorse(r *row) bool { return r.size >= 100<<10 || r.size <= 1<<10 && r.clients >= 16 }

func small(r *row) bool { return r.size == 10<<10 && r.clients == 1 }

func many(r *row) bool { return r.size <= 10<<10 && r.clients >= 16 }

// judge says which aims are reached.
func judge(rows []*row) string {
	var b strings.Builder
	b.WriteString("\nAims:\n")
	for _, a := range aims {
		for _, r := range rows {
			if !a.of(r) {
				continue
			}
			i := intervalOf(a.value(&r.ways[polyclam]))
			sign := "<="
			if a.least {
				sign = ">="
			}
			fmt.Fprintf(&b, "  %-29s %s %.2f  %7s x %-2d  %-18s %s\n", a.what, sign, a.limit, sizeName(r.size), r.clients, i, a.verdict(i))
		}
	}
	return b.String()
}

// verdict says whether an interval reaches the aim: all of it, only its median, or not
// even that.
func (a *aim) verdict(i interval) string {
	reached := func(v float64) bool { return v <= a.limit && !a.least || v >= a.limit && a.least }
	switch {
	case reached(i.low) && reached(i.high):
		return "holds"
	case reached(i.median):
		return "holds by its median"
	case reached(i.low) || reached(i.high):
		return "undecided"
	}
	return "missed"
}
