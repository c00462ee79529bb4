package command

import (
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
)

func itoa(n int) string { return strconv.Itoa(n) }

// FuzzEvaluate checks that no output gives an invalid answer, or an ok for a status that
// does not allow it, and that further output removes no virus.
func FuzzEvaluate(f *testing.F) {
	presets := Presets()
	for i, p := range presets {
		for _, s := range p.Samples {
			f.Add(i, []byte(s.Output), s.Exit, 0, []byte("Password protected file x\n"))
		}
	}
	f.Add(0, []byte("a: X FOUND\r\n\x00\xff"), 1, 11, []byte("b: OK"))
	tables := make([]*table, len(presets))
	for i, p := range presets {
		var err error
		if tables[i], err = p.compile(); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, which int, output []byte, code, signal int, further []byte) {
		tab := tables[uint(which)%uint(len(tables))]
		e := printed(string(output), int(uint8(code)))
		e.signal = syscall.Signal(uint(signal) % 64)
		r, err := tab.evaluate(t.Context(), e)
		if err == nil || r.Category != "" {
			if problem := backendtest.Check(r); problem != "" {
				t.Fatalf("%+v: %s", r, problem)
			}
		}
		if err != nil && len(err.Error()) > maxFailure {
			t.Fatalf("error of %d bytes", len(err.Error()))
		}
		if r.Category == backends.OK && (err != nil || !tab.lists(e.code) || e.signal != 0 || !tab.mayBeOK(split(output))) {
			t.Fatalf("ok of %+v, %v", e, err)
		}
		e.output = slices.Concat(output, []byte("\n"), further)
		more, _ := tab.evaluate(t.Context(), e)
		if r.Category == backends.Virus || r.Category == backends.Suspicious {
			// A status "?virus" is explained by whatever virus_regex finds.
			explained := slices.ContainsFunc(tab.outcomes(e.code), func(o outcome) bool { return o.asks })
			if backends.Stronger(r.Category, more.Category) && !explained && more.Category != "" || more.Category == "" {
				t.Fatalf("%v became %v by %q", r.Category, more.Category, further)
			}
		}
	})
}

// mayBeOK reports whether each line is ignored or part of a match of ok_regex.
func (t *table) mayBeOK(printed text) bool {
	full := t.filled([]string{"/q/a"})
	var lines []string
	for _, row := range printed.rows {
		lines = append(lines, row.lines...)
	}
	all := strings.Join(lines, "\n")
	if full.ok == nil {
		return !slices.ContainsFunc(lines, func(line string) bool { return !matches(full.ignore, line) })
	}
	return full.ok.MatchString(all) || full.okSilent && len(lines) == 0
}
