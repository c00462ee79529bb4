package live

import (
	"fmt"
	"regexp"
	"slices"
	"testing"
	"time"
)

// Figures sum up scans.
type Figures struct {
	Scans   int
	Failed  int // no verdict
	Wrong   int // a wrong verdict
	P50     time.Duration
	Longest time.Duration // the longest wait for a right verdict
	Gap     time.Duration // the longest time without a right verdict
	Errors  []string      // each once, with how often
}

// descriptor is the name that daemons give to what FILDES passes.
var descriptor = regexp.MustCompile(`fd\[\d+\]`)

// FiguresOf sums up the scans that were started from begin to end.
func FiguresOf(scans []Scan, begin, end time.Time) Figures {
	var f Figures
	var waits []time.Duration
	errs := map[string]int{}
	var success []time.Time
	for _, s := range scans {
		if s.Good() {
			success = append(success, s.Start.Add(s.Took))
		}
		if s.Start.Before(begin) || !s.Start.Before(end) {
			continue
		}
		f.Scans++
		switch {
		case s.Good():
			waits = append(waits, s.Took)
		case s.Wrong():
			f.Wrong++
			errs[s.How+": "+s.Reply]++
		default:
			f.Failed++
			text := s.Reply
			if s.Err != nil {
				text = s.Err.Error()
			}
			errs[s.How+": "+descriptor.ReplaceAllString(text, "fd[N]")]++
		}
	}
	if len(waits) > 0 {
		slices.Sort(waits)
		f.P50, f.Longest = waits[len(waits)/2], waits[len(waits)-1]
	}
	f.Gap = longestGap(success, begin, end)
	for text, n := range errs {
		f.Errors = append(f.Errors, fmt.Sprintf("%d x %s", n, text))
	}
	slices.Sort(f.Errors)
	return f
}

// longestGap is the longest time between two neighbours of begin, the moments between, and
// end.
func longestGap(moments []time.Time, begin, end time.Time) (longest time.Duration) {
	slices.SortFunc(moments, time.Time.Compare)
	last := begin
	for _, at := range append(moments, end) {
		if at.After(end) {
			at = end
		}
		if at.After(last) {
			longest = max(longest, at.Sub(last))
			last = at
		}
	}
	return longest
}

// FiguresHead heads a table of figures.
const FiguresHead = "scans | failed | wrong | p50 ms | longest wait ms | longest gap ms"

// String is a row below [FiguresHead].
func (f Figures) String() string {
	return fmt.Sprintf("%5d | %6d | %5d | %6.1f | %15d | %14d", f.Scans, f.Failed, f.Wrong, float64(f.P50.Microseconds())/1000, f.Longest.Milliseconds(), f.Gap.Milliseconds())
}

// Table logs a table, each line with the mark that test/run prints.
func Table(t testing.TB, title, head string, rows ...string) {
	t.Helper()
	t.Logf("table: %s | %s", title, head)
	for _, row := range rows {
		t.Logf("table: %s", row)
	}
}
