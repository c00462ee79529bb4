package main

import (
	"bytes"
	"errors"
	"fmt"
	"html"
	"math"
	"strings"
)

const (
	width, height = 860, 420
	top, bottom   = 96, 350 // of the panels
	leftEdge      = 70
	panelWidth    = 320
	panelGap      = 110
)

// style has colors that are legible on light and dark ground, as the site of the reader
// has it.
const style = `
    .card { fill: #ffffff; stroke: #d0d7de; }
    .text { fill: #1f2328; }
    .soft { fill: #57606a; font-size: 12px; }
    .grid { stroke: #d8dee4; stroke-width: 1; }
    .axis { stroke: #57606a; stroke-width: 1; }
    .line { fill: none; stroke-width: 2; }
    .polyclam { stroke: #0969da; fill: #0969da; }
    .direct { stroke: #57606a; fill: #57606a; stroke-dasharray: 6 3; }
    .haproxy { stroke: #bc4c00; fill: #bc4c00; stroke-dasharray: 2 3; }
    @media (prefers-color-scheme: dark) {
      .card { fill: #0d1117; stroke: #30363d; }
      .text { fill: #e6edf3; }
      .soft { fill: #9da7b1; }
      .grid { stroke: #21262d; }
      .axis { stroke: #9da7b1; }
      .polyclam { stroke: #4493f8; fill: #4493f8; }
      .direct { stroke: #9da7b1; fill: #9da7b1; }
      .haproxy { stroke: #f0883e; fill: #f0883e; }
    }
    .line { fill: none; }
    .dot, .band { stroke: none; }
    .band { fill-opacity: 0.15; }
`

// names are the ways in the legend.
var names = map[string]string{"polyclam": "polyclam", "direct": "clamd directly", "haproxy": "HAProxy"}

// draw makes a chart from a CSV file.
func draw(c chart, data []byte) ([]byte, error) {
	about, all, err := read(data)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-labelledby="title" `+
		`font-family="system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', Helvetica, Arial, sans-serif" font-size="14">`+"\n", width, height, width, height)
	fmt.Fprintf(&b, "  <title id=\"title\">%s</title>\n  <style>%s  </style>\n", html.EscapeString(c.title), style)
	fmt.Fprintf(&b, "  <rect class=\"card\" x=\"0.5\" y=\"0.5\" width=\"%d\" height=\"%d\" rx=\"8\"/>\n", width-1, height-1)
	fmt.Fprintf(&b, "  <text class=\"text\" x=\"24\" y=\"28\" font-weight=\"600\">%s</text>\n", html.EscapeString(c.title))
	legend(&b, all)
	for i, p := range c.panels {
		if err := p.draw(&b, c, all, leftEdge+float64(i)*(panelWidth+panelGap)); err != nil {
			return nil, err
		}
	}
	fmt.Fprintf(&b, "  <text class=\"soft\" x=\"24\" y=\"%d\" font-size=\"11\">%s</text>\n</svg>\n", height-14, html.EscapeString(about))
	return b.Bytes(), nil
}

func legend(b *bytes.Buffer, all []series) {
	x := 24
	for _, s := range all {
		name, ok := names[s.way]
		if !ok {
			continue
		}
		fmt.Fprintf(b, "  <path class=\"line %s\" d=\"M%d 46h26\"/><text class=\"soft\" x=\"%d\" y=\"50\">%s</text>\n", s.way, x, x+32, name)
		x += 56 + 7*len(name)
	}
}

// draw draws one panel whose left edge is at x.
func (p panel) draw(b *bytes.Buffer, c chart, all []series, x float64) error {
	xs, ys, err := p.axes(c, all, x)
	if err != nil {
		return err
	}
	fmt.Fprintf(b, "  <text class=\"soft\" x=\"%.0f\" y=\"%d\">%s</text>\n", x-46, top-14, html.EscapeString(p.label))
	for _, t := range ys.ticks {
		fmt.Fprintf(b, "  <path class=\"grid\" d=\"M%.1f %.1fH%.1f\"/><text class=\"soft\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n",
			xs.from, ys.at(t), xs.to, xs.from-6, ys.at(t)+4, p.tick(t))
	}
	for _, t := range xs.ticks {
		fmt.Fprintf(b, "  <path class=\"axis\" d=\"M%.1f %dv4\"/><text class=\"soft\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>\n",
			xs.at(t), bottom, xs.at(t), bottom+18, c.xTick(t))
	}
	fmt.Fprintf(b, "  <path class=\"axis\" d=\"M%.1f %dH%.1f\"/><text class=\"soft\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>\n",
		xs.from, bottom, xs.to, (xs.from+xs.to)/2, bottom+36, html.EscapeString(c.x))
	for _, s := range all {
		if _, ok := names[s.way]; ok {
			curve(b, s.way, s.columns[p.quantity], xs, ys)
		}
	}
	return nil
}

// axes are as long as the values of all series need.
func (p panel) axes(c chart, all []series, x float64) (xs, ys axis, err error) {
	lowX, highX, low, high := math.Inf(1), 0.0, math.Inf(1), 0.0
	for _, s := range all {
		for _, v := range s.columns[p.quantity] {
			lowX, highX = math.Min(lowX, v.x), math.Max(highX, v.x)
			if v.low > 0 {
				low = math.Min(low, v.low)
			}
			high = math.Max(high, v.high)
		}
	}
	if math.IsInf(lowX, 1) || math.IsInf(low, 1) {
		return xs, ys, errors.New("no values of " + p.quantity)
	}
	ys = newAxis(p.log, low, high, bottom, top)
	xs = newAxis(c.xLog, lowX, highX, x, x+panelWidth)
	if !c.xLog { // whole numbers, from the first to the last
		xs = axis{min: lowX, max: math.Max(highX, lowX+1), from: x, to: x + panelWidth}
		for v := lowX; v <= highX; v++ {
			xs.ticks = append(xs.ticks, v)
		}
	}
	return xs, ys, nil
}

// curve draws the medians as a line, and the intervals as a band around it.
func curve(b *bytes.Buffer, way string, samples []sample, xs, ys axis) {
	var line, band, back, dots strings.Builder
	for i, s := range samples {
		mark := "L"
		if i == 0 {
			mark = "M"
		}
		fmt.Fprintf(&line, "%s%.1f %.1f", mark, xs.at(s.x), ys.at(s.median))
		fmt.Fprintf(&band, "%s%.1f %.1f", mark, xs.at(s.x), ys.at(s.high))
		last := samples[len(samples)-1-i]
		fmt.Fprintf(&back, "L%.1f %.1f", xs.at(last.x), ys.at(last.low))
		fmt.Fprintf(&dots, "<circle class=\"dot %s\" cx=\"%.1f\" cy=\"%.1f\" r=\"2.5\"/>", way, xs.at(s.x), ys.at(s.median))
	}
	fmt.Fprintf(b, "  <path class=\"%s band\" d=\"%s%sZ\"/><path class=\"%s line\" d=\"%s\"/>%s\n", way, band.String(), back.String(), way, line.String(), dots.String())
}
