package migrate

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// writer writes polyclam's configuration.
type writer struct{ strings.Builder }

// comment writes a text as comments, wrapped. Texts come from files of others:
// what TOML does not allow in a comment is replaced.
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

// key writes a key with a value that is TOML already.
func (w *writer) key(name, value string) { w.WriteString(name + " = " + value + "\n") }

func (w *writer) line(s string) { w.WriteString(s + "\n") }

// idle writes what text writes, as comments.
func (w *writer) idle(active bool, text func(*writer)) {
	var inner writer
	text(&inner)
	for line := range strings.Lines(inner.String()) {
		if !active && !strings.HasPrefix(line, "#") {
			line = "#" + line
		}
		w.WriteString(line)
	}
}

// printableText is s with everything replaced that is not printable.
func printableText(s string) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) && r != ' ' {
			return '?'
		}
		return r
	}, s)
}

// isText reports whether s can be written into a configuration as it is.
func isText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

// quote writes a TOML string; s is text.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// sizeText writes a size as the configuration has it.
func sizeText(n int64) string {
	for _, u := range []struct {
		shift  uint
		suffix string
	}{{30, "GiB"}, {20, "MiB"}, {10, "KiB"}} {
		if n > 0 && n&(1<<u.shift-1) == 0 {
			return quote(strconv.FormatInt(n>>u.shift, 10) + u.suffix)
		}
	}
	return strconv.FormatInt(n, 10)
}

// seconds writes a duration.
func seconds(n int64) string { return quote(strconv.FormatInt(n, 10) + "s") }
