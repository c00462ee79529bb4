package config

import (
	"fmt"
	"strings"
)

// lineTable says on which line each key of a file stands. The TOML library
// knows the lines of its own errors only, and mixes up the elements of an array
// of tables. A path is made by child and element: "listener[1].address".
type lineTable map[string]int

// line returns the line of path or, if the file does not have it, of the
// nearest table around it: a missing key is reported where it is missing.
func (t lineTable) line(path string) int {
	for path != "" {
		if n, ok := t[path]; ok {
			return n
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return 1
}

// either returns the first of paths that the file has, else the last.
func (t lineTable) either(paths ...string) string {
	for _, p := range paths {
		if _, ok := t[p]; ok {
			return p
		}
	}
	return paths[len(paths)-1]
}

func child(path, key string) string {
	if strings.ContainsAny(key, ".[]\"") || key == "" {
		key = fmt.Sprintf("%q", key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

func element(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }

// maxDepth is how deep a file may be nested. The configuration is four deep at
// most; a file made of brackets alone takes the TOML library time with the
// square of its size, and would take the scanner memory.
const maxDepth = 16

// lineScanner finds the lines of all keys in a document that the TOML library
// has accepted. On any other text the lines are wrong, but it comes to an end.
type lineScanner struct {
	text   string
	pos    int
	line   int
	table  string         // path of the table that keys now belong to
	arrays map[string]int // arrays of tables: their elements so far
	lines  lineTable
	deep   int // line of what is nested deeper than maxDepth, where scanning ends; 0: nothing is
}

func scanLines(text string) lineTable { return scan(text).lines }

func scan(text string) *lineScanner {
	s := &lineScanner{text: strings.TrimPrefix(text, "\ufeff"), line: 1, arrays: map[string]int{}, lines: lineTable{}}
	for s.skip(); s.pos < len(s.text); s.skip() {
		if s.text[s.pos] == '[' {
			s.header()
		} else {
			s.pair(s.table, 0)
		}
	}
	return s
}

// tooDeep ends the scanning if depth is more than maxDepth.
func (s *lineScanner) tooDeep(depth int) bool {
	if depth <= maxDepth {
		return false
	}
	if s.deep == 0 {
		s.deep = s.line
	}
	s.pos = len(s.text)
	return true
}

// peek returns the next byte, 0 at the end.
func (s *lineScanner) peek() byte {
	if s.pos < len(s.text) {
		return s.text[s.pos]
	}
	return 0
}

// next returns the next byte and goes past it.
func (s *lineScanner) next() byte {
	c := s.peek()
	if c == '\n' {
		s.line++
	}
	s.pos = min(s.pos+1, len(s.text))
	return c
}

// accept goes past the next byte if it is c.
func (s *lineScanner) accept(c byte) bool {
	if s.pos < len(s.text) && s.text[s.pos] == c {
		s.next()
		return true
	}
	return false
}

func (s *lineScanner) blanks() {
	for s.peek() == ' ' || s.peek() == '\t' {
		s.next()
	}
}

// skip goes past blanks, line ends and comments.
func (s *lineScanner) skip() {
	for s.pos < len(s.text) {
		switch s.text[s.pos] {
		case ' ', '\t', '\r', '\n':
			s.next()
		case '#':
			for s.pos < len(s.text) && s.text[s.pos] != '\n' {
				s.next()
			}
		default:
			return
		}
	}
}

func (s *lineScanner) record(path string) {
	if _, ok := s.lines[path]; !ok {
		s.lines[path] = s.line
	}
}

// header reads [a.b] or [[a.b]]. A name on the way that is an array of tables
// means its last element.
func (s *lineScanner) header() {
	s.next()
	isArray := s.accept('[')
	parts := s.key()
	path := ""
	if s.tooDeep(len(parts)) {
		return
	}
	for i, part := range parts {
		path = child(path, part)
		s.record(path)
		n, known := s.arrays[path]
		switch {
		case isArray && i == len(parts)-1:
			s.arrays[path] = n + 1
			path = element(path, n)
		case known:
			path = element(path, n-1)
		}
		s.record(path)
	}
	s.table = path
	for s.accept(']') {
	}
}

// pair reads key = value; the key may have dots.
func (s *lineScanner) pair(path string, depth int) {
	start := s.pos
	parts := s.key()
	if depth += len(parts); s.tooDeep(depth) {
		return
	}
	for _, part := range parts {
		path = child(path, part)
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
func (s *lineScanner) key() []string {
	var parts []string
	for {
		s.blanks()
		parts = append(parts, s.keyPart())
		s.blanks()
		if !s.accept('.') {
			return parts
		}
	}
}
