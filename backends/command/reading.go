package command

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"polyclam/backends"
)

// The bounds of what is looked at and kept of an output.
const (
	mostMatches  = 16 // of one expression in a line
	mostFindings = 50
	mostName     = 256
	mostDetail   = 512
	mostQuoted   = 100
)

// reading is what the lines of an output say. What they find and the failures they
// report go into the answer.
type reading struct {
	table  *table
	code   int
	answer *backends.Answer

	found    bool // something in the object: virus, suspicious, encrypted or partial
	disliked bool // by virus_regex, whatever the name says, or something suspicious
	ok       bool // ok_regex matched
	silent   bool // nothing was printed, which is enough for an exit status that is ok
	names    []backends.Finding
	failures []backends.Category

	complaints int      // lines that say why something was not scanned
	counts     []string // lines that only say how many complaints there are

	unknown      string // the first line that nothing explains
	unknownLines int
}

// finding is one match of an expression for names.
type finding struct {
	name, kind string
	last       bool // the last one that is looked at, not the last one there is
}

// read reads all lines. The error is that of ctx.
func (r *reading) read(ctx context.Context, t text) error {
	var lines []string
	var explained []bool
	for _, row := range t.rows {
		if ctx.Err() != nil {
			return ended(ctx)
		}
		for _, line := range row.lines {
			lines = append(lines, line)
			explained = append(explained, r.line(line))
		}
		for _, line := range append(row.titles, row.shown) {
			r.detect(line, surrounded(line))
		}
	}
	r.checkCounts()
	covered := r.covered(lines)
	for i, line := range lines {
		if ctx.Err() != nil {
			return ended(ctx)
		}
		harmless := covered[i] || matches(r.table.ignore, line)
		if !explained[i] && !(harmless && r.table.unlikeFindings(line)) {
			r.doubt(line)
		}
	}
	return nil
}

// findings reads only what the lines find: for an output whose end is missing.
func (r *reading) findings(t text) {
	for _, row := range t.rows {
		for _, line := range slices.Concat(row.lines, row.titles, []string{row.shown}) {
			if text := surrounded(line); !r.detect(line, text) {
				r.limits(line, text)
			}
		}
	}
}

// line reads one line, and reports whether it is one that finds something or
// complains.
func (r *reading) line(line string) bool {
	text := surrounded(line)
	detected := r.detect(line, text)
	limited := r.limits(line, text)
	if limited {
		r.complaints++
	}
	if limited || detected {
		return true
	}
	switch {
	case matches(r.table.cannot, text):
		r.fail(backends.CannotExecute, "cannot reach its engine", line)
	case count(r.table.failure, text) != "":
		r.counts = append(r.counts, line)
	case matches(r.table.failure, text):
		r.complaints++
		r.fail(backends.SWErr, "reported a failure", line)
	default:
		return false
	}
	return true
}

// count is what the group "count" of an expression matches.
func count(re *regexp.Regexp, text string) string {
	if re == nil || re.SubexpIndex("count") < 0 {
		return ""
	}
	groups := re.FindStringSubmatch(text)
	if groups == nil {
		return ""
	}
	return groups[re.SubexpIndex("count")]
}

// checkCounts takes a number of complaints as a failure if not all of them have a line.
func (r *reading) checkCounts() {
	for _, line := range r.counts {
		n, err := strconv.Atoi(count(r.table.failure, surrounded(line)))
		if err != nil || n > r.complaints {
			r.fail(backends.SWErr, "reported more failures than it named", line)
		}
	}
}

// detect looks for viruses and what is suspicious.
func (r *reading) detect(line, text string) (detected bool) {
	if line == "" {
		return false
	}
	t := r.table
	for _, f := range t.names(t.virus, text) {
		detected = true
		r.add(t.category(f.name, f.kind), f.name, line)
		if f.last {
			r.add(backends.Virus, "", line) // there may be more, and one may be worse
		}
	}
	if matches(t.flag, text) {
		detected = true
		r.add(backends.Virus, "", line)
	}
	for _, f := range t.names(t.suspicious, text) {
		detected = true
		r.add(backends.Suspicious, f.name, line)
	}
	r.disliked = r.disliked || detected
	return detected
}

// limits looks for what the program could not scan, and never will.
func (r *reading) limits(line, text string) (limited bool) {
	if matches(r.table.encrypted, text) {
		limited = true
		r.add(backends.Encrypted, "", line)
	}
	if matches(r.table.partial, text) {
		limited = true
		r.add(backends.Partial, "", line)
	}
	return limited
}

// add takes a finding: each name once, and none without a name beside one of its
// category.
func (r *reading) add(c backends.Category, name, line string) {
	r.found = true
	f := backends.Finding{Name: name[:min(len(name), mostName)], Category: c}
	if len(r.names) >= mostFindings {
		f.Name = ""
	}
	if slices.Contains(r.names, f) || f.Name == "" && r.has(c) {
		return
	}
	r.names = append(r.names, f)
	r.answer.Named(c, r.code, f.Name, bounded(line))
}

// has reports whether something of this category was found.
func (r *reading) has(c backends.Category) bool {
	return slices.ContainsFunc(r.names, func(f backends.Finding) bool { return f.Category == c })
}

// fail takes the first complaint of a kind.
func (r *reading) fail(c backends.Category, what, line string) {
	if !slices.Contains(r.failures, c) {
		r.failures = append(r.failures, c)
		r.answer.Add(c, r.code, r.table.says("%s, exit status %d: %s", what, r.code, quoted(line)))
	}
}

func (r *reading) doubt(line string) {
	if r.unknownLines++; r.unknownLines == 1 {
		r.unknown = line
	}
}

// covered says which of the lines ok_regex matches: it may want several at a time.
func (r *reading) covered(lines []string) []bool {
	covered := make([]bool, len(lines))
	if r.table.ok == nil {
		return covered
	}
	all := strings.Join(lines, "\n")
	spans := r.table.ok.FindAllStringSubmatchIndex(all, -1)
	spans = slices.DeleteFunc(spans, func(span []int) bool { return !agree(r.table.ok, all, span) })
	r.ok = len(spans) > 0
	r.silent = r.table.okSilent && len(lines) == 0
	begin := 0
	for i, line := range lines {
		end := begin + len(line)
		for len(spans) > 0 && spans[0][1] <= begin {
			spans = spans[1:]
		}
		covered[i] = len(spans) > 0 && spans[0][0] <= begin && end <= spans[0][1]
		begin = end + 1
	}
	return covered
}

// agree reports whether all named groups of a match are the same text: the number of
// objects and that of clean ones.
func agree(re *regexp.Regexp, text string, span []int) bool {
	first := ""
	for i, name := range re.SubexpNames() {
		if name == "" || span[2*i] < 0 {
			continue
		}
		group := text[span[2*i]:span[2*i+1]]
		if first != "" && group != first {
			return false
		}
		first = group
	}
	return true
}

// surrounded is a line with its ends, so that \s matches there as it does in the
// middle.
func surrounded(line string) string { return "\n" + line + "\n" }

// bounded is text for a Detail or an error, raw.
func bounded(text string) string {
	text = strings.TrimSpace(text)
	return text[:min(len(text), mostDetail)]
}

// quoted is the beginning of a line for a message.
func quoted(line string) string {
	line = strings.TrimSpace(line)
	if line == "" {
		return "it printed nothing"
	}
	return fmt.Sprintf("%q", line[:min(len(line), mostQuoted)])
}
