package checker

import (
	"path"
	"strings"

	"polyclam/test/chaos/history"
)

// said is what a reply says about one object.
type said struct {
	word string // OK, FOUND, ERROR; empty: nothing
	name string // of the virus
}

// isMany reports whether a command may have a reply of several lines.
func isMany(q *history.Request) bool {
	switch q.Verb {
	case "CONTSCAN", "MULTISCAN", "ALLMATCHSCAN":
		return true
	}
	return len(q.Parts) > 1 || q.Verb[0] == 'X' || isDirectory(q)
}

// isDirectory reports whether the request names the directory of its objects.
func isDirectory(q *history.Request) bool {
	if len(q.Parts) == 0 || !path.IsAbs(q.Parts[0].Path) {
		return false
	}
	return path.Base(path.Dir(q.Parts[0].Path)) != "objects"
}

// isClean reports whether a line calls anything OK.
func isClean(line string) bool { return line == "OK" || strings.HasSuffix(line, ": OK") }

// isVerdict reports whether a line is a verdict.
func isVerdict(line string) bool { return isClean(line) || strings.HasSuffix(line, " FOUND") }

// stopsAtFound reports whether the command ends at the first finding.
func stopsAtFound(q *history.Request) bool {
	return q.Verb == "SCAN" || q.Verb == "XSCAN" || q.Verb == "ALLMATCHSCAN"
}

// word is the last word of a status line, and the name before it.
func word(text string) said {
	switch {
	case text == "OK":
		return said{"OK", ""}
	case strings.HasSuffix(text, " FOUND"):
		return said{"FOUND", strings.TrimSuffix(text, " FOUND")}
	}
	return said{"ERROR", text}
}

// statusLines are the lines of a reply without the records of polyclam's own verbs.
func statusLines(q *history.Request) []string {
	var lines []string
	for _, line := range q.Lines {
		record := strings.HasSuffix(line, " ENGINE") || strings.HasSuffix(line, " SUMMARY") || line == "END"
		if q.Verb[0] != 'X' || !record {
			lines = append(lines, line)
		}
	}
	return lines
}

// about is what a line says, if it is about this object.
func about(line string, p *history.Part) (said, bool) {
	switch p.Path {
	case "stream":
		text, ok := strings.CutPrefix(line, "stream: ")
		return word(text), ok
	case "fd":
		object, text, ok := strings.Cut(line, ": ")
		return word(text), ok && strings.HasPrefix(object, "fd[")
	}
	text, ok := strings.CutPrefix(line, p.Path+": ")
	return word(text), ok
}

// parse collects everything a reply says about each of its objects, and the lines about
// none of them.
func parse(q *history.Request) (each [][]said, other []said) {
	each = make([][]said, len(q.Parts))
	for _, line := range statusLines(q) {
		taken := false
		for i := range q.Parts {
			if s, ok := about(line, &q.Parts[i]); ok {
				each[i], taken = append(each[i], s), true
				break
			}
		}
		if !taken {
			other = append(other, directoryLine(q, line))
		}
	}
	return each, other
}

// directoryLine is a line about the directory of the objects, or about nothing.
func directoryLine(q *history.Request, line string) said {
	if isDirectory(q) {
		if text, ok := strings.CutPrefix(line, path.Dir(q.Parts[0].Path)+": "); ok {
			return word(text)
		}
	}
	if isVerdict(line) {
		return said{"?", line}
	}
	return said{"ERROR", line}
}
