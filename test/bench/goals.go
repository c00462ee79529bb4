package main

import (
	"fmt"
	"slices"
	"strings"

	"polyclam/test/bench/report"
)

// A cell is one value that polyclam should reach. It is reported, not enforced: a busy
// machine fails no build.
type cell struct {
	goal     string // "N1"
	what     string // what the value is
	measured string // in absolute terms
	limit    float64
	least    bool      // the value should be at least the limit, not at most
	values   []float64 // one per round
	haproxy  []float64 // the same for HAProxy, if it makes sense
	base     []float64 // the same for the baseline, if there is one
	skipped  string    // why it was not measured
}

// goalTexts says what the goals are about.
var goalTexts = []struct{ goal, text string }{
	{"N1", "after polyclam init, p50 to clamd as the distribution installs it"},
	{"N2", "the same clamd on both sides, p50 to clamd alone, and ahead of HAProxy"},
	{"N3", "null clamd, small objects, to HAProxy"},
	{"N4", "null clamd, large objects, to HAProxy"},
	{"N5", "the cache, to clamd alone with unique objects"},
	{"N6", "one of four nodes ten times slower, p99 to that of the fast ones"},
	{"N7", "memory (RSS) per waiting client"},
	{"N8", "system calls per scan of 1 KB"},
}

// wanted is the limit as text.
func (c *cell) wanted() string {
	sign := "<= "
	if c.least {
		sign = ">= "
	}
	return sign + number(c.limit)
}

// verdict says whether the cell's interval reaches the limit: all of it, only its median,
// or not even that.
func (c *cell) verdict() string {
	if c.skipped != "" {
		return "not measured: " + c.skipped
	}
	i := intervalOf(c.values)
	reached := func(v float64) bool { return v <= c.limit && !c.least || v >= c.limit && c.least }
	switch {
	case reached(i.low) && reached(i.high):
		return "met"
	case reached(i.median):
		return "met by its median"
	case reached(i.low) || reached(i.high):
		return "undecided"
	}
	return "missed"
}

// number has two digits after the point, one if it is large, three if it is small.
func number(v float64) string {
	switch {
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	case v < 0.1:
		return fmt.Sprintf("%.3f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// String formats the interval as "1.02 [0.98-1.07]".
func (i interval) String() string {
	return fmt.Sprintf("%s [%s-%s]", number(i.median), number(i.low), number(i.high))
}

func spread(values []float64) string {
	if len(values) == 0 {
		return ""
	}
	return intervalOf(values).String()
}

// goalGrid is the table of all cells.
func goalGrid(cells []cell) *report.Grid {
	g := &report.Grid{Head: []string{"goal", "value", "measured", "polyclam [95 %]", "wanted", "result", "HAProxy [95 %]"}}
	withBase := slices.ContainsFunc(cells, func(c cell) bool { return c.base != nil })
	if withBase {
		g.Head = append(g.Head, "baseline [95 %]")
	}
	for _, c := range cells {
		row := []string{c.goal, c.what, c.measured, spread(c.values), c.wanted(), c.verdict(), spread(c.haproxy)}
		if withBase {
			row = append(row, spread(c.base))
		}
		g.Add(row...)
	}
	return g
}

// summary counts the results of each goal.
func summary(cells []cell) string {
	var b strings.Builder
	for _, t := range goalTexts {
		all, met := 0, 0
		for _, c := range cells {
			if c.goal == t.goal {
				all++
				if strings.HasPrefix(c.verdict(), "met") {
					met++
				}
			}
		}
		if all > 0 {
			fmt.Fprintf(&b, "%s: %d of %d met. %s\n", t.goal, met, all, sentence(t.text))
		}
	}
	return b.String()
}

func sentence(s string) string { return strings.ToUpper(s[:1]) + s[1:] + "." }
