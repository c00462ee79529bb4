// Package position finds the lines of all keys in a TOML document. The TOML library
// reports lines only for syntax errors.
package position

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/BurntSushi/toml"
)

// Path names a key, a table or an element of an array: "listener[1].address".
type Path string

// Key returns the path of a key in the table p.
func (p Path) Key(name string) Path {
	if strings.ContainsAny(name, ".[]\"") || name == "" {
		name = fmt.Sprintf("%q", name)
	}
	if p == "" {
		return Path(name)
	}
	return p + "." + Path(name)
}

// Element returns the path of element i of the array p.
func (p Path) Element(i int) Path { return Path(fmt.Sprintf("%s[%d]", p, i)) }

var indexes = regexp.MustCompile(`\[\d+\]`)

// Name returns p without indexes, as people refer to the key: "listener.address".
func (p Path) Name() string { return indexes.ReplaceAllString(string(p), "") }

// Table maps the paths in a document to their lines, from 1.
type Table map[Path]int

// Has reports whether the document has p.
func (t Table) Has(p Path) bool { return t[p] > 0 }

// Line returns the line of p or, if the document does not have p, of the nearest table
// around it, where the missing key belongs.
func (t Table) Line(p Path) int {
	for p != "" {
		if n, ok := t[p]; ok {
			return n
		}
		p = p[:max(0, strings.LastIndexAny(string(p), ".["))]
	}
	return 1
}

// MaxDepth is how deep a document may be nested. The configuration needs four levels.
// Nested brackets take the TOML library quadratic time, and this package memory.
const MaxDepth = 16

// Find returns the positions in a document that the TOML library accepts. For any
// other text the lines are wrong, but Find ends. tooDeep is the line where nesting
// exceeds MaxDepth and Find stops, or 0.
func Find(text string) (t Table, tooDeep int) {
	s := &scanner{text: strings.TrimPrefix(text, "\ufeff"), line: 1, arrays: map[Path]int{}, lines: Table{}}
	for s.skip(); s.pos < len(s.text); s.skip() {
		if s.text[s.pos] == '[' {
			s.header()
		} else {
			s.pair(s.table, 0)
		}
	}
	return s.lines, s.tooDeep
}

type scanner struct {
	text    string
	pos     int
	line    int
	table   Path         // the current table
	arrays  map[Path]int // arrays of tables: their elements so far
	lines   Table
	tooDeep int
}

// exceeds ends the scan if depth is more than MaxDepth.
func (s *scanner) exceeds(depth int) bool {
	if depth <= MaxDepth {
		return false
	}
	if s.tooDeep == 0 {
		s.tooDeep = s.line
	}
	s.pos = len(s.text)
	return true
}

func (s *scanner) record(p Path) {
	if _, ok := s.lines[p]; !ok {
		s.lines[p] = s.line
	}
}

// header reads [a.b] or [[a.b]], where an array of tables means its last element.
func (s *scanner) header() {
	s.next()
	isArray := s.accept('[')
	parts := s.key()
	if s.exceeds(len(parts)) {
		return
	}
	path := Path("")
	for i, part := range parts {
		path = path.Key(part)
		s.record(path)
		n, known := s.arrays[path]
		switch {
		case isArray && i == len(parts)-1:
			s.arrays[path] = n + 1
			path = path.Element(n)
		case known:
			path = path.Element(n - 1)
		}
		s.record(path)
	}
	s.table = path
	for s.accept(']') {
	}
}

// pair reads key = value. The key may be dotted.
func (s *scanner) pair(path Path, depth int) {
	start := s.pos
	parts := s.key()
	if depth += len(parts); s.exceeds(depth) {
		return
	}
	for _, part := range parts {
		path = path.Key(part)
		s.record(path)
	}
	s.blanks()
	if s.accept('=') {
		s.value(path, depth)
	}
	if s.pos == start {
		s.next()
	}
}

