package checker

import (
	"slices"
	"time"

	"polyclam/test/chaos/history"
)

// request judges one request.
func (c *checker) request(q *history.Request) {
	c.report.Verbs[q.Verb]++
	for _, line := range q.Stray {
		c.violate(Stray, q.End, q, "%q", line)
	}
	switch q.Client {
	case "vanish", "half-close":
		c.vanished(q)
		return
	case "vanish after", "never reads":
		c.report.Counts[Unanswered]++
		return
	case "garbage":
		c.report.Counts[Unanswered]++
		c.deadline(q)
		if slices.ContainsFunc(q.Lines, isVerdict) {
			c.violate(Unproven, q.End, q, "garbage was answered")
		}
		return
	case "oversize":
		c.oversize(q)
		return
	}
	c.deadline(q)
	class := c.classify(q)
	c.report.Counts[class]++
	c.avoid(q, class)
	if class != Refused {
		c.judged = append(c.judged, judged{q, class})
	}
}

// oversize judges the reply to a stream over the limit.
func (c *checker) oversize(q *history.Request) {
	c.report.Counts[Unanswered]++
	c.deadline(q)
	if slices.ContainsFunc(q.Lines, isClean) {
		c.violate(Unproven, q.End, q, "over the limit")
	}
}

// vanished judges a request with an incomplete stream: it must have no effect.
func (c *checker) vanished(q *history.Request) {
	c.report.Counts[Unanswered]++
	c.deadline(q)
	for _, line := range q.Lines {
		if isVerdict(line) {
			c.violate(Vanished, q.End, q, "answered %q", line)
		}
	}
	if len(q.Parts) > 0 && len(c.scans.byNonce[q.Parts[0].Nonce]) > 0 {
		c.violate(Vanished, q.End, q, "an engine was asked\n%s", c.scans.history(q.Parts[0].Nonce))
	}
}

// deadline judges when a request ended.
func (c *checker) deadline(q *history.Request) {
	if q.Outcome == history.Refused || q.Outcome == history.Left {
		return
	}
	from := max(q.Begin, q.Sent)
	within := c.rules.AnswerWithin
	if isMany(q) && !stopsAtFound(q) {
		within *= time.Duration(max(1, len(q.Parts))) // every file has its own
	}
	took := q.End.Sub(from)
	if q.Client == "" {
		c.report.Waits = append(c.report.Waits, took)
	}
	limit := within + time.Second + c.rules.Slack
	if q.Verb == "INSTREAM" || q.Verb == "XINSTREAM" || q.Client != "" {
		limit += c.rules.SpoolWait
	}
	if q.Client == "garbage" || q.Client == "half-close" {
		limit += c.rules.AnswerWithin // read timeouts
	}
	if q.Outcome == history.Hung || took > limit {
		c.violate(Late, q.End, q, "%v after its last byte, within %v", took.Round(time.Millisecond), limit)
	}
}

// classify determines the fate of a request with all its objects.
func (c *checker) classify(q *history.Request) string {
	switch q.Outcome {
	case history.Refused:
		return Refused
	case history.Closed, history.Hung:
		if len(q.Error) > 4 && q.Error[:4] == "half" && !c.restarted(q) {
			c.violate(Broken, q.End, q, "%s", q.Error)
		}
		return Dropped
	}
	if q.Verb == "PING" {
		if !slices.Equal(q.Lines, []string{"PONG"}) {
			c.violate(Foreign, q.End, q, "the reply to PING")
			return Misjudged
		}
		return Right
	}
	if !isMany(q) && len(q.Lines) != 1 {
		c.violate(Twice, q.End, q, "%d lines", len(q.Lines))
	}
	if q.Verb[0] == 'X' && q.Lines[len(q.Lines)-1] != "END" && !c.restarted(q) {
		c.violate(Broken, q.End, q, "no END")
	}
	return c.parts(q)
}

// parts judges the answers about each object and returns the worst class.
func (c *checker) parts(q *history.Request) string {
	each, other := parse(q)
	ok, failed, found := false, false, false
	for _, s := range other {
		switch s.word {
		case "OK":
			ok = true
		case "?":
			c.violate(Foreign, q.End, q, "a line about something else: %q", s.name)
		default:
			failed = true
		}
	}
	for _, all := range each {
		found = found || slices.ContainsFunc(all, func(s said) bool { return s.word == "FOUND" })
		failed = failed || slices.ContainsFunc(all, func(s said) bool { return s.word == "ERROR" })
	}
	worst := Right
	if failed {
		worst = Tempfail
	}
	for i := range q.Parts {
		all := each[i]
		if len(all) == 0 {
			// A reader of a list of findings takes everything else for clean, if the
			// list is complete.
			listed := !stopsAtFound(q) && !failed && !c.restarted(q) && isDirectory(q)
			if !ok && !listed {
				if !failed && !found {
					worst = worse(worst, Dropped)
				}
				continue
			}
			all = []said{{"OK", ""}}
		}
		for _, s := range all {
			worst = worse(worst, c.verdict(q, &q.Parts[i], s))
		}
	}
	return worst
}

var badness = []string{Right, Tempfail, Dropped, Misjudged}

func worse(a, b string) string {
	return badness[max(slices.Index(badness, a), slices.Index(badness, b))]
}
