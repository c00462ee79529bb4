package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const docs = "../../../docs/performance"

// TestCharts checks that the charts of the documentation are those of its CSV files.
func TestCharts(t *testing.T) {
	for _, c := range charts {
		data, err := os.ReadFile(filepath.Join(docs, c.file+".csv"))
		if err != nil {
			t.Fatal(err)
		}
		want, err := draw(c, data)
		if err != nil {
			t.Fatalf("%s: %v", c.file, err)
		}
		got, err := os.ReadFile(filepath.Join(docs, c.file+".svg"))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s.svg is stale (%v): run go run ./test/bench/plot", c.file, err)
		}
	}
}

const someData = "# a machine & more\nx,way,p50,p50_low,p50_high,p99,p99_low,p99_high,rate,rate_low,rate_high,failed\n" +
	"1,direct,0.001,0.0009,0.002,0.003,0.002,0.004,900,800,1000,3\n1,polyclam,0.002,0.001,0.003,0.003,0.002,0.004,500,400,600,3\n" +
	"100,direct,0.1,0.09,0.2,0.3,0.2,0.4,950,850,1000,3\n100,polyclam,0.2,0.1,0.3,0.3,0.2,0.4,550,450,650,3\n"

// TestDraw checks that charts are well formed, name their axes, and stay within their frame.
func TestDraw(t *testing.T) {
	for _, c := range charts {
		svg, err := draw(c, []byte(someData))
		if err != nil {
			t.Fatalf("%s: %v", c.file, err)
		}
		decoder := xml.NewDecoder(bytes.NewReader(svg))
		for {
			if _, err := decoder.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", c.file, err)
			}
		}
		for _, part := range []string{c.x, c.panels[0].label, c.panels[1].label, "a machine &amp; more", "clamd directly", "prefers-color-scheme: dark"} {
			if !strings.Contains(string(svg), part) {
				t.Errorf("%s has no %q", c.file, part)
			}
		}
		if strings.Contains(string(svg), "NaN") || strings.Contains(string(svg), "Inf") {
			t.Errorf("%s: %s", c.file, svg)
		}
	}
}

func TestAxis(t *testing.T) {
	for _, tt := range []struct {
		log       bool
		low, high float64
		min, max  float64
		ticks     int
	}{
		{false, 3, 97, 0, 100, 6},
		{false, 0.001, 0.0195, 0, 0.02, 5},
		{true, 1, 5000, 1, 5000, 4},
		{true, 0.00035, 2.2, 0.0002, 5, 4},
	} {
		a := newAxis(tt.log, tt.low, tt.high, 300, 100)
		if math.Abs(a.min-tt.min) > 1e-9 || math.Abs(a.max-tt.max) > 1e-9 || len(a.ticks) != tt.ticks {
			t.Errorf("%g to %g: %g to %g, ticks %v", tt.low, tt.high, a.min, a.max, a.ticks)
		}
		if low, high := a.at(a.min), a.at(a.max); math.Abs(low-300) > 1e-6 || math.Abs(high-100) > 1e-6 {
			t.Errorf("%g is at %g, %g at %g", a.min, low, a.max, high)
		}
		if middle := a.at(tt.high); middle < 100 || middle > 300 {
			t.Errorf("%g is at %g", tt.high, middle)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	for _, data := range []string{"", "x,way\n1,a\n", "a,b,c\n1,2,3\n", "x,way,p50,p50_low,p50_high\n1,a,much,1,1\n", "x,way,p50,p50_low,p50_high\n1,a,NaN,1,1\n", "x,way,p50\n1,a\n"} {
		if _, _, err := read([]byte(data)); err == nil {
			t.Errorf("%q is read", data)
		}
	}
	if _, err := draw(charts[0], []byte("x,way,p50,p50_low,p50_high\n1,a,1,1,1\n")); err == nil {
		t.Error("a chart without its quantities")
	}
}
