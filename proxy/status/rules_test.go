package status

import (
	"fmt"
	"regexp"
	"strings"

	"polyclam/backends"
	"polyclam/proxy/policy"
)

// The rules that every line obeys. They come from what clients were seen to accept, not
// from the code under test.

const (
	tokenRE  = `[A-Za-z0-9._/+{}#@!=~-]+`
	detailRE = `\(code=-?[0-9]+/category=[a-z-]+/action=[a-z]+(?:/engine=` + tokenRE + `)?\)`
)

var (
	plainName    = regexp.MustCompile(`^` + tokenRE + `$`)
	extendedName = regexp.MustCompile(`^` + tokenRE + `(?:` + detailRE + `)?$`)
	plainText    = regexp.MustCompile(`^[A-Za-z0-9._/+{}#@!=~,'-]+(?: [A-Za-z0-9._/+{}#@!=~,'-]+)*$`)
	detailAtEnd  = regexp.MustCompile(` ` + detailRE + `$`)
	annotation   = regexp.MustCompile(`^code=-?[0-9]+/category=[a-z-]+/action=ok(?:/engine=` + tokenRE + `)? OK$`)
)

var magicPhrases = []string{
	"size limit", "zip module failure", "rar module failure", "not supported data format", "access denied.",
	"no such file or directory", "can't open file or directory", "permission denied", "command read timed out",
	"unknown command", "command unavailable",
}

// effective returns the action and category with which a verdict is answered: unknown ones
// are a failure.
func effective(v policy.Verdict) (policy.Action, backends.Category) {
	switch {
	case v.Action.Valid() && v.Category.Valid():
		return v.Action, v.Category
	case v.Action == policy.Quarantine:
		return v.Action, backends.SWErr
	}
	return policy.Tempfail, backends.SWErr
}

// broken returns the rule that a reply breaks; empty: none.
func broken(p Profile, object string, v policy.Verdict, r Reply) string {
	action, category := effective(v)
	if object == "" {
		object = "stream"
	}
	path := object != "stream" && !strings.HasPrefix(object, "fd[")
	limit := 128
	if path {
		limit = 256
	}
	// The shortest useful line: "object: x FOUND" and a terminator.
	fits := len(object)+2+1+6+1 <= limit
	if r.Close {
		closes := action == policy.Tempfail && p.ErrorStyle == StyleClose
		overlong := action != policy.OK && p.UnknownIsClean && path && !fits
		if r.Text != "" || !closes && !overlong {
			return "closes"
		}
		return ""
	}
	rest, ok := strings.CutPrefix(r.Text, object+": ")
	if !ok {
		return "does not start with the object"
	}
	for _, c := range []byte(rest) {
		if c < 0x20 || c > 0x7e {
			return fmt.Sprintf("has the byte %#x", c)
		}
	}
	if fits && action != policy.OK && len(r.Text)+1 > limit {
		return fmt.Sprintf("is %d bytes long", len(r.Text)+1)
	}
	if !fits && p.UnknownIsClean && action != policy.OK && path {
		return "is too long for the client"
	}
	switch {
	case action == policy.OK && category != backends.OK && p.Form == Annotated && rest != "OK":
		return brokenAnnotation(rest, len(r.Text)+1 > limit)
	case action == policy.OK:
		if rest != "OK" {
			return "is not the clean line"
		}
		return ""
	case action == policy.Tempfail && p.ErrorStyle == StyleError:
		return brokenError(p, rest)
	case action == policy.Tempfail && p.ErrorStyle == StyleClose:
		return "does not close"
	}
	return brokenFound(p, rest)
}

func brokenAnnotation(rest string, long bool) string {
	switch {
	case long:
		return "is annotated though too long"
	case !annotation.MatchString(rest):
		return "has no annotation"
	case strings.Contains(rest, "FOUND"), strings.Contains(rest, "ERROR"), strings.Count(rest, "OK") != 1:
		return "has a word twice"
	}
	return ""
}

func brokenFound(p Profile, rest string) string {
	name, ok := strings.CutSuffix(rest, " FOUND")
	want := plainName
	if p.Form != Plain {
		want = extendedName
	}
	switch {
	case !ok:
		return "does not end in FOUND"
	case !want.MatchString(name):
		// The detail must be complete or missing.
		return "has no name of one token"
	case strings.Contains(name, "FOUND"):
		return "has FOUND in the name"
	case strings.HasPrefix(name, "OK"):
		return "starts like a clean line"
	}
	return ""
}

func brokenError(p Profile, rest string) string {
	text, ok := strings.CutSuffix(rest, " ERROR")
	if !ok {
		return "does not end in ERROR"
	}
	for _, w := range []string{"OK", "FOUND", "ERROR", ":"} {
		if strings.Contains(text, w) {
			return "has " + w + " in the text"
		}
	}
	if p.Form != Plain {
		if at := detailAtEnd.FindStringIndex(text); at != nil {
			text = text[:at[0]]
		}
	}
	for _, m := range magicPhrases {
		if strings.Contains(strings.ToLower(text), m) {
			return "has the words " + m
		}
	}
	switch {
	case !plainText.MatchString(text):
		return "has a text that is not plain"
	case len(text) > 90:
		return "has a long text"
	}
	return ""
}

// misread returns the client that does not read a reply as the verdict's action says; empty:
// none. Errors may be read as infected. Clients that let every ERROR pass are left out
// for errors: TestPresetsFitTheirClients checks that their presets send none.
func misread(p Profile, object string, v policy.Verdict, r Reply) string {
	if r.Close {
		return ""
	}
	action, category := effective(v)
	annotated := p.Form == Annotated && action == policy.OK && category != backends.OK
	isError := action == policy.Tempfail && p.ErrorStyle == StyleError
	for _, c := range clients {
		if c.streamOnly && object != "stream" || annotated && c.wantsBareOK || isError && c.failsOpen {
			continue
		}
		if c.name == "MIMEDefang" && len(r.Text)+1 > 256 && !p.UnknownIsClean {
			continue // its own profile prevents this
		}
		got := c.read(r.Text)
		want := readInfected
		switch {
		case action == policy.OK:
			want = readClean
		case isError && got == readInfected:
			continue
		case isError:
			want = readError
		}
		if got != want {
			return fmt.Sprintf("%s reads %q, want %q", c.name, got, want)
		}
	}
	return ""
}
