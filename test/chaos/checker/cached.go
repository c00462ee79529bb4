package checker

import (
	"fmt"
	"slices"
	"time"

	"polyclam/test/chaos/history"
)

// outdated is a clean answer that justifies no OK any more.
type outdated struct {
	scan      *scan
	rule, why string
}

// isCachedByAll reports whether the results of all required engines may be used again.
func (c *checker) isCachedByAll() bool {
	return !slices.ContainsFunc(c.rules.Required, func(engine string) bool { return c.rules.Cached[engine] == 0 })
}

// mayUse judges whether the result of a scan that ended before a request may be used for it.
// If not, it returns the rule that this breaks, and why.
func (c *checker) mayUse(q *history.Request, s *scan) (rule, why string) {
	engine, slack := s.engine(), c.rules.Slack
	ttl := c.rules.Cached[engine]
	if ttl == 0 {
		return Unproven, "results of the engine are not kept"
	}
	if age := q.Begin.Sub(s.answer); age > ttl+slack {
		return Stale, fmt.Sprintf("the result is %v old", age.Round(time.Millisecond))
	}
	if slices.Contains(c.rules.Versioned, engine) {
		if known := c.generation(q.Begin.Add(-c.rules.VersionTrust - slack)); s.Generation < known {
			return Stale, fmt.Sprintf("the result is by the signatures %d; all nodes have had %d for long", s.Generation, known)
		}
	}
	if c.reloadedSince(q, s) {
		return Stale, "the result is from before a RELOAD, or from soon after it"
	}
	return c.confirmed(q, s)
}

// reloadedSince reports whether the engine of s got RELOAD after the scan, or so shortly
// before it that it may not have loaded its signatures, and before the request. A restart of
// polyclamd makes it forget that.
func (c *checker) reloadedSince(q *history.Request, s *scan) bool {
	const patience = time.Second // for the reply to RELOAD
	return slices.ContainsFunc(c.scans.reloads, func(r history.Scan) bool {
		one := scan{Scan: r}
		return one.engine() == s.engine() && s.answer < r.At.Add(c.rules.LoadTime) && q.Begin > r.At.Add(patience+c.rules.Slack) &&
			!slices.ContainsFunc(c.Events, func(e history.Event) bool { return e.Kind == history.Start && e.At > r.At && e.At < q.End }) &&
			!slices.ContainsFunc(c.Faults, func(f history.Fault) bool { return isRestart(f) && f.Begin < q.End && f.End > r.At })
	})
}

func isRestart(f history.Fault) bool {
	return f.Kind == "polyclamd killed" || f.Kind == "polyclamd restarted"
}

// confirmed judges whether a health check of the node has confirmed a result before the end of
// a request.
func (c *checker) confirmed(q *history.Request, s *scan) (rule, why string) {
	var before, after *scan // the checks that found EICAR
	var failed *scan        // the last one that did not, between them
	for _, check := range c.scans.eicar[s.Node] {
		found := check.Verdict == history.Virus
		switch {
		case found && check.begun < s.begun:
			before, failed = check, nil
		case found && check.begun > s.answer && check.answered <= q.End:
			after = check
		case !found:
			failed = check
		}
		if after != nil {
			break
		}
	}
	switch {
	case after == nil:
		return Doubtful, "no health check has begun and succeeded since"
	case s.Fault != "blind":
		return "", ""
	case failed != nil:
		return Doubtful, "the node was blind, and a health check has found that out:\n    " + failed.String()
	case before == nil || after.begun.Sub(before.begun) > c.rules.ConfirmWithin+c.rules.Slack:
		return Doubtful, "the node was blind, and there was too much time between two health checks"
	}
	c.report.Tolerated["the result of a node that was blind between two health checks"]++
	return "", ""
}
