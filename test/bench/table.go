package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"strings"
)

// speed measures one engine and prints its table.
func speed(ctx context.Context, w *world, e *engine, out io.Writer) error {
	o := w.options
	fmt.Fprintf(out, "\nIn front of %s: a connection and an INSTREAM of %s for every scan, over a Unix socket,\n"+
		"at most %d rounds of slices of %v. Ratios of one round: median [95 %%].\n\n", e.about, kindOf(o.body), o.rounds, o.slice)
	fmt.Fprint(out, header(e.name))
	var rows []*row
	for _, size := range o.sizes {
		for _, clients := range o.clients {
			r, err := w.measure(ctx, e, size, clients)
			if err != nil {
				return err
			}
			fmt.Fprint(out, r.lines())
			rows = append(rows, r)
		}
	}
	fmt.Fprint(out, legend(e.name))
	fmt.Fprint(out, where[e.name])
	if e.name == "clamd" {
		fmt.Fprint(out, judge(rows))
	}
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
			ratio(h.p50By[direct]), spread(p.p50By[direct]), spread(p.p50By[haproxy]),
			ratio(h.rateBy[direct]), spread(p.rateBy[direct]), spread(p.rateBy[haproxy]),
			micros(h.proxyTime()), micros(p.proxyTime()), micros(intervalOf(p.p50Added).median),
			ratio(p.engineRatio))
	}
	return b.String()
}

// legend explains the columns.
func legend(engine string) string {
	return "cl.: concurrent clients; n: rounds. HAP: HAProxy / direct. CPU: of the proxy, per scan.\n" +
		"+p50: microseconds that polyclam adds to the median of direct. " + engine + "'s CPU: through polyclam / directly.\n"
}

// where explains where the numbers come from.
var where = map[string]string{
	"clamd": `
polyclam receives the whole object, writes it into a memory file, passes the descriptor to clamd
on a kept session, answers, and then writes its log line. This saves clamd a connection, the
hand-over between its threads and a temporary file, as its CPU column shows. With one client, half of
polyclam's own time is work, and half is the Go runtime waking its threads, twice per scan;
GOMAXPROCS=1 saves about a quarter of its CPU there.
`,
	"null": `
A null clamd has nothing to save, so what remains is the cost of the proxy. HAProxy passes bytes on.
polyclam keeps the object, so that many engines can scan it and a scan can be repeated, makes a file
of it, follows the dialogue, and writes the log.
`,
}

func ratio(values []float64) string { return fmt.Sprintf("%.2f", intervalOf(values).median) }

func spread(values []float64) string { return intervalOf(values).String() }

// String formats the interval as "1.02 [0.98-1.07]".
func (i interval) String() string { return fmt.Sprintf("%.2f [%.2f-%.2f]", i.median, i.low, i.high) }

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