// key reads a key and returns its parts.
func (s *scanner) key() []string {
	var parts []string
	for {
		s.blanks()
		if c := s.peek(); c == '"' || c == '\'' {
			parts = append(parts, unescape(c, s.quoted()))
		} else {
			parts = append(parts, s.until(" \t\r\n.=[]{}#,\"'"))
		}
		s.blanks()
		if !s.accept('.') {
			return parts
		}
	}
}

// unescape decodes the text between the quotes of a key.
func unescape(quote byte, text string) string {
	var doc struct{ Key string }
	if quote == '"' && strings.Contains(text, `\`) && toml.Unmarshal([]byte(`Key = "`+text+`"`), &doc) == nil {
		return doc.Key
	}
	return text
}

// value reads a value and the keys in it.
func (s *scanner) value(path Path, depth int) {
	if s.exceeds(depth) {
		return
	}
	s.blanks()
	switch s.peek() {
	case '"', '\'':
		s.quoted()
	case '[':
		s.next()
		s.list(path, depth+1)
	case '{':
		s.next()
		s.inline(path, depth+1)
	default:
		s.until(",]}#\r\n")
	}
}

// list reads the rest of an array.
func (s *scanner) list(path Path, depth int) {
	for i := 0; ; i++ {
		if s.skip(); s.pos == len(s.text) || s.accept(']') {
			return
		}
		start := s.pos
		s.record(path.Element(i))
		s.value(path.Element(i), depth)
		s.skip()
		if !s.accept(',') && s.pos == start {
			s.next()
		}
	}
}

// inline reads the rest of an inline table.
func (s *scanner) inline(path Path, depth int) {
	for {
		if s.skip(); s.pos == len(s.text) || s.accept('}') {
			return
		}
		s.pair(path, depth)
		s.skip()
		s.accept(',')
	}
}

// quoted reads any of TOML's four kinds of string and returns the text between the
// quotes, still escaped.
func (s *scanner) quoted() string {
	quote := s.next()
	if !s.accept(quote) {
		return s.closing(quote, 1)
	}
	if !s.accept(quote) {
		return "" // two quotes: the empty string
	}
	text := s.closing(quote, 3)
	for s.accept(quote) { // up to two quotes may come before the closing three
	}
	return text
}

// closing reads up to and including a run of n quotes.
func (s *scanner) closing(quote byte, n int) string {
	start, run := s.pos, 0
	for s.pos < len(s.text) {
		switch c := s.next(); {
		case c == quote:
			if run++; run == n {
				return s.text[start : s.pos-n]
			}
			continue
		case c == '\\' && quote == '"':
			s.next()
		}
		run = 0
	}
	return s.text[start:]
}

// peek returns the next byte, or 0 at the end.
func (s *scanner) peek() byte {
	if s.pos < len(s.text) {
		return s.text[s.pos]
	}
	return 0
}

// next returns the next byte and moves past it.
func (s *scanner) next() byte {
	c := s.peek()
	if c == '\n' {
		s.line++
	}
	s.pos = min(s.pos+1, len(s.text))
	return c
}

// accept moves past the next byte if it is c.
func (s *scanner) accept(c byte) bool {
	if s.pos == len(s.text) || s.text[s.pos] != c {
		return false
	}
	s.next()
	return true
}

// until reads up to any of the bytes in end.
func (s *scanner) until(end string) string {
	start := s.pos
	for s.pos < len(s.text) && strings.IndexByte(end, s.text[s.pos]) < 0 {
		s.next()
	}
	return s.text[start:s.pos]
}

func (s *scanner) blanks() {
	for s.peek() == ' ' || s.peek() == '\t' {
		s.next()
	}
}

// skip moves past blanks, line ends and comments.
func (s *scanner) skip() {
	for s.pos < len(s.text) {
		switch s.text[s.pos] {
		case ' ', '\t', '\r', '\n':
			s.next()
		case '#':
			s.until("\n")
		default:
			return
		}
	}
}
