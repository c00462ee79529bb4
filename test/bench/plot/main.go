// Plot draws the charts of docs/performance from the CSV files that
// "go run ./test/bench --only curves" writes.
//
//	go run ./test/bench/plot [DIRECTORY]
//
// Each NAME.csv becomes NAME.svg. The same file always becomes the same chart.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	dir := "docs/performance"
	if len(os.Args) > 1 {
		dir = os.Args[1]
	}
	if err := plotAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, "plot:", err)
		os.Exit(1)
	}
}

// plotAll draws every chart whose file is in dir.
func plotAll(dir string) error {
	for _, c := range charts {
		data, err := os.ReadFile(filepath.Join(dir, c.file+".csv"))
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return err
		}
		svg, err := draw(c, data)
		if err != nil {
			return fmt.Errorf("%s.csv: %w", c.file, err)
		}
		if err := os.WriteFile(filepath.Join(dir, c.file+".svg"), svg, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// A chart has panels side by side, with the same x axis.
type chart struct {
	file   string
	title  string
	x      string // label of the axis
	xLog   bool
	xTick  func(float64) string
	panels []panel
}

// A panel shows one quantity of all ways.
type panel struct {
	label    string
	quantity string // column of the CSV file
	log      bool
	tick     func(float64) string
}

var (
	rates = panel{"scans per second", "rate", false, plain}
	p50s  = panel{"median time of a scan", "p50", true, seconds}
	p99s  = panel{"99th percentile of the time", "p99", true, seconds}
)

var charts = []chart{
	{"clients-clamd", "Clients: mail of 10 KB, a real clamd with a tiny database", "clients", true, plain, []panel{rates, p99s}},
	{"clients-null", "Clients: mail of 10 KB, a null clamd that only reads", "clients", true, plain, []panel{rates, p99s}},
	{"nodes", "Nodes: 20 ms per scan, 10 scans at a time on each, 128 clients", "nodes", false, plain, []panel{rates, p99s}},
	{"sizes", "Size of the object: random bytes, one client, a real clamd with a tiny database", "object size", true, kilobytes, []panel{rates.logarithmic(), p50s}},
	{"engines", "Engines of 20 ms: asked together by polyclam, else one after the other", "engines", false, plain, []panel{p50s.linear(), p99s.linear()}},
	{"engines-null", "Engines that only read: 10 KB, one client", "engines", false, plain, []panel{p50s.linear(), p99s.linear()}},
}

func (p panel) logarithmic() panel { p.log = true; return p }

func (p panel) linear() panel { p.log = false; return p }

func plain(v float64) string { return fmt.Sprintf("%g", v) }

func seconds(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v < 0.999e-3:
		return fmt.Sprintf("%.3g µs", v*1e6)
	case v < 0.999:
		return fmt.Sprintf("%.3g ms", v*1e3)
	}
	return fmt.Sprintf("%.3g s", v)
}

func kilobytes(v float64) string {
	if v >= 1<<10 {
		return fmt.Sprintf("%.3g MB", v/(1<<10))
	}
	return fmt.Sprintf("%.3g KB", v)
}
