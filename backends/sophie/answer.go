package sophie

import (
	"fmt"
	"regexp"
	"strings"

	"polyclam/backends"
)

// encrypted is SAVI's text for its code 0212, as savdid prints it.
const encrypted = "File was encrypted"

// unreadable matches the texts of a daemon that cannot read the file. A match only adds a
// hint.
var unreadable = regexp.MustCompile(`(?i)could not open|permission denied|no such file`)

const hintRead = " (the daemon cannot read the file: its user needs access to it and to every directory above)"

// parse is the answer table, for a line without its line break. Any other line is an
// error.
func (b *Backend) parse(line string, a *backends.Answer) error {
	code, text, _ := strings.Cut(line, ":")
	switch {
	case code == "0" && text == "":
		a.Add(backends.OK, 0, "")
	case code == "1":
		a.Found(backends.Virus, 1, text, "")
	case code == "-1":
		b.unscanned(text, a)
	default:
		return fmt.Errorf("unexpected answer %.200q", line)
	}
	return nil
}

// unscanned adds the text of a -1 answer.
func (b *Backend) unscanned(text string, a *backends.Answer) {
	category := b.texts.Category(text)
	switch {
	case text == encrypted:
		category = backends.Encrypted
	case category != "":
	case text == "":
		category, text = backends.SWErr, "-1 without a reason (see error_strings in the daemon's configuration)"
	default:
		category = backends.SWErr
		if unreadable.MatchString(text) {
			text += hintRead
		}
	}
	a.Add(category, -1, text)
}
