package metrics

import (
	"strconv"

	"polyclam/proxy/printable"
)

// maxLabel bounds a label value, before it is escaped. Engines choose the text of their
// versions.
const maxLabel = 128

// label makes foreign text a label value: printable, and therefore valid UTF-8, which
// Prometheus demands, and bounded.
func label(text string) string { return printable.Escape(text, maxLabel) }

// labels make label values that differ if the texts differ. The zero value is ready for use.
type labels map[string]bool

// unique returns label(text), with a number if another text has the same label because only
// its end differs. A metric with the same labels twice would fail the scrape.
func (l labels) unique(text string) string {
	value := label(text)
	for n := 2; l[value]; n++ {
		value = label(text) + "#" + strconv.Itoa(n)
	}
	l[value] = true
	return value
}
