package migrate

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"polyclam/cmd/internal/size"
)

// writer builds polyclam's configuration.
type writer struct{ strings.Builder }

// comment writes text as wrapped comments. It replaces what TOML does not allow there,
// because the text may come from foreign files.
func (w *writer) comment(format string, args ...any) {
	const width = 96
	for line := range strings.SplitSeq(fmt.Sprintf(format, args...), "\n") {
		n := 0
		for i, word := range strings.Fields(printableText(line)) {
			size := utf8.RuneCountInString(word)
			switch {
			case i == 0:
				w.WriteString("# ")
			case n+size > width:
				w.WriteString("\n# ")
				n = 0
			default:
				w.WriteByte(' ')
			}
			w.WriteString(word)
			n += size + 1
		}
		w.WriteByte('\n')
	}
}

// key writes a key and its TOML value.
func (w *writer) key(name, value string) { w.WriteString(name + " = " + value + "\n") }

func (w *writer) line(s string) { w.WriteString(s + "\n") }

// section writes what text writes, commented out unless active.
func (w *writer) section(active bool, text func(*writer)) {
	var inner writer
	text(&inner)
	for line := range strings.Lines(inner.String()) {
		if !active && !strings.HasPrefix(line, "#") {
			line = "#" + line
		}
		w.WriteString(line)
	}
}

// printableText replaces unprintable characters in s.
func printableText(s string) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) && r != ' ' {
			return '?'
		}
		return r
	}, s)
}

// isText reports whether s can be a string in a configuration.
func isText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

// quote returns a TOML string; s is text.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// sizeText returns a size for the configuration.
func sizeText(n int64) string {
	if s := size.Format(n); s != strconv.FormatInt(n, 10) {
		return quote(s)
	}
	return strconv.FormatInt(n, 10)
}

// seconds returns a duration for the configuration.
func seconds(n int64) string { return quote(strconv.FormatInt(n, 10) + "s") }
