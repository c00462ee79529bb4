package main

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"polyclam/proxy/engine"
	"polyclam/proxy/ops/human"
	proxyprintable "polyclam/proxy/printable"
)

// maxCell is the length of a name in the table. Names are shown in ASCII, because the width of
// other characters differs between terminals.
const maxCell = 64

func cell(s string) string { return proxyprintable.Escape(s, maxCell) }

// topColumn is a column of the table. Narrow terminals leave out those with the highest drop.
type topColumn struct {
	title string
	key   rune // sorts by it
	drop  int
	right bool
	text  func(topRow, time.Time) string
	less  func(a, b topRow) int // for key
}

const nodeTitle = "NODE"

var topColumns = []topColumn{
	{"ENGINE", 'n', 0, false, func(r topRow, _ time.Time) string { return cell(r.engine) }, func(a, b topRow) int {
		return cmp.Or(strings.Compare(a.engine, b.engine), strings.Compare(a.node, b.node))
	}},
	{nodeTitle, 0, 2, false, func(r topRow, _ time.Time) string { return cell(r.node) }, nil},
	{"STATE", 0, 0, false, func(r topRow, _ time.Time) string { return cell(stateText(r)) }, nil},
	{"SCANS/S", 's', 1, true, func(r topRow, _ time.Time) string { return rate(r.scans) }, func(a, b topRow) int { return cmp.Compare(b.scans, a.scans) }},
	{"FAILED/S", 'f', 3, true, func(r topRow, _ time.Time) string { return rate(r.failures) }, func(a, b topRow) int { return cmp.Compare(b.failures, a.failures) }},
	{"SLOTS", 'i', 4, true, func(r topRow, _ time.Time) string { return slotsText(r) }, func(a, b topRow) int { return cmp.Compare(b.inFlight, a.inFlight) }},
	{"WAITING", 'w', 5, true, func(r topRow, _ time.Time) string { return strconv.Itoa(r.waiting) }, func(a, b topRow) int { return cmp.Compare(b.waiting, a.waiting) }},
	{"P50", 0, 8, true, func(r topRow, _ time.Time) string { return latency(r.p50, r.hasTimes) }, nil},
	{"P95", 'l', 6, true, func(r topRow, _ time.Time) string { return latency(r.p95, r.hasTimes) }, func(a, b topRow) int { return cmp.Compare(b.p95, a.p95) }},
	{"SIGNATURES", 'a', 9, false, func(r topRow, now time.Time) string { return ageOf(now, r.database) }, func(a, b topRow) int { return a.database.Compare(b.database) }},
}

// stateText returns the state of a node, and the mode of an engine that is not on.
func stateText(r topRow) string {
	if r.mode == "" || r.mode == string(engine.On) {
		return r.state
	}
	return r.state + ", " + r.mode
}

func slotsText(r topRow) string {
	if r.slots == 0 {
		return strconv.Itoa(r.inFlight)
	}
	return fmt.Sprintf("%d/%d", r.inFlight, r.slots)
}

// ageOf returns how long ago a time was, or "-" for the zero time.
func ageOf(now, at time.Time) string {
	if at.IsZero() {
		return "-"
	}
	return age(now.Sub(at))
}

func rate(r float64) string {
	if r > 0 && r < 0.05 {
		return "<0.1"
	}
	return strconv.FormatFloat(r, 'f', 1, 64)
}

// latency formats a duration as the status page does. It is "-" if nothing is known.
func latency(d time.Duration, known bool) string {
	if !known {
		return "-"
	}
	return human.Latency(d)
}
