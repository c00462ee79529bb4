package sssp

import (
	"errors"
	"fmt"
	"strings"

	"polyclam/backends"
)

// maxEvents limits how many names from "EVENT VIRUS" lines are kept.
const maxEvents = 100

var errNoDone = errors.New("the answer ends without DONE")

// block is the block of lines that answers a scan.
type block struct {
	answer   *backends.Answer
	named    bool         // by a VIRUS line
	infected string       // the first other line that reports a virus
	events   []string     // names of "EVENT VIRUS" lines, which precede VIRUS lines
	seen     map[int]bool // codes
	done     bool
}

// readAnswer reads lines up to the empty one that ends the block. It returns a REJ
// instead of a block as a *rejection. A line that is not in the protocol ends the answer.
func readAnswer(request string, next func() (string, error), a *backends.Answer) error {
	b := block{answer: a, seen: map[int]bool{}}
	defer b.finish()
	for first := true; ; first = false {
		line, err := next()
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", request, err)
		case line == "" && b.done:
			return nil
		case line == "":
			return fmt.Errorf("%s: %w", request, errNoDone)
		}
		if r, ok := parseRejection(request, line); ok && first {
			return r
		}
		if !b.add(line) {
			return unexpected(request, line)
		}
	}
}

// add adds a line, and returns false for one that is not in the protocol. DONE is the
// last line, but a virus counts even after it.
func (b *block) add(line string) bool {
	word, rest, _ := strings.Cut(line, " ")
	switch {
	case word == "VIRUS":
		// NAME PATH: only the path may contain spaces. For SCANDATA it is empty.
		name, _, _ := strings.Cut(rest, " ")
		b.named = true
		b.answer.Found(backends.Virus, codeVirus, name, trimmed(line))
		return !b.done
	case b.done:
		return false
	case word == "OK" || word == "FAIL":
		b.addStatus(line, word, rest)
	case word == "DONE":
		b.done = true
		status, rest, _ := strings.Cut(rest, " ")
		if status != "OK" && status != "FAIL" {
			return false
		}
		b.addStatus(line, status, rest)
	case word == "EVENT":
		if name, ok := strings.CutPrefix(rest, "VIRUS "); ok && len(b.events) < maxEvents {
			name, _, _ = strings.Cut(name, " ")
			b.events = append(b.events, name)
		}
	case word == "TYPE" || word == "FILE":
	default:
		return false
	}
	return true
}

// addStatus adds "CODE PATH" or "CODE TEXT". Only DONE can mean that everything is OK.
func (b *block) addStatus(line, status, rest string) {
	digits, _, _ := strings.Cut(rest, " ")
	category, code, hint := lookup(status, digits)
	line = trimmed(line)
	switch {
	case category == backends.Virus:
		if b.infected == "" {
			b.infected = line
		}
	case category == backends.OK:
		if !b.done {
			return
		}
		if code == codeOK {
			line = ""
		}
		b.answer.Add(backends.OK, code, line)
	case b.seen[code]:
	default:
		b.seen[code] = true
		if hint != "" {
			line += " (" + hint + ")"
		}
		b.answer.Add(category, code, line)
	}
}

// finish reports an infected object without a VIRUS line.
func (b *block) finish() {
	switch {
	case b.named:
	case len(b.events) > 0:
		for _, name := range b.events {
			b.answer.Found(backends.Virus, codeVirus, name, b.infected)
		}
	case b.infected != "":
		b.answer.Add(backends.Virus, codeVirus, b.infected)
	}
}

func trimmed(line string) string { return strings.TrimRight(line, " ") }

// unexpected returns the error for a line that is not in the protocol.
func unexpected(request, line string) error {
	return fmt.Errorf("%s: unexpected answer %.200q", request, line)
}
