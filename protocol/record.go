package protocol

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrRecordSyntax is wrapped by [ParseRecord] for a line that is not a record.
var ErrRecordSyntax = errors.New("not a record of an extended reply")

// Field is one key=value of a [Record].
type Field struct {
	Key   string // [a-z_]+
	Value string // any bytes
}

// Record is one line of an extended reply, the answer to XINSTREAM and its
// family, behind the plain status line:
//
//	stream: engine=sophos category=encrypted msg="Password protected file a.zip" ENGINE
//	stream: category=encrypted action=ok engines=2 failed=0 version=1 SUMMARY
//
// A reader ignores keys it does not know. A Record is a value; it may be copied
// and shared.
type Record struct {
	Object string  // "stream", "fd[10]" or a path, its own bytes
	Fields []Field // in the order of the line; a key may be repeated
	Word   string  // ENGINE or SUMMARY; upper case, never OK, FOUND, ERROR or END
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

// String returns the line without its terminator. It never holds a line break or a
// NUL, whatever is in r: the object is written as [EscapeObject] does it, as in the
// status line, and in values every byte outside of printable ASCII is written as
// \xNN. What does not belong in a key or a word is written as an underscore.
func (r Record) String() string {
	var b strings.Builder
	b.WriteString(EscapeObject(r.Object))
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

const hexDigits = "0123456789abcdef"

func writeHex(b *strings.Builder, c byte) {
	b.WriteString(`\x`)
	b.WriteByte(hexDigits[c>>4])
	b.WriteByte(hexDigits[c&15])
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
			writeHex(b, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
}

// isBare reports whether a value needs no quotes. A colon does: a bare value at
// the end of which it stood could not be told from an object.
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

// ParseRecord parses a line as String makes it. Fields are taken from the end
// of the line, since an object may hold anything, also ": " and what looks like
// fields. The line may have any number of fields, but no other form; errors
// wrap [ErrRecordSyntax].
func ParseRecord(line string) (Record, error) {
	rest, word, ok := cutLast(line, " ")
	if !ok || !isWord(word, 'A', 'Z') || isReplyWord(word) {
		return Record{}, fmt.Errorf("%w: %s", ErrRecordSyntax, excerpt(line))
	}
	r := Record{Word: word}
	for !strings.HasSuffix(rest, ":") {
		f, before, ok := cutField(rest)
		if !ok {
			return Record{}, fmt.Errorf("%w: %s", ErrRecordSyntax, excerpt(line))
		}
		r.Fields = append(r.Fields, f)
		rest = before
	}
	r.Object = UnescapeObject(strings.TrimSuffix(rest, ":"))
	slices.Reverse(r.Fields)
	return r, nil
}

// isReplyWord reports whether word ends other lines than records.
func isReplyWord(word string) bool {
	return word == wordOK || word == wordFound || word == wordError || word == wordEnd
}

// isWord reports whether word has letters from first to last only.
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

// cutField takes the last field off a line and the blank before it.
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

// openingQuote finds the quote that opens the value at whose closing quote line
// ends: the next one to the left without a backslash before it. The opening one
// never has one, since it follows "=".
func openingQuote(line string) int {
	for i := len(line) - 2; i > 0; i-- {
		if line[i] == '"' && line[i-1] != '\\' {
			return i
		}
	}
	return -1
}

// unquote returns the bytes of a value, bare or quoted.
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

// unescape returns the first byte of a quoted text and the bytes it is written
// with; none if the text is wrong.
func unescape(s string) (c byte, n int) {
	switch {
	case s[0] < 0x20, s[0] >= 0x7f, s[0] == '"':
		return 0, 0
	case s[0] != '\\':
		return s[0], 1
	case len(s) >= 2 && (s[1] == '"' || s[1] == '\\'):
		return s[1], 2
	case len(s) >= 4 && s[1] == 'x':
		high := strings.IndexByte(hexDigits, lower(s[2]))
		low := strings.IndexByte(hexDigits, lower(s[3]))
		if high < 0 || low < 0 {
			return 0, 0
		}
		return byte(high<<4 | low), 4
	}
	return 0, 0
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
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

// isToken reports whether s can be read as a bare value. That is more than
// String writes bare: another writer may be less careful.
func isToken(s string) bool {
	return s != "" && isPlain(s) && strings.IndexByte(s, ' ') < 0 && !strings.HasSuffix(s, ":")
}
