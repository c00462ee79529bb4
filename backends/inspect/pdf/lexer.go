package pdf

import (
	"bytes"
	"strconv"

	"polyclam/backends/inspect/internal/walk"
)

// The objects of a PDF are: nil, bool, float64, pdfName, pdfString, pdfArray,
// pdfDict, pdfRef, and pdfWord for what is none of these.
type (
	pdfName   string
	pdfString string
	pdfWord   string
	pdfArray  []any
	pdfDict   map[pdfName]any
	pdfRef    struct{ number, generation int }
)

// maxPDFNesting is how deep arrays and dictionaries may lie within each other.
const maxPDFNesting = 16

// maxPDFItems is how many items they may have, all in all: an encryption
// dictionary and a trailer have few.
const maxPDFItems = 4096

// pdfLexer reads objects. It keeps nothing of b.
type pdfLexer struct {
	b     []byte
	items int
}

func isPDFSpace(c byte) bool {
	return c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == '\f' || c == 0
}

func isPDFDelimiter(c byte) bool { return bytes.IndexByte([]byte("()<>[]{}/%"), c) >= 0 }

// space skips white space and comments.
func (l *pdfLexer) space() {
	for len(l.b) > 0 {
		switch {
		case isPDFSpace(l.b[0]):
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

// word reads up to the next space or delimiter.
func (l *pdfLexer) word() string {
	l.space()
	n := 0
	for n < len(l.b) && !isPDFSpace(l.b[n]) && !isPDFDelimiter(l.b[n]) {
		n++
	}
	word := string(l.b[:min(n, 64)])
	l.b = l.b[n:]
	return word
}

func (l *pdfLexer) integer() (int64, bool) {
	n, err := strconv.ParseUint(l.word(), 10, 62)
	return int64(n), err == nil
}

// object reads an object.
func (l *pdfLexer) object(depth int) any {
	l.space()
	if l.items++; len(l.b) == 0 || depth > maxPDFNesting || l.items > maxPDFItems {
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
	case isPDFDelimiter(c):
		l.b = l.b[1:]
		return pdfWord(c)
	}
	return l.plain()
}

// plain reads a number, a reference or a word.
func (l *pdfLexer) plain() any {
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
		return pdfWord(word)
	}
	if n < 0 || n != float64(int32(n)) {
		return n
	}
	ahead := pdfLexer{b: l.b[:min(len(l.b), 64)]}
	generation, ok := ahead.integer()
	if ok && generation < 1<<16 && ahead.word() == "R" {
		l.b = l.b[min(len(l.b), 64)-len(ahead.b):]
		return pdfRef{int(n), int(generation)}
	}
	return n
}

func (l *pdfLexer) name() pdfName {
	l.b = l.b[1:]
	n := 0
	for n < len(l.b) && !isPDFSpace(l.b[n]) && !isPDFDelimiter(l.b[n]) {
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
	return pdfName(name)
}

func (l *pdfLexer) array(depth int) pdfArray {
	l.b = l.b[1:]
	var a pdfArray
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

func (l *pdfLexer) dict(depth int) pdfDict {
	l.b = l.b[2:]
	d := make(pdfDict)
	for {
		l.space()
		if len(l.b) == 0 {
			return d
		}
		if l.b[0] == '>' {
			l.b = l.b[min(2, len(l.b)):]
			return d
		}
		key, ok := l.object(depth + 1).(pdfName)
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

func (l *pdfLexer) hex() pdfString {
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
	return pdfString(s)
}

// literal reads a string in parentheses (7.3.4.2).
func (l *pdfLexer) literal() pdfString {
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
				return pdfString(s)
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
	return pdfString(s)
}

// escape reads what follows a backslash.
func (l *pdfLexer) escape(s []byte) []byte {
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
