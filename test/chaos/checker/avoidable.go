package checker

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"polyclam/test/chaos/history"
)

// before is how long before a request a fault still counts: the next health check has
// to notice its end.
const before = 1500 * time.Millisecond

// avoidable reports whether polyclamd could have answered a request: every required
// engine had a healthy node the whole time, and polyclamd itself was undisturbed.
func (c *checker) avoidable(q *history.Request) bool {
	broken := map[string]bool{}
	for _, f := range c.Faults {
		if f.Begin > q.End || f.End < q.Begin.Add(-before) {
			continue
		}
		switch f.Kind {
		case "polyclamd killed", "polyclamd restarted", "disk full":
			return false
		}
		for node := range strings.FieldsSeq(strings.Trim(f.Target, "[]")) {
			broken[node] = true
		}
	}
	policies := c.policies(q)
	for _, engine := range c.rules.Required {
		left := 0
		for i := range c.rules.Nodes[engine] {
			node := fmt.Sprintf("%s/%d", engine, i)
			unused := slices.ContainsFunc(policies, func(p int) bool { return c.rules.Unused(p, node) })
			if !broken[node] && !unused {
				left++
			}
		}
		if left == 0 {
			return false
		}
	}
	return true
}

// avoid counts the requests that went unanswered although polyclamd could have
// answered.
func (c *checker) avoid(q *history.Request, class string) {
	if class != Tempfail && class != Dropped || !c.avoidable(q) {
		return
	}
	c.report.Avoidable++
	text := "(closed)"
	for _, line := range q.Lines {
		if _, after, ok := strings.Cut(line, ": "); ok && strings.HasSuffix(line, " ERROR") {
			text = after
		}
	}
	c.report.Reasons[text]++
}
