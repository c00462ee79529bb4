package checker

import (
	"slices"
	"strings"
	"time"

	"polyclam/test/chaos/history"
	"polyclam/test/chaos/object"
)

// verdict judges the answer about one object.
func (c *checker) verdict(q *history.Request, p *history.Part, s said) string {
	switch s.word {
	case "OK":
		return c.ok(q, p)
	case "FOUND":
		return c.found(q, p, s.name)
	}
	return Tempfail
}

// isVirus reports whether an object is a virus by the signatures of a moment.
func (c *checker) isVirus(p *history.Part, at history.Time) bool {
	return p.Truth.Virus || p.Truth.Later > 0 && c.generation(at) >= p.Truth.Later
}

// mayBeVirus reports whether some node may have known the virus.
func (c *checker) mayBeVirus(p *history.Part, at history.Time) bool {
	if c.isVirus(p, at) {
		return true
	}
	return slices.ContainsFunc(c.Events, func(e history.Event) bool {
		return e.Kind == history.Learning && p.Truth.Later > 0 && int(e.N) >= p.Truth.Later && e.At <= at
	})
}

func (c *checker) ok(q *history.Request, p *history.Part) string {
	before := len(c.report.Violations)
	for _, engine := range c.rules.Required {
		if c.proof(q, p, engine); len(c.report.Violations) > before {
			break // one is enough
		}
	}
	c.contradicted(q, p)
	if p.Truth.Encrypted && !p.Truth.Virus && !c.mayBe(q, false) {
		c.violate(Reload, q.End, q, "what is encrypted is OK, by the policy it is FOUND")
	}
	if q.Repeat && p.Truth.Later > 0 && p.Truth.Only == "" && !c.isCachedByAll() && c.generation(q.Begin.Add(-c.rules.BlindGrace)) >= p.Truth.Later && !c.blindIn(q) {
		c.violate(Stale, q.End, q, "all nodes have known the virus for %v", c.rules.BlindGrace)
	}
	if len(c.report.Violations) > before || c.isVirus(p, q.Begin) {
		return Misjudged
	}
	return Right
}

// handover is how long polyclamd may take to receive an answer that was written. That of a
// program has come when the program has ended, which takes a while on a busy machine.
const handover = 100 * time.Millisecond

// isOver reports whether a request that begins then cannot join the scan any more.
func (s *scan) isOver(begin history.Time) bool {
	return max(s.answer, s.answered).Add(handover) < begin
}

// proof looks for an answer of the engine that justifies OK.
func (c *checker) proof(q *history.Request, p *history.Part, engine string) {
	var blind, early *scan
	var old outdated
	for _, s := range c.scans.byNonce[p.Nonce] {
		clean := s.Verdict == history.Clean || s.Verdict == history.Encrypted
		inTime := s.answer > 0 && s.answer <= q.End && (s.read >= q.Begin || q.Repeat)
		again := s.read < q.Begin && s.isOver(q.Begin) // else it was this scan, or one that it joined
		switch {
		case s.engine() != engine || !clean || !inTime:
		case s.isEarly():
			early = s
		case s.SHA != p.SHA || s.Size != int64(p.Size):
		case again:
			rule, why := c.mayUse(q, s)
			if why == "" {
				return
			}
			old = outdated{s, rule, why}
		case s.Fault == "blind":
			blind = s
		default:
			return
		}
	}
	switch {
	case blind != nil && c.seen(blind):
		c.violate(Blind, q.End, q, "%s, object %s\n%s", blind.Node, p.Nonce, c.scans.history(p.Nonce))
	case blind != nil:
		c.report.Tolerated["a node blind since less than a health check takes"]++
	case early != nil && int64(p.Size)-early.Size <= c.rules.Unseen[engine]:
		c.report.Tolerated["an early answer to what the kernel had taken"]++
	case early != nil:
		c.violate(EarlyOK, q.End, q, "%s, object %s\n%s", early.Node, p.Nonce, c.scans.history(p.Nonce))
	case old.scan != nil:
		c.violate(old.rule, q.End, q, "engine %s, object %s: %s\n%s", engine, p.Nonce, old.why, c.scans.history(p.Nonce))
	default:
		c.violate(Unproven, q.End, q, "engine %s, object %s\n%s", engine, p.Nonce, c.scans.history(p.Nonce))
	}
}

