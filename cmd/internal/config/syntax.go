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
func syntaxProblem(name string, err error, lines position.Table) Problem {
	var syntax toml.ParseError
	if !errors.As(err, &syntax) {
		return Problem{File: name, Line: 1, Text: err.Error()}
	}
	p := Problem{File: name, Line: max(1, syntax.Position.Line), Key: syntax.LastKey}
	if first, ok := duplicate(syntax.Message, p.Line, lines); ok {
		first.File = name
		return first
	}
	p.Text = plainSyntax(syntax.Message)
	if strings.Contains(syntax.Message, `end table name, but got '\n' instead`) && p.Line > 1 {
		p.Line-- // the library has already read the end of the line
	}
	return p
}

// alreadyDefined are the TOML library's messages about a key that is defined twice.
var alreadyDefined = regexp.MustCompile(`^Key '(.*)' (?:has already been defined|was already created (as a hash|and cannot be used as an array))\.$`)

// duplicate returns the problem for such a message about a line: the library does not say
// where the key was defined first.
func duplicate(message string, line int, lines position.Table) (Problem, bool) {
	m := alreadyDefined.FindStringSubmatch(message)
	if m == nil {
		return Problem{}, false
	}
	first, isArray := 0, false // of tables
	for path, n := range lines {
		if path.Name() == m[1] && n < line {
			first = max(first, n) // in the last element
		}
		isArray = isArray || strings.HasPrefix(string(path), m[1]+"[0].")
	}
	if first == 0 {
		return Problem{}, false
	}
	p := Problem{Line: line, Key: m[1]}
	switch m[2] {
	case "":
		if isArray {
			p.Text = fmt.Sprintf("line %d has [[%s]]; write double brackets here too", first, m[1])
			break
		}
		p.Text = fmt.Sprintf("already defined in line %d; a key or table may appear once, so merge the two", first)
	case "as a hash":
		p.Text = fmt.Sprintf("line %d defines a table of this name; rename or remove one of the two", first)
	default:
		p.Text = fmt.Sprintf("line %d has this name in single brackets, this one in double brackets; write [[%s]] in both places", first, m[1])
	}
	return p, true
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
