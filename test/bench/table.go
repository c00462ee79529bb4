package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"strings"
)

// speed measures one engine and prints its table.
func speed(ctx context.Context, w *world, start func() (*engine, error), out io.Writer) error {
	e, err := start()
	if err != nil {
		return err
	}
	o := w.options
	fmt.Fprintf(out, "\nIn front of %s: a connection and an INSTREAM of %s for every scan, over a Unix socket,\n"+
		"at most %d rounds of slices of %v. Ratios of one round: median [95 %%].\n\n", e.about, kindOf(o.body), o.rounds, o.slice)
	fmt.Fprint(out, header(e.name))
	for _, size := range o.sizes {
		for _, clients := range o.clients {
			r, err := w.measure(ctx, e, load{body: o.body, size: size, clients: clients})
			if err != nil {
				return err
			}
			fmt.Fprint(out, r.lines())
		}
	}
	fmt.Fprint(out, legend(e.name))
	return nil
}

func kindOf(body string) string {
	if body == bodyMail {
		return "a mail with a base64 attachment"
	}
	return "random bytes"
}

const lineFormat = "%-7s %3s %2s | %9s %5s | %4s  %-19s %-19s | %4s  %-19s %-19s | %6s %6s %5s | %6s\n"

// header is the head of the table.
func header(engine string) string {
	first := fmt.Sprintf(lineFormat, "", "", "", "direct", "", "p50", "of direct's", "of HAProxy's", "", "scans/s of direct's", "of HAProxy's", "CPU us", "a scan", "", engine+"'s")
	second := fmt.Sprintf(lineFormat, "size", "cl.", "n", "p50", "/s", "HAP", "polyclam", "polyclam", "HAP", "polyclam", "polyclam", "HAP", "polycl", "+p50", "CPU")
	return first + second + strings.Repeat("-", len(second)-1) + "\n"
}

// lines is the row as text: one line, and another for a baseline.
func (r *row) lines() string {
	d, h := &r.ways[direct], &r.ways[haproxy]
	var b strings.Builder
	for at := polyclam; at < len(r.ways); at++ {
		p := &r.ways[at]
		name := sizeName(r.size)
		if at == baseline {
			name = " base"
		}
		fmt.Fprintf(&b, lineFormat, name, fmt.Sprint(r.clients), fmt.Sprint(r.rounds),
			duration(intervalOf(d.p50).median), count(intervalOf(d.rate).median),
			ratio(r.over(ofP50, haproxy, direct)), spread(r.over(ofP50, at, direct)), spread(r.over(ofP50, at, haproxy)),
			ratio(r.over(ofRate, haproxy, direct)), spread(r.over(ofRate, at, direct)), spread(r.over(ofRate, at, haproxy)),
			micros(intervalOf(h.proxy).median), micros(intervalOf(p.proxy).median), micros(intervalOf(p.p50).median-intervalOf(d.p50).median),
			ratio(r.over(ofEngine, at, direct)))
	}
	return b.String()
}

// legend explains the columns.
func legend(engine string) string {
	return "cl.: concurrent clients; n: rounds. HAP: HAProxy / direct. CPU: of the proxy, per scan.\n" +
		"+p50: microseconds that polyclam adds to the median of direct. " + engine + "'s CPU: through polyclam / directly.\n"
}

func ratio(values []float64) string { return fmt.Sprintf("%.2f", intervalOf(values).median) }

func duration(seconds float64) string {
	switch {
	case math.IsNaN(seconds):
		return "-"
	case seconds < 0.001:
		return fmt.Sprintf("%.0f us", seconds*1e6)
	case seconds < 1:
		return fmt.Sprintf("%.2f ms", seconds*1e3)
	}
	return fmt.Sprintf("%.2f s", seconds)
}

func micros(seconds float64) string { return fmt.Sprintf("%.0f", seconds*1e6) }

func count(n float64) string {
	if n < 100 {
		return fmt.Sprintf("%.1f", n)
	}
	return fmt.Sprintf("%.0f", n)
}
