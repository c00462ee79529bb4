package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/BurntSushi/toml"

	"polyclam/cmd/internal/config/decode"
	"polyclam/cmd/internal/config/position"
	"polyclam/cmd/internal/size"
)

// maxFile is the size of the largest file that Load reads.
const maxFile = 1 << 20

// Load reads and checks the file at path. If the file can be read, an error is a
// [Problems].
func Load(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat() // before the file is read: a later change must not go unnoticed
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	file, err := Parse(path, data)
	if err != nil {
		return nil, err
	}
	file.Modified = info.ModTime()
	return file, nil
}

// Parse checks the text of a configuration file. The name is for messages. An error is a
// [Problems].
func Parse(name string, data []byte) (*File, error) {
	if len(data) > maxFile {
		return nil, Problems{{File: name, Line: 1, Text: "the file is larger than " + size.Human(maxFile)}}
	}
	lines, tooDeep := position.Find(string(data))
	if tooDeep > 0 {
		return nil, Problems{{File: name, Line: tooDeep, Text: fmt.Sprintf("nested deeper than %d levels; no key needs that", position.MaxDepth)}}
	}
	var document map[string]any
	if err := toml.Unmarshal(data, &document); err != nil {
		return nil, Problems{syntaxProblem(name, err, lines)}
	}
	f, r := newFile(name), &report{file: name, lines: lines}
	f.lines = lines
	for _, fault := range decode.Decode(document, f, unknownKey) {
		r.fail(fault.Path, "%s", fault.Text)
	}
	validate(f, r)
	if len(r.problems) > 0 {
		r.problems.Sort()
		return nil, r.problems
	}
	f.complete(r)
	return f, nil
}

// complete fills in values that depend on other keys, and adds the warnings.
func (f *File) complete(r *report) {
	if r.has("limits.spool_total") {
		f.spoolTotalLine = r.lines.Line("limits.spool_total")
	}
	for i := range f.Engines {
		e := &f.Engines[i]
		if e.Address != "" {
			e.Address, e.Addresses = "", []string{e.Address}
		}
		if e.MaxDelay == 0 {
			e.MaxDelay = e.Timeout / 10
		}
	}
	if f.Store.Directory == "" && f.needsDirectory() {
		f.Store.Directory = spoolDirectory(os.Getenv)
	}
	warn(f, r)
	r.warnings.Sort()
	f.Warnings = r.warnings
}

func syntaxProblem(name string, err error, lines position.Table) Problem {
	var syntax toml.ParseError
	if !errors.As(err, &syntax) {
		return Problem{File: name, Line: 1, Text: err.Error()}
	}
	line := syntax.Position.Line
	if strings.Contains(syntax.Message, `end table name, but got '\n'`) {
		line-- // BurntSushi/toml 1.6 gives the line after a header that is not closed
	}
	line = max(1, line)
	if p, ok := duplicate(syntax.Message, line, lines); ok {
		p.File = name
		return p
	}
	return Problem{File: name, Line: line, Key: syntax.LastKey, Text: syntax.Message}
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
