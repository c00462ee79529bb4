package command

import (
	"path/filepath"
	"regexp"
	"regexp/syntax"
	"strings"

	"polyclam/backends"
)

// Placeholders in an expression: the path of the file, and its base name. They tie a line
// to the scanned object, because no sender knows them.
const (
	pathInside = "{path}"
	nameInside = "{name}"
)

// expression is a regular expression key before compilation.
type expression struct {
	key, text string
	whole     bool // must match whole lines
	to        func(*patterns) **regexp.Regexp
}

// expressions returns the keys for lines of output.
func (c *Config) expressions() []expression {
	return []expression{
		{"virus_regex", c.VirusRegex, false, func(p *patterns) **regexp.Regexp { return &p.virus }},
		{"virus_flag_regex", c.VirusFlagRegex, false, func(p *patterns) **regexp.Regexp { return &p.flag }},
		{"suspicious_regex", c.SuspiciousRegex, false, func(p *patterns) **regexp.Regexp { return &p.suspicious }},
		{"encrypted_regex", c.EncryptedRegex, false, func(p *patterns) **regexp.Regexp { return &p.encrypted }},
		{"partial_regex", c.PartialRegex, false, func(p *patterns) **regexp.Regexp { return &p.partial }},
		{"error_regex", c.ErrorRegex, false, func(p *patterns) **regexp.Regexp { return &p.failure }},
		{"cannot_execute_regex", c.CannotExecuteRegex, false, func(p *patterns) **regexp.Regexp { return &p.cannot }},
		{"ok_regex", c.OKRegex, true, func(p *patterns) **regexp.Regexp { return &p.ok }},
		{"ignore_regex", c.IgnoreRegex, true, func(p *patterns) **regexp.Regexp { return &p.ignore }},
	}
}

// addExpressions compiles the expressions. Those with a placeholder are compiled here
// only to validate them, and again for each scan.
func (t *table) addExpressions(c *Config) (errs []error) {
	for _, x := range c.expressions() {
		re, err := x.compile(x.fill([]string{"/path"}))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		*x.to(&t.patterns) = re
		if strings.Contains(x.text, pathInside) || strings.Contains(x.text, nameInside) {
			t.unfilled = append(t.unfilled, x)
		}
	}
	for _, text := range []string{c.VirusRegex, c.VirusFlagRegex, c.SuspiciousRegex, c.ErrorRegex, c.CannotExecuteRegex} {
		text = strings.NewReplacer(pathInside, `\S+`, nameInside, `\S+`).Replace(text)
		if re := anywhere(text); re != nil {
			t.anywhere = append(t.anywhere, re)
		}
	}
	version, err := expression{key: "version_regex", text: c.VersionRegex}.compile(c.VersionRegex)
	t.version = version
	if err != nil {
		errs = append(errs, err)
	}
	return errs
}

// filled returns the table with these paths in place of the placeholders.
func (t *table) filled(paths []string) *table {
	if len(t.unfilled) == 0 || len(paths) == 0 {
		return t
	}
	full := *t
	full.unfilled = nil
	for _, x := range t.unfilled {
		re, err := x.compile(x.fill(paths))
		if err != nil {
			continue // unreachable: it was validated with another path
		}
		*x.to(&full.patterns) = re
	}
	return &full
}

// fill replaces the placeholders.
func (x expression) fill(paths []string) string {
	var quoted []string
	for _, path := range paths {
		quoted = append(quoted, regexp.QuoteMeta(path))
	}
	return strings.NewReplacer(
		pathInside, "(?:"+strings.Join(quoted, "|")+")",
		nameInside, regexp.QuoteMeta(filepath.Base(paths[0])),
	).Replace(x.text)
}

// compile compiles an expression in which ^ and $ are the ends of lines.
func (x expression) compile(text string) (*regexp.Regexp, error) {
	if text == "" {
		return nil, nil
	}
	if _, err := regexp.Compile(text); err != nil {
		return nil, backends.KeyErrorf(x.key, "%w; write a regular expression of RE2", err)
	}
	text = "(?m:" + text + ")"
	if x.whole {
		text = `(?m:^)` + text + `[ \t]*(?m:$)`
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, &backends.KeyError{Key: x.key, Err: err}
	}
	if re.MatchString("") || x.whole && re.MatchString("Error: a line that no scanner has ever printed") {
		return nil, backends.KeyErrorf(x.key, "%q matches any output, even none; write what only the intended line contains", x.text)
	}
	return re, nil
}

// anywhere compiles an expression without its anchor at the beginning of the line, so
// that no prefix can hide a finding.
func anywhere(text string) *regexp.Regexp {
	if text == "" {
		return nil
	}
	tree, err := syntax.Parse(text, syntax.Perl&^syntax.OneLine)
	if err != nil {
		return nil // reported elsewhere
	}
	unanchor(tree)
	re, err := regexp.Compile("(?m:" + tree.String() + ")")
	if err != nil || re.MatchString("") {
		return nil
	}
	return re
}

func unanchor(tree *syntax.Regexp) {
	switch tree.Op {
	case syntax.OpBeginLine, syntax.OpBeginText:
		tree.Op = syntax.OpEmptyMatch
	case syntax.OpAlternate:
		for _, sub := range tree.Sub {
			unanchor(sub)
		}
	case syntax.OpConcat, syntax.OpCapture:
		unanchor(tree.Sub[0])
	}
}

// looksHarmless reports whether nothing in a line looks like a finding or failure.
func (t *table) looksHarmless(line string) bool {
	for _, re := range t.anywhere {
		if re.MatchString(surrounded(line)) {
			return false
		}
	}
	return true
}

// names returns the names that an expression finds in a line.
func (t *table) names(re *regexp.Regexp, line string) (found []finding) {
	if re == nil {
		return nil
	}
	name, kind := re.SubexpIndex("name"), re.SubexpIndex("kind")
	for i, groups := range re.FindAllStringSubmatch(line, maxMatches) {
		f := finding{last: i == maxMatches-1}
		switch {
		case name > 0:
			f.name = groups[name]
		default:
			f.name = firstGroup(groups[1:])
		}
		f.name = strings.TrimSpace(f.name)
		f.kind = f.name
		if kind > 0 {
			f.kind = groups[kind]
		}
		found = append(found, f)
	}
	return found
}

func firstGroup(groups []string) string {
	for _, g := range groups {
		if strings.TrimSpace(g) != "" {
			return g
		}
	}
	return ""
}

func matches(re *regexp.Regexp, text string) bool { return re != nil && re.MatchString(text) }
