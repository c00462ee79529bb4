package protocol

import (
	"strings"
	"unicode/utf8"
)

// longObject is the length from which a client's buffer may end inside an object:
// MIMEDefang reads 256 bytes once, and up to 128 may follow the object.
const longObject = 128

// EscapeObject returns the name of an object as it is written where a line break
// ends a record: in replies to n commands and to commands without a prefix, and in
// every reply to polyclam's own verbs. Such a name can neither end a record early
// nor forge one. [UnescapeObject] returns the name itself, whatever its bytes.
//
// These bytes become \xNN: control characters, U+0080 to U+009F among them, and what
// some libraries take for a line break beside them (U+2028, U+2029, and 0x85 where it
// is not part of a character). In a name that is written with more than 128 bytes the first letter
// of OK, FOUND and ERROR after a blank does too: a client with a short buffer must
// not read the end of a status line there.
//
// A name with such a byte, and one in which \\ or \xNN stands already, has its
// backslashes doubled. Any other name is written as it is.
func EscapeObject(name string) string {
	escaped := escapeObject(name, false)
	if len(escaped) > longObject && EscapeWords(name) != name {
		return escapeObject(name, true)
	}
	return escaped
}

// escapeObject escapes name, and the words that end status lines where words says so.
func escapeObject(name string, words bool) string {
	var b strings.Builder
	changed := words || UnescapeObject(name) != name
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
			// A character at a time, so that its last byte is not taken for one of
			// its own.
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

// lineBreak returns how many bytes at the front of s some client takes for a line
// break, or a terminal for a command.
func lineBreak(s string) int {
	if s[0] < 0x20 || s[0] == 0x7f || s[0] == 0x85 {
		return 1
	}
	if len(s) > 1 && s[0] == 0xc2 && 0x80 <= s[1] && s[1] < 0xa0 { // U+0080 to U+009F, U+0085 among them
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
	return strings.HasPrefix(s, wordOK) || strings.HasPrefix(s, wordFound) || strings.HasPrefix(s, wordError)
}

var wordEscaper = strings.NewReplacer(" OK", ` \x4fK`, " FOUND", ` \x46OUND`, " ERROR", ` \x45RROR`)

// EscapeWords escapes the first letter of OK, FOUND and ERROR after a blank, as
// [EscapeObject] does in long names. It is for texts that stand at the end of a
// line and are escaped otherwise already.
func EscapeWords(s string) string { return wordEscaper.Replace(s) }

// UnescapeObject returns the name that [EscapeObject] has written. A backslash that
// begins neither \\ nor \xNN stands for itself.
func UnescapeObject(s string) string {
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

// unescapeByte returns the first byte of an escaped name and the bytes it is
// written with.
func unescapeByte(s string) (c byte, n int) {
	if strings.HasPrefix(s, `\\`) {
		return '\\', 2
	}
	if len(s) >= 4 && strings.HasPrefix(s, `\x`) {
		high, low := strings.IndexByte(hexDigits, s[2]), strings.IndexByte(hexDigits, s[3])
		if high >= 0 && low >= 0 {
			return byte(high<<4 | low), 4
		}
	}
	return s[0], 1
}
