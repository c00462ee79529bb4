package fsecure

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"polyclam/backends"
	"polyclam/backends/internal/line"
)

// lineKind says how a line goes on.
type lineKind int

const (
	lineNoise lineKind = iota
	lineNames          // it is about the path asked for
	lineFinal
)

// words are the first words of the lines.
var words = map[string]struct {
	kind     lineKind
	category backends.Category // empty: see parse
	member   bool              // may name a member only
}{
	"CLEAN":             {lineNames, backends.OK, false},
	"INFECTED":          {lineNames, backends.Virus, false},
	"ARCHIVE_INFECTED":  {lineNames, backends.Virus, true},
	"MIME_INFECTED":     {lineNames, backends.Virus, true},
	"SUSPECTED":         {lineNames, backends.Suspicious, false},
	"ARCHIVE_SUSPECTED": {lineNames, backends.Suspicious, true},
	"MIME_SUSPECTED":    {lineNames, backends.Suspicious, true},
	"RISKWARE":          {lineNames, backends.Suspicious, false},
	"ARCHIVE_RISKWARE":  {lineNames, backends.Suspicious, true},
	"MIME_RISKWARE":     {lineNames, backends.Suspicious, true},
	"SCAN_FAILURE":      {lineNames, "", true},
	"OPEN_ARCHIVE":      {lineNames, "", true},
	"CLOSE_ARCHIVE":     {lineNames, "", true},
	"PING":              {lineNoise, "", true},
	"OK":                {lineFinal, "", true},
}

// failures say what the text of SCAN_FAILURE amounts to. Everything else is SWErr.
var failures = []struct {
	text     *regexp.Regexp
	category backends.Category
}{
	{regexp.MustCompile(`(?i)licen[cs]e|expired|database|permission|access denied`), backends.SWErr},
	{regexp.MustCompile(`(?i)encrypt|password`), backends.Encrypted},
	{regexp.MustCompile(`(?i)corrupt|bomb|nest|limit|unsupported`), backends.Partial},
	{regexp.MustCompile(`(?i)time`), backends.Interrupted},
}

// parse counts a line of an answer about path.
func parse(text, path string, t *line.Tally) (lineKind, error) {
	fields := strings.Split(text, "\t")
	word, ok := words[fields[0]]
	if !ok {
		return lineNoise, fmt.Errorf("unexpected answer %.200q", text)
	}
	named := len(fields) > 1 && (fields[1] == path || strings.HasPrefix(fields[1], path+"/"))
	switch {
	case !word.member && !named:
		return lineNoise, fmt.Errorf("unexpected answer %.200q, which is not about %q", text, path)
	case fields[0] == "SCAN_FAILURE":
		addFailure(fields, t)
	case word.category == backends.OK && len(fields) == 2 && fields[1] == path:
		t.Add(backends.OK, 0, "")
	case word.category == backends.OK:
		return lineNoise, fmt.Errorf("unexpected answer %.200q", text)
	case word.category != "":
		name := ""
		if len(fields) > 2 {
			name = strings.TrimSpace(fields[2])
		}
		t.Found(word.category, 1, name, "")
	}
	if word.kind == lineNames && !named {
		return lineNoise, nil
	}
	return word.kind, nil
}

// addFailure counts SCAN_FAILURE, the path, a number such as 0x12, and a text.
func addFailure(fields []string, t *line.Tally) {
	code, text := backends.NoCode, ""
	if len(fields) > 2 {
		if n, err := strconv.ParseUint(fields[2], 0, 31); err == nil {
			code = int(n)
		}
	}
	if len(fields) > 3 {
		text = strings.Join(fields[3:], " ")
	}
	for _, f := range failures {
		if f.text.MatchString(text) {
			t.Add(f.category, code, text)
			return
		}
	}
	t.Add(backends.SWErr, code, "scan failure: "+text)
}
