package backendtest

import (
	"strings"
	"testing"
)

// goPhrases are texts of Go's runtime and of system calls that operators should not have
// to interpret.
var goPhrases = []string{
	"context deadline", "context canceled", "i/o timeout", "use of closed", "EOF", "dial unix", "dial tcp",
	"read unix", "read tcp", "write unix", "write tcp", ": connect:", "broken pipe",
	"no such host", "lookup ", "fork/exec", "deadline exceeded",
}

// WantPlain checks that err is not nil, and that its text has none of Go's own phrases.
func WantPlain(t testing.TB, err error) {
	t.Helper()
	if err == nil {
		t.Error("no error")
		return
	}
	for _, phrase := range goPhrases {
		if strings.Contains(err.Error(), phrase) {
			t.Errorf("%q contains %q", err, phrase)
			return
		}
	}
}

// plain replaces the text of an error.
type plain struct{ error }

func (plain) Error() string   { return "failed" }
func (p plain) Unwrap() error { return p.error }
