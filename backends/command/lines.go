package command

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// maxLine limits a line. The rest of a longer one is ignored and reported.
const maxLine = 16 << 10

// row is the output up to a line feed. Its lines are what a terminal would have shown one
// after another. Carriage returns, backspaces, escape sequences that move the cursor, and
// all other characters that end a line or cannot be printed separate them.
type row struct {
	lines []string
	// shown is the row without such characters, if it has any. A carriage return in a file
	// name must not split a finding.
	shown string
	// titles are set by escape sequences. They are searched for findings, but need not be
	// explained.
	titles []string
}

// text is an output split into rows.
type text struct {
	rows   []row
	long   bool // a line was truncated
	binary bool // there were NUL bytes
}

// split splits an output into rows. No other code deals with line ends, escape sequences
// and encodings.
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
	if len(line) > maxLine {
		line, t.long = line[:maxLine], true
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

// separates reports whether r cannot be part of a line.
func separates(r rune) bool {
	const lineSeparator, paragraphSeparator, byteOrderMark = '\u2028', '\u2029', '\ufeff'
	return unicode.IsControl(r) && r != '\t' || r == lineSeparator || r == paragraphSeparator || r == byteOrderMark
}

// splitter splits one row.
type splitter struct {
	rest        string
	line, shown strings.Builder
	row         row
}

// next consumes a character or an escape sequence.
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

// end finishes the current line.
func (s *splitter) end() {
	if line := s.line.String(); strings.TrimSpace(line) != "" {
		s.row.lines = append(s.row.lines, line)
	}
	s.line.Reset()
}

// escape consumes an escape sequence (ECMA-48). A colour is dropped, a title is stored
// separately, and anything else moves the cursor and ends the line.
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

// control consumes a control sequence: parameters, intermediates and a final byte.
func (s *splitter) control(after string) {
	end := strings.IndexFunc(after, func(r rune) bool { return r < ' ' || r > '?' })
	if end < 0 || after[end] < '@' || after[end] > '~' { // not a control sequence
		s.end()
		s.rest = after
		return
	}
	if after[end] != 'm' {
		s.end()
	}
	s.rest = after[end+1:]
}

// title consumes a string up to its terminator. An unterminated one is ordinary text.
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

// decode converts UTF-16 to UTF-8. Programs made for Windows may print UTF-16, with or
// without a byte order mark.
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
		decoded = append(decoded, output[len(output)-1]) // of a truncated character
	}
	return decoded
}

// guessed returns the byte order if the output looks like ASCII in UTF-16: every second
// byte is NUL, and no other byte is.
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