// seen reports whether a health check could have noticed that the node was blind before
// the scan started.
func (c *checker) seen(s *scan) bool {
	return slices.ContainsFunc(c.Faults, func(f history.Fault) bool {
		return f.Kind == "blind" && strings.Contains(f.Target, s.Node) && s.begun > f.Begin.Add(c.rules.BlindGrace) && s.begun < f.End
	})
}

// blindIn reports whether any node was blind during a request.
func (c *checker) blindIn(q *history.Request) bool {
	return slices.ContainsFunc(c.Faults, func(f history.Fault) bool {
		return f.Kind == "blind" && f.Begin <= q.End && f.End >= q.Begin
	})
}

// contradicted looks for an engine that called the object a virus although the reply
// says OK. The answer of a node does not count if another node of its engine answered
// first.
func (c *checker) contradicted(q *history.Request, p *history.Part) {
	const margin = 200 * time.Millisecond
	if q.Repeat {
		return // the scan may be that of another request
	}
	for _, s := range c.scans.byNonce[p.Nonce] {
		if s.Verdict != history.Virus || s.answered == 0 || s.answered > q.End.Add(-margin) || s.read < q.Begin ||
			s.answered.Sub(s.begun) > c.rules.Timeout-margin {
			continue
		}
		overtaken := slices.ContainsFunc(c.scans.byNonce[p.Nonce], func(o *scan) bool {
			return o.engine() == s.engine() && o.Verdict == history.Clean && o.answer > 0 && o.answer < s.answered
		})
		switch {
		case overtaken:
		case s.Fault == "paranoid":
			// It also calls the clean control a virus: its answers stop counting as
			// soon as that is known.
			c.report.Tolerated["a node that calls everything a virus"]++
		default:
			c.violate(VirusOK, q.End, q, "object %s\n%s", p.Nonce, c.scans.history(p.Nonce))
			return
		}
	}
}

// Names of encrypted objects begin with one of encryptedNames. suspiciousName replaces
// them until a node has shown that it scans the rest of the object: it may have missed
// a virus.
const (
	encryptedNames = "Heuristics.Encrypted."
	suspiciousName = "Heuristics.Suspicious"
)

func (c *checker) found(q *history.Request, p *history.Part, name string) string {
	switch {
	case strings.HasPrefix(name, encryptedNames):
		return c.foundEncrypted(q, p, name)
	case name == suspiciousName && p.Truth.Encrypted:
		c.report.Tolerated[suspicious]++
		return Misjudged
	case c.reported(p, name):
		if strings.HasPrefix(name, object.ParanoidName) && !c.mayBeVirus(p, q.End) {
			return Misjudged
		}
		return Right
	case strings.Contains(name, p.Nonce):
		c.violate(Invented, q.End, q, "%s\n%s", name, c.scans.history(p.Nonce))
	default:
		c.violate(Foreign, q.End, q, "%s for object %s\n%s", name, p.Nonce, c.scans.history(p.Nonce))
	}
	return Misjudged
}

const suspicious = "encrypted is suspicious while a node is not known well"

// settled reports whether polyclam has had time to check its nodes.
func (c *checker) settled(q *history.Request) bool {
	const enough = 15 * time.Second
	return !slices.ContainsFunc(c.Faults, func(f history.Fault) bool {
		return f.Kind != "hangup bad" && f.Begin <= q.End && f.End.Add(enough) >= q.Begin
	})
}

func (c *checker) foundEncrypted(q *history.Request, p *history.Part, name string) string {
	switch {
	case !p.Truth.Encrypted:
		c.violate(Invented, q.End, q, "%s\n%s", name, c.scans.history(p.Nonce))
		return Misjudged
	case q.Verb != "ALLMATCHSCAN" && !c.mayBe(q, true) && !p.Truth.Virus && c.settled(q):
		c.violate(Reload, q.End, q, "%s: by the policy it is OK", name)
		return Misjudged
	case !c.mayBe(q, true) && !p.Truth.Virus:
		c.report.Tolerated[suspicious]++
		return Misjudged
	}
	return Right
}

// reported reports whether an engine gave an object this name, or was cut off while it
// did.
func (c *checker) reported(p *history.Part, name string) bool {
	return slices.ContainsFunc(c.scans.byNonce[p.Nonce], func(s *scan) bool {
		if s.Verdict == history.Virus && s.Name == name {
			return true
		}
		cut := s.Fault == "cut" || s.Fault == "stall" || s.Fault == "crash"
		return cut && name != "" && strings.HasPrefix(object.VirusName+p.Nonce, name)
	})
}
