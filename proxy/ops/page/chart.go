package page

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"polyclam/backends"
	"polyclam/proxy/count"
	"polyclam/proxy/ops/human"
)

// The sizes of the drawings, in their own units.
const (
	chartHeight  = 200
	chartColumn  = 10
	sparkHeight  = 24
	sparkColumn  = 2
	leastVisible = 5 // of a chart's height: one virus among a thousand clean objects
)

// An area is the part of a chart for one category.
type area struct{ Category, Path string }

// A chart has a stacked column for each minute of the last hour.
type chart struct {
	Title, Label     string
	Max              string // empty: there is nothing to draw
	Areas            []area
	From, Middle, To string // of the axis of time
}

// newChart draws the categories that include has. verdicts are the oldest first, and newest
// is when the last of their minutes begins.
func newChart(title string, verdicts *[minutes]count.ByCategory, include func(backends.Category) bool, newest time.Time) chart {
	paths := map[backends.Category]*strings.Builder{}
	var all, most uint64
	for _, v := range verdicts {
		n := selected(v, include)
		all, most = all+n, max(most, n)
	}
	for i, v := range verdicts {
		y := chartHeight
		for _, p := range heights(v, include, most) {
			b := paths[p.category]
			if b == nil {
				b = &strings.Builder{}
				paths[p.category] = b
			}
			y -= p.height
			fmt.Fprintf(b, "M%d %dh%dv%dh-%dz", i*chartColumn+1, y, chartColumn-2, p.height, chartColumn-2)
		}
	}
	c := chart{
		Title: title,
		Label: fmt.Sprintf("%s: %s in the last hour, at most %s per minute; the table has the numbers", title, number(all), number(most)),
		From:  newest.Add(-(minutes - 1) * time.Minute).Format("15:04"), Middle: newest.Add(-minutes / 2 * time.Minute).Format("15:04"), To: newest.Format("15:04"),
	}
	if most > 0 {
		c.Max = number(most)
	}
	for _, category := range backends.Categories() {
		if b := paths[category]; b != nil {
			c.Areas = append(c.Areas, area{string(category), b.String()})
		}
	}
	return c
}

func selected(v count.ByCategory, include func(backends.Category) bool) (n uint64) {
	for category, c := range v.All() {
		if include(category) {
			n += c
		}
	}
	return n
}

// A piece is a part of a column.
type piece struct {
	category backends.Category
	height   int
}

// heights returns the pieces of one column, from the bottom up: ok, then the weakest. Each
// is at least leastVisible high, for which the highest ones shrink.
func heights(v count.ByCategory, include func(backends.Category) bool, most uint64) (list []piece) {
	sum := 0
	for category, n := range v.All() {
		if n == 0 || !include(category) {
			continue
		}
		h := max(leastVisible, int(float64(n)/float64(most)*chartHeight))
		list = append(list, piece{category, h})
		sum += h
	}
	slices.Reverse(list) // ok is the last category
	for sum > chartHeight {
		i := 0
		for j := range list {
			if list[j].height > list[i].height {
				i = j
			}
		}
		excess := min(sum-chartHeight, list[i].height-leastVisible)
		list[i].height -= excess
		sum -= excess
	}
	return list
}

// A spark is the latency of a node in the last hour.
type spark struct {
	Times, Failures string // paths
	Latency, Label  string // text; empty: no scans
}

// newSpark draws the 95th percentile of each minute, and marks minutes with failures.
func newSpark(list *[minutes]nodeMinute) (s spark) {
	var all count.Value
	var p95 [minutes]time.Duration
	var most time.Duration
	var failures uint64
	for i := range list {
		m := &list[i]
		v := m.times.value()
		all.Add(v)
		failures += uint64(m.failures)
		p95[i], _ = v.Quantile(0.95)
		most = max(most, p95[i])
	}
	var times, fails strings.Builder
	for i, d := range p95 {
		if d > 0 {
			h := max(1, int(int64(d)*(sparkHeight-3)/int64(most)))
			fmt.Fprintf(&times, "M%d %dh%dv%dh-%dz", i*sparkColumn, sparkHeight-h, sparkColumn, h, sparkColumn)
		}
		if list[i].failures > 0 {
			fmt.Fprintf(&fails, "M%d 0h%dv%dh-%dz", i*sparkColumn, sparkColumn, 3, sparkColumn)
		}
	}
	s.Times, s.Failures = times.String(), fails.String()
	if half, ok := all.Quantile(0.5); ok {
		high, _ := all.Quantile(0.95)
		s.Latency = "p50 " + human.Latency(half) + ", p95 " + human.Latency(high)
		s.Label = "p95 by minute, at most " + human.Latency(most)
	}
	if failures > 0 {
		s.Latency = cmp.Or(s.Latency, "no answers")
		s.Label = strings.TrimPrefix(s.Label+fmt.Sprintf("; %s failures, marked at the top", number(failures)), "; ")
	}
	return s
}
