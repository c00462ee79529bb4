package drwebd

import (
	"bufio"
	"strings"
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
)

// FuzzAnswer: whatever comes, it is a result or a failure, and an ok has only bits
// that are ok, and no names.
func FuzzAnswer(f *testing.F) {
	for _, o := range outcomes() {
		if len(o.reply) < 1000 {
			f.Add(o.reply)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := readAnswer(&reader{r: bufio.NewReader(strings.NewReader(text))})
		if err != nil {
			return
		}
		r, err := a.amounts()
		if err != nil {
			if !backends.CategoryOf(err).IsFailure() {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		if problem := backendtest.Check(r); problem != "" {
			t.Errorf("%q: %+v: %s", text, r, problem)
		}
		if r.Category == backends.OK && (a.rc&^0x130000 != 0 || a.count > 0) {
			t.Errorf("%q is ok", text)
		}
	})
}
