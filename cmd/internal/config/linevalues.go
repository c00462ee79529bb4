package config

import "strings"

// keyPart reads one part of a key: bare, "basic" or 'literal'.
func (s *lineScanner) keyPart() string {
	if c := s.peek(); c == '"' || c == '\'' {
		return s.quoted()
	}
	start := s.pos
	for s.pos < len(s.text) && !strings.ContainsRune(" \t\r\n.=[]{}#,\"'", rune(s.text[s.pos])) {
		s.next()
	}
	return s.text[start:s.pos]
}

// quoted reads a string of one of TOML's four kinds and returns what is between
// its quotes, escapes as they stand.
func (s *lineScanner) quoted() string {
	quote := s.next()
	if !s.accept(quote) {
		return s.until(quote, 1)
	}
	if !s.accept(quote) {
		return "" // two quotes: the empty string
	}
	text := s.until(quote, 3)
	for s.accept(quote) { // up to two quotes may stand before the closing three
	}
	return text
}

// until reads up to and including a run of n quotes.
func (s *lineScanner) until(quote byte, n int) string {
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

// value reads a value and the keys in it.
func (s *lineScanner) value(path string, depth int) {
	if s.tooDeep(depth) {
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
		for s.pos < len(s.text) && !strings.ContainsRune(",]}#\r\n", rune(s.text[s.pos])) {
			s.next()
		}
	}
}

// list reads the rest of an array.
func (s *lineScanner) list(path string, depth int) {
	for i := 0; ; i++ {
		if s.skip(); s.pos == len(s.text) || s.accept(']') {
			return
		}
		start, item := s.pos, element(path, i)
		s.record(item)
		s.value(item, depth)
		s.skip()
		if !s.accept(',') && s.pos == start {
			s.next()
		}
	}
}

// inline reads the rest of an inline table.
func (s *lineScanner) inline(path string, depth int) {
	for {
		if s.skip(); s.pos == len(s.text) || s.accept('}') {
			return
		}
		s.pair(path, depth)
		s.skip()
		s.accept(',')
	}
}
