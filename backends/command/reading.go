package command

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"polyclam/backends"
	"polyclam/backends/internal/ended"
)

// Limits on what is evaluated and kept.
const (
	maxMatches  = 16 // of one expression in one line
	maxFindings = 50
	maxName     = 256
	maxDetail   = 512
	maxQuoted   = 100
)

// reading evaluates the lines of an output. Findings and failures go into the answer.
type reading struct {
	table  *table
	code   int
	answer *backends.Answer

	found     bool // a line means virus, suspicious, encrypted or partial
	malicious bool // a line matched virus_regex, whatever the name means, or suspicious_regex
	ok        bool // ok_regex matched
	silent    bool // there was no output, which ok_silent accepts
	names     []backends.Finding
	failures  []backends.Category

	complaints int      // lines about something that was not scanned
	counts     []string // lines that only count such complaints

	unknown      string // first line that no key explains
	unknownLines int
}

// finding is one match of an expression for names.
type finding struct {
	name, kind string
	last       bool // the last one evaluated; there may be more
}

// read evaluates all lines. It returns an error only if ctx ends.
func (r *reading) read(ctx context.Context, t text) error {
	var lines []string
	var explained []bool
	for _, row := range t.rows {
		if ctx.Err() != nil {
			return ended.Context(ctx)
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
			return ended.Context(ctx)
		}
		harmless := covered[i] || matches(r.table.ignore, line)
		if !explained[i] && !(harmless && r.table.looksHarmless(line)) {
			r.addUnknown(line)
		}
	}
	return nil
}

// findings evaluates only lines that are findings, for an output that may be incomplete.
func (r *reading) findings(t text) {
	for _, row := range t.rows {
		for _, line := range slices.Concat(row.lines, row.titles, []string{row.shown}) {
			if text := surrounded(line); !r.detect(line, text) {
				r.limits(line, text)
			}
		}
	}
}

// line evaluates one line, and reports whether it is a finding or failure.
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

// count returns what the group "count" of re matches in text.
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

// checkCounts adds a failure if the program counted more complaints than it printed.
func (r *reading) checkCounts() {
	for _, line := range r.counts {
		n, err := strconv.Atoi(count(r.table.failure, surrounded(line)))
		if err != nil || n > r.complaints {
			r.fail(backends.SWErr, "reported more failures than it listed", line)
		}
	}
}

// detect looks for viruses and suspicious findings.
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
	r.malicious = r.malicious || detected
	return detected
}

// limits looks for parts that the program could not scan.
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

// add adds a finding: each name once, and one without a name only if its category is new.
func (r *reading) add(c backends.Category, name, line string) {
	r.found = true
	f := backends.Finding{Name: name[:min(len(name), maxName)], Category: c}
	if len(r.names) >= maxFindings {
		f.Name = ""
	}
	if slices.Contains(r.names, f) || f.Name == "" && r.has(c) {
		return
	}
	r.names = append(r.names, f)
	r.answer.Named(c, r.code, f.Name, bounded(line))
}

// has reports whether there is a finding of this category.
func (r *reading) has(c backends.Category) bool {
	return slices.ContainsFunc(r.names, func(f backends.Finding) bool { return f.Category == c })
}

// fail adds the first failure of each category.
func (r *reading) fail(c backends.Category, what, line string) {
	if !slices.Contains(r.failures, c) {
		r.failures = append(r.failures, c)
		r.answer.Add(c, r.code, r.table.messagef("%s, exit status %d: %s", what, r.code, quoted(line)))
	}
}

func (r *reading) addUnknown(line string) {
	if r.unknownLines++; r.unknownLines == 1 {
		r.unknown = line
	}
}

// covered reports for each line whether ok_regex matches it, alone or with others.
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

// agree reports whether all named groups of a match have the same text, such as the
// numbers of all objects and of clean ones.
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

// surrounded adds line feeds, so that \s also matches at the ends of a line.
func surrounded(line string) string { return "\n" + line + "\n" }

// bounded truncates text for a Detail or an error.
func bounded(text string) string {
	text = strings.TrimSpace(text)
	return text[:min(len(text), maxDetail)]
}

// quoted returns the beginning of a line for a message.
func quoted(line string) string {
	line = strings.TrimSpace(line)
	if line == "" {
		return "it printed nothing"
	}
	return fmt.Sprintf("%q", line[:min(len(line), maxQuoted)])
}
