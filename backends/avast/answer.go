package avast

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"polyclam/backends"
	"polyclam/backends/internal/ascii"
	"polyclam/backends/internal/texts"
)

// errorTexts maps the documented texts of "[E]" that are not failures, whatever the
// number. Only a whole text counts: with an expired licence every answer is [E], and
// "Sandbox state is corrupt" is a failure.
var errorTexts = map[string]backends.Category{
	"Archive is password protected":    backends.Encrypted,
	"The file is a decompression bomb": backends.Partial,
}

// Hints for the administrator.
const (
	hintPath    = "avast cannot read the file: its user needs access to it and to every directory above, see [spool]"
	hintLicence = "check the licence of avast"
)

// permissionDenied is the [E] number for an unreadable file.
const permissionDenied = 13

var licence = regexp.MustCompile(`(?i)licen[cs]e|expired|activat|subscription`)

// statuses explains the numbers that replace an answer.
var statuses = map[int]string{
	451: "the whole request failed",
	466: hintLicence,
	501: "avast does not know the command",
}

// parse adds a line of an answer about path.
func parse(text, path string, keys texts.Keys, a *backends.Answer) error {
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
		a.Add(backends.OK, 0, "")
	case "[L":
		name := unescape(rest)
		if _, after, ok := strings.Cut(name, " "); ok && strings.HasPrefix(name, "0 ") {
			name = after
		}
		a.Found(backends.Virus, 1, name, "")
	case "[E":
		addError(unescape(rest), keys, a)
	default:
		return unexpected(text)
	}
	return nil
}

// depthPattern matches the depth of a member and a number of unknown meaning.
var depthPattern = regexp.MustCompile(`^\d{1,4}\.\d{1,4}$`)

var errorPattern = regexp.MustCompile(`^Error (\d{1,9}) (.*)$`)

// addError adds the text after "[E]".
func addError(text string, keys texts.Keys, a *backends.Answer) {
	code, reason := backends.NoCode, ""
	if m := errorPattern.FindStringSubmatch(text); m != nil {
		code, _ = strconv.Atoi(m[1]) // nine digits at most
		reason = m[2]
	}
	category := errorTexts[reason]
	if category == "" {
		category = keys.Category(reason)
	}
	if category == "" {
		category = backends.SWErr
		switch {
		case code == permissionDenied:
			text += " (" + hintPath + ")"
		case licence.MatchString(text):
			text += " (" + hintLicence + ")"
		}
	}
	a.Add(category, code, text)
}

// unescape removes the backslash of each escaped character.
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

// refused returns the error for an unexpected number.
func refused(text string) error {
	code, _ := ascii.Status(text, " ")
	if code < 300 {
		return unexpected(text)
	}
	if hint := statuses[code]; hint != "" {
		text = fmt.Sprintf("%.300s (%s)", text, hint)
	}
	return &backends.Failure{Category: backends.SWErr, Code: code, Text: fmt.Sprintf("%.500s", text)}
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
