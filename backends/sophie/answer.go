package sophie

import (
	"fmt"
	"regexp"
	"strings"

	"polyclam/backends"
)

// texts says what the texts behind -1 amount to. They are the engine's own messages,
// "File was encrypted". A text that is not here is SWErr. Partial: nothing went wrong
// and no retry helps.
var texts = []struct {
	re       *regexp.Regexp
	category backends.Category
	hint     string
}{
	{regexp.MustCompile(`(?i)encrypted|password`), backends.Encrypted, ""},
	{regexp.MustCompile(`(?i)corrupt|not supported|compressed`), backends.Partial, ""},
	{regexp.MustCompile(`(?i)could not open|permission denied|no such file`), backends.SWErr, "the daemon cannot read the file: its user needs access to it and to every directory above"},
}

// maxText bounds names and details.
const maxText = 512

// parse is the answer table, for a line without its end. What is not in it is an
// error, not a pass.
func parse(line string) (backends.Result, error) {
	code, text, _ := strings.Cut(line, ":")
	text = text[:min(len(text), maxText)]
	switch {
	case code == "0" && text == "":
		return backends.Clean(0), nil
	case code == "1" && text == "":
		return backends.Found(1), nil
	case code == "1":
		return backends.Found(1, text), nil
	case code == "-1":
		return unscanned(text)
	}
	return backends.Result{}, fmt.Errorf("unexpected answer %.200q", line)
}

// unscanned maps the text of an answer -1.
func unscanned(text string) (backends.Result, error) {
	if text == "" {
		return backends.Result{}, &backends.Failure{Category: backends.SWErr, Code: -1, Text: "-1, without a reason (see error_strings in its configuration)"}
	}
	for _, row := range texts {
		switch {
		case !row.re.MatchString(text):
		case row.category.IsFailure():
			return backends.Result{}, &backends.Failure{Category: row.category, Code: -1, Text: text + " (" + row.hint + ")"}
		default:
			return backends.Result{Category: row.category, Code: -1, Detail: text}, nil
		}
	}
	return backends.Result{}, &backends.Failure{Category: backends.SWErr, Code: -1, Text: text}
}
