package command

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// mostLine bounds a line. What is beyond it is not looked at, and said to be so.
const mostLine = 16 << 10

// row is what a program printed up to a line feed. Its lines are what a terminal
// would have shown one after the other: a carriage return, a backspace, an escape
// sequence that moves the cursor, and every other character that ends a line or
// cannot be printed separate them.
type row struct {
	lines []string
	// shown is the row without these characters, if it has any. A name of a file with
	// a carriage return in it must not tear a finding apart.
	shown string
	// titles are set by escape sequences. They are searched for findings, and need no
	// explanation.
	titles []string
}

// text is an output in rows.
type text struct {
	rows   []row
	long   bool // a line was cut
	binary bool // there were bytes that no text has
}

// split reads an output. It is the one place that knows about line ends, escape
// sequences and encodings.
func split(output []byte) text {
	var t text
	output = decode(output)
	for len(output) > 0 {
		line, rest, _ := bytes.Cut(output, []byte("\n"))
		output = rest
		t.add(bytes.TrimSuffix(line, []byte("\r")))
	}
	return t
}

func (t *text) add(line []byte) {
	if len(line) > mostLine {
		line, t.long = line[:mostLine], true
	}
	if !bytes.ContainsFunc(line, separates) {
		if len(bytes.TrimSpace(line)) > 0 {
			t.rows = append(t.rows, row{lines: []string{string(line)}})
		}
		return
	}
	t.binary = t.binary || bytes.IndexByte(line, 0) >= 0
	s := splitter{rest: string(line)}
	for s.rest != "" {
		s.next()
	}
	s.end()
	if len(s.row.lines) > 1 || len(s.row.titles) > 0 {
		s.row.shown = s.shown.String()
	}
	t.rows = append(t.rows, s.row)
}

// separates reports whether r is more than a character of a line.
func separates(r rune) bool {
	const lineSeparator, paragraphSeparator, byteOrderMark = '\u2028', '\u2029', '\ufeff'
	return unicode.IsControl(r) && r != '\t' || r == lineSeparator || r == paragraphSeparator || r == byteOrderMark
}

// splitter takes one row apart.
type splitter struct {
	rest        string
	line, shown strings.Builder
	row         row
}

// next takes a character or an escape sequence.
func (s *splitter) next() {
	r, size := utf8.DecodeRuneInString(s.rest)
	switch {
	case r == '\x1b' || r == '\u009b' || r == '\u009d':
		s.escape(size)
		return
	case r == '\ufeff':
	case separates(r):
		s.end()
	default:
		s.line.WriteString(s.rest[:size])
		s.shown.WriteString(s.rest[:size])
	}
	s.rest = s.rest[size:]
}

// end ends a line.
func (s *splitter) end() {
	if line := s.line.String(); strings.TrimSpace(line) != "" {
		s.row.lines = append(s.row.lines, line)
	}
	s.line.Reset()
}

// escape takes an escape sequence (ECMA-48). A colour is nothing, a title is kept
// aside, and everything else moves the cursor and ends the line.
func (s *splitter) escape(size int) {
	introducer, after := s.rest[:size], s.rest[size:]
	if introducer == "\x1b" && after != "" && strings.Contains("[]PX^_", after[:1]) {
		introducer, after = after[:1], after[1:]
	}
	switch introducer {
	case "[", "\u009b":
		s.control(after)
	case "]", "\u009d", "P", "X", "^", "_":
		s.title(after)
	default:
		s.end()
		s.rest = after
	}
}

// control takes a control sequence: parameters, intermediates and a final byte.
func (s *splitter) control(after string) {
	end := strings.IndexFunc(after, func(r rune) bool { return r < ' ' || r > '?' })
	if end < 0 || after[end] < '@' || after[end] > '~' { // it is none
		s.end()
		s.rest = after
		return
	}
	if after[end] != 'm' {
		s.end()
	}
	s.rest = after[end+1:]
}

// title takes a string up to its end. One without an end is text like any other.
func (s *splitter) title(after string) {
	s.end()
	s.rest = after
	for _, terminator := range []string{"\a", "\x1b\\", "\u009c"} {
		if title, rest, ok := strings.Cut(s.rest, terminator); ok && !strings.Contains(title, "\x1b") {
			s.row.titles = append(s.row.titles, title)
			s.rest = rest
			return
		}
	}
}

// decode makes UTF-8 of UTF-16, which a program that was made for Windows may print
// with or without a byte order mark.
func decode(output []byte) []byte {
	var order binary.ByteOrder
	switch {
	case bytes.HasPrefix(output, []byte("\xff\xfe")):
		order = binary.LittleEndian
	case bytes.HasPrefix(output, []byte("\xfe\xff")):
		order = binary.BigEndian
	default:
		order = guessed(output)
	}
	if order == nil {
		return output
	}
	units := make([]uint16, len(output)/2)
	for i := range units {
		units[i] = order.Uint16(output[2*i:])
	}
	decoded := []byte(string(utf16.Decode(units)))
	if len(output)%2 != 0 {
		decoded = append(decoded, output[len(output)-1]) // of a character that was cut
	}
	return decoded
}

// guessed is the byte order of a text of mostly ASCII characters in UTF-16: every
// second byte is NUL, and none of the others is.
func guessed(output []byte) binary.ByteOrder {
	var nul [2]int
	sample := output[:min(len(output), 512)]
	for i, b := range sample {
		if b == 0 {
			nul[i%2]++
		}
	}
	switch most := len(sample) / 3; {
	case nul[1] > most && nul[0] == 0:
		return binary.LittleEndian
	case nul[0] > most && nul[1] == 0:
		return binary.BigEndian
	}
	return nil
}
