package model

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"polyclam/test/bench/report"
)

// limits says how far the resources are from being used up when the load grows and the
// hosts that are up stay as many.
func limits(s Site, p *Plan, up float64) []Limit {
	all := []Limit{
		{"processors of the hosts", up * float64(s.Cores) / (p.Engine + p.Polyclamd)},
		{"network of the hosts", up * s.Network * 1e9 / 8 / p.Bytes},
	}
	if p.RedisCores > 0 {
		all = append(all, Limit{"the one thread of Redis", 1 / p.RedisCores})
	}
	return all
}

// First is the resource that is used up first.
func (p *Plan) First() Limit {
	return slices.MinFunc(p.Limits, func(a, b Limit) int { return cmp.Compare(a.Times, b.Times) })
}

// Table has a column for each plan.
func Table(names []string, plans []*Plan) *report.Grid {
	g := &report.Grid{Head: append([]string{"in the busiest hour"}, names...)}
	row := func(name string, f func(*Plan) string) {
		cells := []string{name}
		for _, p := range plans {
			cells = append(cells, f(p))
		}
		g.Add(cells...)
	}
	row("messages per second", func(p *Plan) string { return number(p.Rate) })
	row("MB per second", func(p *Plan) string { return number(p.Bytes / (1 << 20)) })
	row("cores for engines", func(p *Plan) string { return number(p.Engine) })
	row("cores for polyclamd", func(p *Plan) string { return number(p.Polyclamd) })
	row("hosts, with spare ones", func(p *Plan) string { return fmt.Sprint(p.Hosts) })
	row("memory per host", func(p *Plan) string { return bytes(p.Memory) })
	row("Redis: reads per second", func(p *Plan) string { return number(p.RedisReads) })
	row("Redis: writes per second", func(p *Plan) string { return number(p.RedisWrites) })
	row("Redis: cores", func(p *Plan) string { return number(p.RedisCores) })
	row("Redis: memory", func(p *Plan) string { return bytes(p.RedisMemory) })
	row("log per day, all hosts", func(p *Plan) string { return bytes(p.LogBytes) })
	for i, l := range plans[0].Limits {
		row(l.What+", used up at times the load", func(p *Plan) string { return number(p.Limits[i].Times) + "x" })
	}
	row("used up first", func(p *Plan) string { return p.First().What })
	return g
}

// number has two or three significant digits.
func number(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

func bytes(v float64) string {
	units := []string{"B", "KB", "MB", "GB", "TB"}
	i := 0
	for v >= 1000 && i < len(units)-1 {
		v, i = v/1024, i+1
	}
	if v == math.Trunc(v) {
		return fmt.Sprintf("%.0f %s", v, units[i])
	}
	return number(v) + " " + units[i]
}
