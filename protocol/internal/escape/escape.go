// Package escape writes the names of objects so that they cannot end a record early
// or forge one.
package escape

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// longObject is the length from which a client's buffer may end within an object:
// MIMEDefang reads 256 bytes, once, and up to 128 may follow the object.
const longObject = 128

// Object escapes the name of an object, see protocol.EscapeObject.
func Object(name string) string {
	escaped := object(name, false)
	if len(escaped) > longObject && Words(name) != name {
		return object(name, true)
	}
	return escaped
}

// object escapes name; with words also the words that end status lines.
func object(name string, words bool) string {
	var b strings.Builder
	changed := words || Unescape(name) != name
	for i := 0; i < len(name); {
		switch n := lineBreak(name[i:]); {
		case n > 0:
			for range n {
				writeHex(&b, name[i])
				i++
			}
			changed = true
			continue
		case name[i] == '\\':
			b.WriteString(`\\`)
		case words && i > 0 && name[i-1] == ' ' && startsWithWord(name[i:]):
			writeHex(&b, name[i])
		default:
			// A whole character, so that its last byte is not mistaken for a lone 0x85.
			_, size := utf8.DecodeRuneInString(name[i:])
			b.WriteString(name[i : i+size])
			i += size
			continue
		}
		i++
	}
	if !changed {
		return name
	}
	return b.String()
}

func writeHex(b *strings.Builder, c byte) { fmt.Fprintf(b, `\x%02x`, c) }

// lineBreak returns how many bytes at the start of s a client may take for a line
// break, or a terminal for a control character.
func lineBreak(s string) int {
	if s[0] < 0x20 || s[0] == 0x7f || s[0] == 0x85 {
		return 1
	}
	if len(s) > 1 && s[0] == 0xc2 && 0x80 <= s[1] && s[1] < 0xa0 { // U+0080 to U+009F
		return 2
	}
	for _, separator := range []string{"\u2028", "\u2029"} {
		if strings.HasPrefix(s, separator) {
			return len(separator)
		}
	}
	return 0
}

func startsWithWord(s string) bool {
	return strings.HasPrefix(s, "OK") || strings.HasPrefix(s, "FOUND") || strings.HasPrefix(s, "ERROR")
}

var wordEscaper = strings.NewReplacer(" OK", ` \x4fK`, " FOUND", ` \x46OUND`, " ERROR", ` \x45RROR`)

// Words escapes the first letter of OK, FOUND and ERROR after a space.
func Words(s string) string { return wordEscaper.Replace(s) }

// Unescape returns the name that Object escaped. A backslash that begins neither \\
// nor \xNN is kept.
func Unescape(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		c, n := unescapeByte(s[i:])
		b.WriteByte(c)
		i += n
	}
	return b.String()
}

// unescapeByte returns the first byte of an escaped name and the length of its
// escaped form.
func unescapeByte(s string) (c byte, n int) {
	if strings.HasPrefix(s, `\\`) {
		return '\\', 2
	}
	if len(s) >= 4 && strings.HasPrefix(s, `\x`) {
		const digits = "0123456789abcdef"
		high, low := strings.IndexByte(digits, s[2]), strings.IndexByte(digits, s[3])
		if high >= 0 && low >= 0 {
			return byte(high<<4 | low), 4
		}
	}
	return s[0], 1
}
