package command

import (
	"bytes"
	"context"
	"regexp"
	"slices"
	"strings"

	"polyclam/backends"
)

// The bounds of what is looked at and kept of an output.
const (
	mostLine     = 16 << 10 // a longer line is not understood
	mostMatches  = 16       // of one expression in a line
	mostFindings = 50
	mostName     = 256
	mostDetail   = 512
)

// reading is what the lines of an output say.
type reading struct {
	findings []backends.Finding
	worst    backends.Category // empty: the lines say nothing
	detail   string            // the line that says it
	disliked bool              // a line told a virus, by whatever name, or something suspicious
	ok       bool              // ok_regex matched
	overlong bool              // a line was too long to be understood
}

// weights order what one program says. They differ from the default precedence of
// the policy in that a failure outweighs partial: it may be what hid the rest.
var weights = map[backends.Category]int{
	backends.Virus: 6, backends.Suspicious: 5, backends.Encrypted: 4,
	backends.SWErr: 3, backends.Interrupted: 3, backends.CannotExecute: 3, backends.NotInstalled: 3,
	backends.Partial: 2, backends.OK: 1,
}

func weight(c backends.Category) int { return weights[c] }

func (r *reading) add(c backends.Category, line []byte) {
	if weight(c) > weight(r.worst) {
		r.worst, r.detail = c, bounded(string(line))
	}
}

func (r *reading) find(name string, c backends.Category, line []byte) {
	r.add(c, line)
	f := backends.Finding{Name: name[:min(len(name), mostName)], Category: c}
	if f.Name != "" && len(r.findings) < mostFindings && !slices.Contains(r.findings, f) {
		r.findings = append(r.findings, f)
	}
}

// read reads an output, one line at a time: an expression must not run on through
// the rest of a megabyte. The error is that of ctx.
func (t *table) read(ctx context.Context, output []byte) (*reading, error) {
	// With a line's ends around it, \s matches there as it does in the middle.
	text := slices.Concat([]byte("\n"), output, []byte("\n"))
	text = bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
	r := new(reading)
	var failed, cannot []byte
	for start := 1; start < len(text); {
		if ctx.Err() != nil {
			return nil, ended(ctx)
		}
		end := start + bytes.IndexByte(text[start:], '\n')
		line, around := text[start:end], text[start-1:end+1]
		start = end + 1
		if len(line) == 0 {
			continue
		}
		if len(line) > mostLine {
			r.overlong = true
			around = around[:mostLine]
		}
		if t.readLine(r, line, around) {
			continue
		}
		if cannot == nil && matches(t.cannot, around) {
			cannot = line
		}
		if failed == nil && matches(t.failure, around) {
			failed = line
		}
	}
	r.ok = matches(t.ok, text)
	r.complain(cannot, failed)
	return r, nil
}

// complain takes the lines in which the program complains, if there are any. One
// that came to tell what it found has a right to complain as well; but beside
// something that it could not look at for good, a failure is the stronger word.
func (r *reading) complain(cannot, failed []byte) {
	switch explained := r.disliked || weight(r.worst) > weight(backends.SWErr); {
	case explained:
	case cannot != nil:
		r.add(backends.CannotExecute, cannot)
	case failed != nil:
		r.add(backends.SWErr, failed)
	}
}

// readLine reports whether the line tells of something in the content, so that it
// is no complaint.
func (t *table) readLine(r *reading, line, around []byte) (told bool) {
	for _, m := range t.names(t.virus, around) {
		told, r.disliked = true, true
		r.find(m.name, t.category(m.name, m.kind), line)
		if m.last {
			r.add(backends.Virus, line) // there may be more, and one may be worse
		}
	}
	if matches(t.flag, around) {
		told, r.disliked = true, true
		r.add(backends.Virus, line)
	}
	for _, m := range t.names(t.suspicious, around) {
		told, r.disliked = true, true
		r.find(m.name, backends.Suspicious, line)
	}
	for _, e := range []struct {
		re       *regexp.Regexp
		category backends.Category
	}{{t.encrypted, backends.Encrypted}, {t.partial, backends.Partial}} {
		if matches(e.re, around) {
			told = true
			r.add(e.category, line)
		}
	}
	return told
}

// match is one match of an expression for names.
type match struct {
	name, kind string
	last       bool // the last one that is looked at, not the last one there is
}

func (t *table) names(re *regexp.Regexp, line []byte) (found []match) {
	if re == nil {
		return nil
	}
	name, kind := re.SubexpIndex("name"), re.SubexpIndex("kind")
	for i, groups := range re.FindAllSubmatch(line, mostMatches) {
		m := match{last: i == mostMatches-1}
		switch {
		case name > 0:
			m.name = string(groups[name])
		default:
			m.name = firstGroup(groups[1:])
		}
		m.name = strings.TrimSpace(m.name)
		m.kind = m.name
		if kind > 0 {
			m.kind = string(groups[kind])
		}
		found = append(found, m)
	}
	return found
}

func firstGroup(groups [][]byte) string {
	for _, g := range groups {
		if len(bytes.TrimSpace(g)) > 0 {
			return string(g)
		}
	}
	return ""
}

func matches(re *regexp.Regexp, text []byte) bool { return re != nil && re.Match(text) }

// bounded is text for a Detail or an error, raw.
func bounded(text string) string {
	text = strings.TrimSpace(text)
	return text[:min(len(text), mostDetail)]
}
