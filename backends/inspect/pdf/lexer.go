package pdf

import (
	"bytes"
	"strconv"

	"polyclam/backends/inspect/internal/walk"
)

// PDF objects are nil, bool, float64, nameObject, stringObject, array, dict and ref; any
// other token is a wordObject.
type (
	nameObject   string
	stringObject string
	wordObject   string
	array        []any
	dict         map[nameObject]any
	ref          struct{ number, generation int }
)

// maxNesting is how deep arrays and dictionaries may nest.
const maxNesting = 16

// maxItems bounds the items of an object with everything nested in it. Trailers and
// encryption dictionaries have few.
const maxItems = 4096

// lexer reads objects from b. The objects do not refer to b.
type lexer struct {
	b     []byte
	items int
}

func isSpace(c byte) bool {
	return c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == '\f' || c == 0
}

func isDelimiter(c byte) bool { return bytes.IndexByte([]byte("()<>[]{}/%"), c) >= 0 }

// space skips white space and comments.
func (l *lexer) space() {
	for len(l.b) > 0 {
		switch {
		case isSpace(l.b[0]):
			l.b = l.b[1:]
		case l.b[0] == '%':
			end := bytes.IndexAny(l.b, "\r\n")
			if end < 0 {
				end = len(l.b)
			}
			l.b = l.b[end:]
		default:
			return
		}
	}
}

// word reads up to the next white space or delimiter.
func (l *lexer) word() string {
	l.space()
	n := 0
	for n < len(l.b) && !isSpace(l.b[n]) && !isDelimiter(l.b[n]) {
		n++
	}
	word := string(l.b[:min(n, 64)])
	l.b = l.b[n:]
	return word
}

func (l *lexer) integer() (int64, bool) {
	n, err := strconv.ParseUint(l.word(), 10, 62)
	return int64(n), err == nil
}

// object reads any object.
func (l *lexer) object(depth int) any {
	l.space()
	if l.items++; len(l.b) == 0 || depth > maxNesting || l.items > maxItems {
		l.b = nil
		return nil
	}
	switch c := l.b[0]; {
	case c == '/':
		return l.name()
	case c == '(':
		return l.literal()
	case bytes.HasPrefix(l.b, []byte("<<")):
		return l.dict(depth)
	case c == '<':
		return l.hex()
	case c == '[':
		return l.array(depth)
	case isDelimiter(c):
		l.b = l.b[1:]
		return wordObject(c)
	}
	return l.plain()
}

// plain reads a number, a reference, or a word.
func (l *lexer) plain() any {
	word := l.word()
	switch word {
	case "true":
		return true
	case "false":
		return false
	case "null":
		return nil
	}
	n, err := strconv.ParseFloat(word, 64)
	if err != nil || n != n || n > 1<<53 || n < -1<<53 {
		return wordObject(word)
	}
	if n < 0 || n != float64(int32(n)) {
		return n
	}
	ahead := lexer{b: l.b[:min(len(l.b), 64)]}
	generation, ok := ahead.integer()
	if ok && generation < 1<<16 && ahead.word() == "R" {
		l.b = l.b[min(len(l.b), 64)-len(ahead.b):]
		return ref{int(n), int(generation)}
	}
	return n
}

func (l *lexer) name() nameObject {
	l.b = l.b[1:]
	n := 0
	for n < len(l.b) && !isSpace(l.b[n]) && !isDelimiter(l.b[n]) {
		n++
	}
	raw := l.b[:n]
	l.b = l.b[n:]
	name := make([]byte, 0, min(n, walk.MaxName))
	for len(raw) > 0 && len(name) < walk.MaxName {
		c := raw[0]
		if c == '#' && len(raw) >= 3 {
			if v, err := strconv.ParseUint(string(raw[1:3]), 16, 8); err == nil {
				c, raw = byte(v), raw[2:]
			}
		}
		name, raw = append(name, c), raw[1:]
	}
	return nameObject(name)
}

func (l *lexer) array(depth int) array {
	l.b = l.b[1:]
	var a array
	for {
		l.space()
		if len(l.b) == 0 {
			return a
		}
		if l.b[0] == ']' {
			l.b = l.b[1:]
			return a
		}
		a = append(a, l.object(depth+1))
	}
}

func (l *lexer) dict(depth int) dict {
	l.b = l.b[2:]
	d := make(dict)
	for {
		l.space()
		if len(l.b) == 0 {
			return d
		}
		if l.b[0] == '>' {
			l.b = l.b[min(2, len(l.b)):]
			return d
		}
		key, ok := l.object(depth + 1).(nameObject)
		if !ok {
			continue
		}
		l.space()
		if len(l.b) > 0 && l.b[0] == '>' {
			continue // no value
		}
		d[key] = l.object(depth + 1)
	}
}

func (l *lexer) hex() stringObject {
	l.b = l.b[1:]
	var s []byte
	high, odd := byte(0), false
	for len(l.b) > 0 {
		c := l.b[0]
		l.b = l.b[1:]
		if c == '>' {
			break
		}
		v := bytes.IndexByte([]byte("0123456789abcdef"), c|0x20)
		if v < 0 || c < '0' {
			continue
		}
		if odd {
			s = append(s, high|byte(v))
		}
		high, odd = byte(v)<<4, !odd
	}
	if odd {
		s = append(s, high)
	}
	return stringObject(s)
}

// literal reads a string in parentheses (7.3.4.2).
func (l *lexer) literal() stringObject {
	l.b = l.b[1:]
	var s []byte
	for depth := 1; len(l.b) > 0; {
		c := l.b[0]
		l.b = l.b[1:]
		switch c {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return stringObject(s)
			}
		case '\r':
			if len(l.b) > 0 && l.b[0] == '\n' {
				l.b = l.b[1:]
			}
			c = '\n'
		case '\\':
			s = l.escape(s)
			continue
		}
		s = append(s, c)
	}
	return stringObject(s)
}

// escape reads an escape sequence after its backslash.
func (l *lexer) escape(s []byte) []byte {
	if len(l.b) == 0 {
		return s
	}
	c := l.b[0]
	l.b = l.b[1:]
	if i := bytes.IndexByte([]byte("nrtbf"), c); i >= 0 {
		return append(s, "\n\r\t\b\f"[i])
	}
	switch {
	case c == '\n':
		return s
	case c == '\r':
		if len(l.b) > 0 && l.b[0] == '\n' {
			l.b = l.b[1:]
		}
		return s
	case c < '0' || c > '7':
		return append(s, c)
	}
	v := c - '0'
	for i := 0; i < 2 && len(l.b) > 0 && l.b[0] >= '0' && l.b[0] <= '7'; i++ {
		v = v<<3 | (l.b[0] - '0')
		l.b = l.b[1:]
	}
	return append(s, v)
}
