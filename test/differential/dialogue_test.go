package differential

import (
	"regexp"
	"slices"
	"strings"
)

// A dialogue is what a client does to a server, and how to compare the answers of two
// servers.
type dialogue struct {
	name  string
	world string // configuration of both, a key of worlds; empty: the default
	tcp   bool   // over TCP; else the Unix socket
	steps []step

	norm  normalizer // removes what is not compared; nil: everything is
	open  bool       // the connection should stay open
	tries int        // clamd is not deterministic here: how often to play it to clamd; 0: once

	// deviation is the entry of docs/deviations.md if polyclam differs here. want has
	// the answers expected of polyclam, normalised.
	deviation string
	want      []outcome
}

// A normalizer removes from an answer what cannot be equal.
type normalizer func(string) string

// all applies normalizers in order.
func all(ns ...normalizer) normalizer {
	return func(s string) string {
		for _, n := range ns {
			s = n(s)
		}
		return s
	}
}

var fdRE = regexp.MustCompile(`fd\[\d+\]`)

// fdNumber hides the number of a descriptor inside the server.
func fdNumber(s string) string { return fdRE.ReplaceAllString(s, "fd[N]") }

// record is one reply with its terminator.
var record = regexp.MustCompile(`(?s)[^\x00\n]*(?:[\x00\n]|$)`)

// sorted sorts the records of an answer: clamd leaves their order open in a session and
// in a directory.
func sorted(s string) string {
	rs := record.FindAllString(s, -1)
	slices.Sort(rs)
	return strings.Join(rs, "")
}

// sortedNUL is sorted for z commands whose paths contain newlines.
func sortedNUL(s string) string {
	rs := strings.SplitAfter(s, "\x00")
	slices.Sort(rs)
	return strings.Join(rs, "")
}

var (
	statsThread = regexp.MustCompile(`\t[^\n]*\n`)
	statsWait   = regexp.MustCompile(` min_wait: [\d.]+ max_wait: [\d.]+ avg_wait: [\d.]+`)
	statsNumber = regexp.MustCompile(`\d+(?:\.\d+)?`)
	statsMemory = regexp.MustCompile(`\b(heap|mmap|used|free|releasable) (?:#M|N/A)`)
)

// statsShape keeps the shape of a STATS reply: every number becomes #, and the lines of
// the threads, whose number varies, are left out.
func statsShape(s string) string {
	s = statsThread.ReplaceAllString(s, "")
	s = statsWait.ReplaceAllString(s, "")
	s = statsNumber.ReplaceAllString(s, "#")
	return statsMemory.ReplaceAllString(s, "$1 _")
}

// play plays the dialogue to one server. reset reports that the connection was not
// closed cleanly.
func (d *dialogue) play(s *server, fixture string) (o outcome, reset bool, err error) {
	network, address := "unix", s.socket
	if d.tcp {
		network, address = "tcp", s.tcp
	}
	c, err := dial(network, address)
	if err != nil {
		return outcome{}, false, err
	}
	for _, do := range d.steps {
		do(c)
	}
	o, reset = c.finish(d.open)
	o.text = strings.ReplaceAll(o.text, fixture, "${F}")
	o.text = strings.ReplaceAll(o.text, fixture[1:], "${R}") // relative to the root
	if d.norm != nil {
		o.text = d.norm(o.text)
	}
	return o, reset, nil
}
