package fsecure

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"polyclam/backends"
	"polyclam/backends/internal/texts"
)

// lineKind is the kind of a line of an answer.
type lineKind int

const (
	lineNoise  lineKind = iota
	lineNames           // names the path of the request
	lineMember          // names at most a member
	lineFinal
)

// scanned is the only line that ends an answer. The OK to a setting has a different text.
const scanned = "OK\tScan ok."

// firstWords says what the first word of a line means.
var firstWords = map[string]struct {
	category backends.Category // empty: none
	member   bool              // may name only a member
}{
	"CLEAN":             {backends.OK, false},
	"INFECTED":          {backends.Virus, false},
	"ARCHIVE_INFECTED":  {backends.Virus, true},
	"MIME_INFECTED":     {backends.Virus, true},
	"SUSPECTED":         {backends.Suspicious, false},
	"ARCHIVE_SUSPECTED": {backends.Suspicious, true},
	"MIME_SUSPECTED":    {backends.Suspicious, true},
	"RISKWARE":          {backends.Suspicious, false},
	"ARCHIVE_RISKWARE":  {backends.Suspicious, true},
	"MIME_RISKWARE":     {backends.Suspicious, true},
	scanFailure:         {backends.SWErr, true},
	"OPEN_ARCHIVE":      {"", true},
	"CLOSE_ARCHIVE":     {"", true},
}

const scanFailure = "SCAN_FAILURE"

// parse adds a line of an answer about path.
func parse(text, path string, keys texts.Keys, a *backends.Answer) (lineKind, error) {
	switch text {
	case scanned:
		return lineFinal, nil
	case "PING":
		return lineNoise, nil
	}
	fields := strings.Split(text, "\t")
	word, ok := firstWords[fields[0]]
	if !ok {
		return lineNoise, fmt.Errorf("unexpected answer %.200q", text)
	}
	kind := lineMember
	if len(fields) > 1 && (fields[1] == path || strings.HasPrefix(fields[1], path+"/")) {
		kind = lineNames
	}
	switch {
	case !word.member && kind != lineNames:
		return lineNoise, fmt.Errorf("unexpected answer %.200q, which is not about %q", text, path)
	case fields[0] == scanFailure:
		addFailure(fields, keys, a)
	case word.category == backends.OK && (len(fields) != 2 || fields[1] != path):
		return lineNoise, fmt.Errorf("unexpected answer %.200q", text)
	case word.category == backends.OK:
		a.Add(backends.OK, 0, "")
	case word.category != "":
		name := ""
		if len(fields) > 2 {
			name = strings.TrimSpace(fields[2])
		}
		a.Found(word.category, 1, name, "")
	}
	return kind, nil
}

// engineName matches the name of an engine after the text of a failure: " [FSE]".
var engineName = regexp.MustCompile(` \[[^\[\]]*\]$`)

// addFailure adds SCAN_FAILURE, the path, a number such as 0x12, and a text. No text is
// documented, so the line is a failure unless the site lists its text.
func addFailure(fields []string, keys texts.Keys, a *backends.Answer) {
	code, text := backends.NoCode, ""
	if len(fields) > 2 {
		if n, err := strconv.ParseUint(fields[2], 0, 31); err == nil {
			code = int(n)
		}
	}
	if len(fields) > 3 {
		text = strings.Join(fields[3:], " ")
	}
	if category := keys.Category(engineName.ReplaceAllString(text, "")); category != "" {
		a.Add(category, code, text)
		return
	}
	a.Add(backends.SWErr, code, "scan failure: "+text)
}
