package avast

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"polyclam/backends"
	"polyclam/backends/internal/line"
)

// errorTable says what "[E]" amounts to, by text or number. The first row that fits
// counts. Everything else is SWErr.
var errorTable = []struct {
	text     *regexp.Regexp // nil: any
	from, to int            // numbers, to included; 0, 0: any
	category backends.Category
	hint     string
}{
	// Before all others: an expired licence or broken virus definitions stop every
	// scan, whatever their numbers.
	{regexp.MustCompile(`(?i)licen[cs]e|expired|activat|subscription`), 0, 0, backends.SWErr, hintLicence},
	{regexp.MustCompile(`(?i)\bvps\b|virus definition|database|\bengine\b`), 0, 0, backends.SWErr, ""},
	{regexp.MustCompile(`(?i)password[- ]?protected|encrypted`), 0, 0, backends.Encrypted, ""},
	{nil, 13, 13, backends.SWErr, hintPath},
	{regexp.MustCompile(`(?i)decompression bomb|corrupt`), 0, 0, backends.Partial, ""},
	{nil, 41120, 41120, backends.Partial, ""},
	{nil, 42000, 42999, backends.Partial, ""}, // of the unpackers, 42110 is a bomb
}

// What an administrator can do about it.
const (
	hintPath    = "avast cannot read the file: its user needs access to it and to every directory above, see [spool]"
	hintLicence = "check the licence of avast"
)

// statuses say what a number instead of an answer means.
var statuses = map[int]string{
	451: "the whole request failed",
	466: hintLicence,
	501: "avast does not take the command",
}

// parse counts a line of an answer about path.
func parse(text, path string, t *line.Tally) error {
	fields := strings.SplitN(text, "\t", 3)
	object, ok := strings.CutPrefix(fields[0], "SCAN ")
	if object = unescape(object); !ok || len(fields) < 2 || object != path && !strings.HasPrefix(object, path+"|>") {
		return unexpected(text)
	}
	rest := ""
	if len(fields) == 3 {
		rest = fields[2]
	}
	marker, depth, ok := strings.Cut(fields[1], "]")
	if !ok || depth != "" && !depthPattern.MatchString(depth) {
		return unexpected(text)
	}
	switch marker {
	case "[+":
		if rest != "" {
			return unexpected(text)
		}
		t.Add(backends.OK, 0, "")
	case "[L":
		name := unescape(rest)
		if _, after, ok := strings.Cut(name, " "); ok && strings.HasPrefix(name, "0 ") {
			name = after
		}
		t.Found(backends.Virus, 1, name, "")
	case "[E":
		addError(unescape(rest), t)
	default:
		return unexpected(text)
	}
	return nil
}

// depthPattern is how deep the member is nested, and a number that is not known.
var depthPattern = regexp.MustCompile(`^\d{1,4}\.\d{1,4}$`)

var errorPattern = regexp.MustCompile(`^Error (\d{1,9}) `)

// addError counts what stands behind "[E]".
func addError(text string, t *line.Tally) {
	code := backends.NoCode
	number := 0
	if m := errorPattern.FindStringSubmatch(text + " "); m != nil {
		number, _ = strconv.Atoi(m[1]) // nine digits at most
		code = number
	}
	for _, row := range errorTable {
		inRange := row.from == 0 || number >= row.from && number <= row.to
		if inRange && (row.text == nil || row.text.MatchString(text)) {
			if row.hint != "" {
				text += " (" + row.hint + ")"
			}
			t.Add(row.category, code, text)
			return
		}
	}
	t.Add(backends.SWErr, code, text)
}

// unescape takes the backslash from each escaped character.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// refused is a number where another one was to come.
func refused(text string) error {
	code, _ := line.Status(text, " ")
	if code < 300 {
		return unexpected(text)
	}
	failure := &backends.Failure{Category: backends.SWErr, Code: code, Text: fmt.Sprintf("%.300s", text)}
	if hint := statuses[code]; hint != "" {
		return fmt.Errorf("%w (%s)", failure, hint)
	}
	return failure
}

func unexpected(text string) error { return fmt.Errorf("unexpected answer %.200q", text) }

func isNumber(s string, most int) bool {
	for _, r := range s {
		if r < '0' || r > '9' {
			return false
		}
	}
	return s != "" && len(s) <= most
}
