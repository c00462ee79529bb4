package checker

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"polyclam/test/chaos/history"
)

// scan has all steps of one scan by an engine.
type scan struct {
	history.Scan // the last step
	begun        history.Time
	read         history.Time // 0: not
	answer       history.Time // about to be written; 0: not
	answered     history.Time // written; 0: not
}

func (s *scan) engine() string {
	engine, _, _ := strings.Cut(s.Node, "/")
	return engine
}

// isEarly reports whether the answer came before the engine had read the whole object.
func (s *scan) isEarly() bool { return s.answer > 0 && !s.Whole }

func (s *scan) String() string {
	at := func(t history.Time) string {
		if t == 0 {
			return "-"
		}
		return fmt.Sprint(t.Sub(s.begun).Round(time.Millisecond / 10))
	}
	return fmt.Sprintf("%s pid %d conn %d scan %d: read %d bytes (whole %t) after %s, answer %q %s after %s, written after %s, fault %q",
		s.Node, s.Process, s.Conn, s.Seq, s.Size, s.Whole, at(s.read), s.Verdict, s.Name, at(s.answer), at(s.answered), s.Fault)
}

// eicarSize is the size of the EICAR test file, which no object of clients has.
const eicarSize = 68

type scanKey struct {
	node               string
	process, conn, seq int
}

// scans are all scans of a run.
type scans struct {
	all     []*scan
	byNonce map[string][]*scan
	reads   int
	reloads []history.Scan
	eicar   map[string][]*scan // of health checks, by node, in their order
}

func newScans(steps []history.Scan) scans {
	s := scans{byNonce: map[string][]*scan{}, eicar: map[string][]*scan{}}
	byKey := map[scanKey]*scan{}
	for _, step := range steps {
		if step.Step == history.Reload {
			s.reloads = append(s.reloads, step)
			continue
		}
		key := scanKey{step.Node, step.Process, step.Conn, step.Seq}
		one := byKey[key]
		if one == nil {
			one = &scan{begun: step.At}
			byKey[key] = one
			s.all = append(s.all, one)
		}
		one.Scan = step
		switch step.Step {
		case history.Read:
			one.read = step.At
		case history.Answer:
			one.answer = step.At
		case history.Answered:
			one.answered = step.At
		}
	}
	for _, one := range s.all {
		if one.read > 0 {
			s.reads++
		}
		switch {
		case one.Nonce != "":
			s.byNonce[one.Nonce] = append(s.byNonce[one.Nonce], one)
		case one.Size == eicarSize && one.Whole && one.answered > 0:
			s.eicar[one.Node] = append(s.eicar[one.Node], one)
		}
	}
	for _, all := range s.eicar {
		slices.SortFunc(all, func(a, b *scan) int { return cmp.Compare(a.begun, b.begun) })
	}
	return s
}

// history describes what the engines did with an object.
func (s *scans) history(nonce string) string {
	var lines []string
	all := slices.Clone(s.byNonce[nonce])
	slices.SortFunc(all, func(a, b *scan) int { return cmp.Compare(a.begun, b.begun) })
	for _, one := range all {
		lines = append(lines, fmt.Sprintf("    at %d %s", one.begun, one))
	}
	if lines == nil {
		return "    no engine has seen it"
	}
	return strings.Join(lines, "\n")
}

// timerSlack is how late a timer of polyclamd may be. Its timeout started before the
// engine had the request.
const timerSlack = 500 * time.Millisecond

// connections checks that polyclamd stops using a connection to an engine after a scan
// on it timed out.
func (c *checker) connections() {
	byConn := map[scanKey][]*scan{}
	for _, s := range c.scans.all {
		if s.Conn > 0 {
			key := scanKey{s.Node, s.Process, s.Conn, 0}
			byConn[key] = append(byConn[key], s)
		}
	}
	for _, all := range byConn {
		slices.SortFunc(all, func(a, b *scan) int { return cmp.Compare(a.Seq, b.Seq) })
		for i := 1; i < len(all); i++ {
			last, next := all[i-1], all[i]
			switch {
			case last.answered == 0 || last.answered > next.begun:
				c.violate(Reused, next.begun, nil, "the scan before was not answered:\n    %s\n    %s", last, next)
			case last.answered.Sub(last.begun) > c.rules.Timeout+timerSlack:
				c.violate(Reused, next.begun, nil, "the scan before was over its timeout:\n    %s\n    %s", last, next)
			}
		}
	}
}
