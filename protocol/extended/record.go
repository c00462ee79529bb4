package extended

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"polyclam/protocol/internal/escape"
)

// ErrSyntax is wrapped by the errors of [Parse], [Record.Engine] and [Record.Summary].
var ErrSyntax = errors.New("not a record of an extended reply")

// Field is one key=value of a [Record].
type Field struct {
	Key   string // [a-z_]+
	Value string // any bytes
}

// Record is one line of an extended reply:
//
//	<object>: <key>=<value> <key>=<value> ... <WORD>
//
// A value is a bare word or quoted. In quotes \" and \\ stand for the character after
// the backslash, and \xNN for a byte.
type Record struct {
	Object string  // "stream", "fd[10]", "status" or a path, unescaped
	Fields []Field // in the order of the line; a key may be repeated
	Word   string  // ENGINE, for example; upper case, never OK, FOUND, ERROR or END
}

// Get returns the value of the first field with the key, empty if there is none.
func (r Record) Get(key string) string {
	for _, f := range r.Fields {
		if f.Key == key {
			return f.Value
		}
	}
	return ""
}

// String returns the line without its terminator. It never contains a line break or a NUL,
// even if r does: the object is escaped as in a status line (see protocol.EscapeObject),
// and in values every byte outside printable ASCII becomes \xNN. Characters that do not
// belong in a key or a word become underscores.
func (r Record) String() string {
	var b strings.Builder
	b.WriteString(escape.Object(r.Object))
	b.WriteByte(':')
	for _, f := range r.Fields {
		b.WriteByte(' ')
		writeWord(&b, f.Key, 'a', 'z')
		b.WriteByte('=')
		writeValue(&b, f.Value)
	}
	b.WriteByte(' ')
	writeWord(&b, r.Word, 'A', 'Z')
	return b.String()
}

func writeWord(b *strings.Builder, word string, first, last byte) {
	if word == "" {
		b.WriteByte('_')
	}
	for i := range len(word) {
		if c := word[i]; first <= c && c <= last {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('_')
	}
}

func writeValue(b *strings.Builder, value string) {
	if isBare(value) {
		b.WriteString(value)
		return
	}
	b.WriteByte('"')
	for i := range len(value) {
		switch c := value[i]; {
		case c == '"', c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < 0x20, c >= 0x7f:
			fmt.Fprintf(b, `\x%02x`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
}

// isBare reports whether a value needs no quotes. A colon needs them: a bare value that
// ends in one would look like an object.
func isBare(value string) bool {
	for i := range len(value) {
		c := value[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte("._-/+@~", c) >= 0:
		default:
			return false
		}
	}
	return value != ""
}

// Parse parses a line in the form that String writes. It takes the fields off the end of
// the line, because the object may contain anything, even ": " and what looks like
// fields.
func Parse(line string) (Record, error) {
	rest, word, ok := cutLast(line, " ")
	if !ok || !isWord(word, 'A', 'Z') || isReplyWord(word) {
		return Record{}, fmt.Errorf("%w: %.120q", ErrSyntax, line)
	}
	r := Record{Word: word}
	for !strings.HasSuffix(rest, ":") {
		f, before, ok := cutField(rest)
		if !ok {
			return Record{}, fmt.Errorf("%w: %.120q", ErrSyntax, line)
		}
		r.Fields = append(r.Fields, f)
		rest = before
	}
	r.Object = escape.Unescape(strings.TrimSuffix(rest, ":"))
	slices.Reverse(r.Fields)
	return r, nil
}

// isReplyWord reports whether word ends lines other than records.
func isReplyWord(word string) bool {
	return word == "OK" || word == "FOUND" || word == "ERROR" || word == "END"
}

// isWord reports whether word consists of letters from first to last. A key may also
// have underscores.
func isWord(word string, first, last byte) bool {
	for i := range len(word) {
		if c := word[i]; (c < first || c > last) && (first != 'a' || c != '_') {
			return false
		}
	}
	return word != ""
}

// cutLast is strings.Cut at the last sep.
func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// cutField takes the last field, and the space before it, off a line.
func cutField(line string) (f Field, before string, ok bool) {
	start := strings.LastIndexByte(line, ' ')
	if strings.HasSuffix(line, `"`) {
		quote := openingQuote(line)
		if quote < 0 {
			return f, "", false
		}
		start = strings.LastIndexByte(line[:quote], ' ')
	}
	if start < 0 {
		return f, "", false
	}
	key, value, ok := strings.Cut(line[start+1:], "=")
	if !ok || !isWord(key, 'a', 'z') {
		return f, "", false
	}
	value, ok = unquote(value)
	return Field{Key: key, Value: value}, line[:start], ok
}

// openingQuote finds the quote that opens the value at the end of line: the next one to
// the left that has no backslash before it. The opening quote follows "=", so it never
// has one.
func openingQuote(line string) int {
	for i := len(line) - 2; i > 0; i-- {
		if line[i] == '"' && line[i-1] != '\\' {
			return i
		}
	}
	return -1
}

// unquote returns the bytes of a bare or quoted value.
func unquote(value string) (string, bool) {
	if len(value) < 2 || value[0] != '"' {
		return value, isToken(value)
	}
	if value[len(value)-1] != '"' {
		return "", false
	}
	value = value[1 : len(value)-1]
	if isPlain(value) {
		return value, true
	}
	var b strings.Builder
	for i := 0; i < len(value); {
		c, n := unescape(value[i:])
		if n == 0 {
			return "", false
		}
		b.WriteByte(c)
		i += n
	}
	return b.String(), true
}

// unescape returns the first byte of a quoted text and the length of its escaped form,
// or 0 if the text is malformed.
func unescape(s string) (c byte, n int) {
	switch {
	case s[0] < 0x20, s[0] >= 0x7f, s[0] == '"':
		return 0, 0
	case s[0] != '\\':
		return s[0], 1
	case len(s) >= 2 && (s[1] == '"' || s[1] == '\\'):
		return s[1], 2
	case len(s) >= 4 && s[1] == 'x':
		if b, err := strconv.ParseUint(s[2:4], 16, 8); err == nil {
			return byte(b), 4
		}
	}
	return 0, 0
}

// isPlain reports whether a quoted text needs no unescaping.
func isPlain(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] >= 0x7f || s[i] == '"' || s[i] == '\\' {
			return false
		}
	}
	return true
}

// isToken reports whether s is accepted as a bare value. That is more than String
// writes without quotes: other writers may be less careful.
func isToken(s string) bool {
	return s != "" && isPlain(s) && strings.IndexByte(s, ' ') < 0 && !strings.HasSuffix(s, ":")
}
