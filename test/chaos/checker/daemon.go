package checker

import (
	"encoding/json"
	"strings"

	"polyclam/test/chaos/history"
)

// daemon judges polyclamd itself: what it leaves, uses and logs.
func (c *checker) daemon() {
	for _, e := range c.Events {
		switch e.Kind {
		case history.Leftover:
			c.violate(Left, e.At, nil, "%s", e.Text)
		case history.Died, history.Unclean:
			c.violate(Crashed, e.At, nil, "%s: %s", e.Kind, e.Text)
		case history.Unseen:
			c.violate(Reload, e.At, nil, "%s", e.Text)
		}
	}
	c.samples()
	c.log()
}

// samples judges polyclamd's resource usage: against a bound, and at the end against
// the beginning.
func (c *checker) samples() {
	var before, after []history.Sample
	for _, s := range c.Samples {
		p := &c.report.Peak
		p.RSS, p.Threads, p.Descriptors = max(p.RSS, s.RSS), max(p.Threads, s.Threads), max(p.Descriptors, s.Descriptors)
		switch s.Phase {
		case "idle before":
			before = append(before, s)
		case "idle after":
			after = append(after, s)
		}
		if s.Threads > c.rules.MaxThreads || s.Descriptors > c.rules.MaxDescriptors || c.rules.MaxRSS > 0 && s.RSS > c.rules.MaxRSS {
			c.violate(Unbounded, s.At, nil, "%+v", s)
		}
	}
	if len(before) == 0 || len(after) == 0 {
		return
	}
	c.report.Before, c.report.After = before[len(before)-1], after[len(after)-1]
	if c.report.After.Descriptors > c.report.Before.Descriptors+c.rules.KeptConns {
		c.violate(Unbounded, c.report.After.At, nil, "%d descriptors when idle, %d at the start; at most %d connections are kept",
			c.report.After.Descriptors, c.report.Before.Descriptors, c.rules.KeptConns)
	}
}

// log looks for verdicts about incomplete objects, and for complaints.
func (c *checker) log() {
	incomplete := map[string]*history.Request{}
	for i, q := range c.Requests {
		if q.Partial != "" {
			incomplete[q.Partial] = &c.Requests[i]
		}
	}
	for _, q := range c.Requests {
		for _, p := range q.Parts {
			if q.Partial == "" {
				delete(incomplete, p.SHA)
			}
		}
	}
	end := history.Time(0)
	if n := len(c.Events); n > 0 {
		end = c.Events[n-1].At
	}
	for _, line := range c.Log {
		if strings.Contains(line, "WARNING: DATA RACE") || strings.Contains(line, "panic") || strings.HasPrefix(line, "fatal error:") {
			c.violate(Crashed, end, nil, "the log says: %.1000s", line)
		}
		var scanned struct{ Message, SHA256 string }
		if json.Unmarshal([]byte(line), &scanned) != nil || scanned.Message != "scanned" {
			continue // half a line, from before polyclamd was killed
		}
		for _, origin := range []string{"memory", "shared", "joined"} {
			if n := strings.Count(line, `"cached":"`+origin+`"`); n > 0 {
				c.report.Cached[origin] += n
			}
		}
		if q := incomplete[scanned.SHA256]; q != nil {
			c.violate(Vanished, q.End, q, "logged: %.500s", line)
		}
	}
}
