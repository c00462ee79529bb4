package command

import (
	"strconv"
	"strings"
	"syscall"
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
)

func itoa(n int) string { return strconv.Itoa(n) }

// FuzzEvaluate: no output makes an invalid answer, or an ok of a status that does
// not allow it; and what is printed further takes no virus away.
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
		e := ending{output: output, code: int(uint8(code)), signal: syscall.Signal(uint(signal) % 64)}
		r, err := tab.evaluate(t.Context(), e)
		category := outcomeOf(r, err)
		if err == nil {
			if problem := backendtest.Check(r); problem != "" {
				t.Fatalf("%+v: %s", r, problem)
			}
		} else if len(err.Error()) > mostDetail {
			t.Fatalf("error of %d bytes", len(err.Error()))
		}
		_, listed := tab.outcome(e.code)
		if category == backends.OK && (!listed || e.signal != 0 || tab.ok != nil && !tab.ok.Match([]byte("\n"+strings.ReplaceAll(string(output), "\r\n", "\n")+"\n"))) {
			t.Fatalf("ok of %+v", e)
		}
		e.output = append(append([]byte{}, output...), append([]byte("\n"), further...)...)
		more := outcomeOf(tab.evaluate(t.Context(), e))
		if weight(category) >= weight(backends.Suspicious) && weight(more) < weight(category) {
			// A status "?virus" is explained by whatever virus_regex finds.
			if o, _ := tab.outcome(e.code); !o.asks || e.signal != 0 {
				t.Fatalf("%v became %v by %q", category, more, further)
			}
		}
	})
}
