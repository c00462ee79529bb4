package config

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/BurntSushi/toml"

	"polyclam/cmd/internal/config/position"
)

// syntaxProblem explains an error of the TOML library.
func syntaxProblem(name, text string, err error) Problem {
	var syntax toml.ParseError
	if !errors.As(err, &syntax) {
		return Problem{File: name, Line: 1, Text: err.Error()}
	}
	p := Problem{File: name, Line: max(1, syntax.Position.Line), Key: syntax.LastKey}
	if m := duplicate.FindStringSubmatch(syntax.Message); m != nil {
		p.Key, p.Text = m[1], "defined twice"
		if first := firstLine(text, m[1], p.Line); first > 0 {
			p.Text = fmt.Sprintf("is already defined in line %d; keep one of the two", first)
		}
		return p
	}
	p.Text = plainSyntax(syntax.Message)
	if strings.Contains(syntax.Message, `end table name, but got '\n' instead`) && p.Line > 1 {
		p.Line-- // the library has already read the end of the line
	}
	return p
}

var duplicate = regexp.MustCompile(`^Key '(.*)' has already been defined`)

// firstLine returns the last line before the given one that defines key, or 0. It is the last,
// because a key may occur in several elements of an array of tables.
func firstLine(text, key string, before int) int {
	lines := strings.SplitAfter(text, "\n")
	table, _ := position.Find(strings.Join(lines[:min(before-1, len(lines))], ""))
	first := 0
	for path, line := range table {
		if path.Name() == key {
			first = max(first, line)
		}
	}
	return first
}

// plainSyntax says in plain words what the library means.
func plainSyntax(message string) string {
	for _, m := range []struct{ library, plain string }{
		{"strings cannot contain newlines", "strings cannot contain line breaks: the closing quote is missing"},
		{"unexpected EOF; expected", "the file ends too early: a closing quote or bracket is missing"},
		{"expected a top-level item to end with a newline", `more than one value after "="; a value with letters needs quotes, for example "info" or "10s"`},
		{"expected value but found", `there is no value after "="; text needs quotes, for example "/var/spool"`},
		{"expected '.' or '=', but got", `"=" is missing after the key`},
		{"expected '.' or ']' to end table name", `"]" is missing after the name of the table`},
	} {
		if strings.HasPrefix(message, m.library) {
			return m.plain
		}
	}
	return strings.ReplaceAll(strings.ReplaceAll(message, "unexpected EOF", "the file ends too early"), "EOF", "the end of the file")
}
