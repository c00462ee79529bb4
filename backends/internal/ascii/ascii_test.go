package ascii

import (
	"strings"
	"testing"
)

func TestStatus(t *testing.T) {
	for text, want := range map[string]struct {
		code int
		rest string
	}{
		"200": {200, ""}, "200 ": {200, ""}, "200  OK ": {200, "OK"}, "322-X y": {322, "X y"},
		"": {0, ""}, "20": {0, "20"}, "2000 OK": {0, "2000 OK"}, "20x OK": {0, "20x OK"}, "-20 OK": {0, "-20 OK"}, "200_OK": {0, "200_OK"},
	} {
		if code, rest := Status(text, " -"); code != want.code || rest != want.rest {
			t.Errorf("%q: %d, %q", text, code, rest)
		}
	}
	if code, _ := Status("322-X", " "); code != 0 {
		t.Error("Status accepts another separator")
	}
}

func TestWords(t *testing.T) {
	for s, want := range map[string][2]bool{
		"A_b9": {true, true}, "": {}, "a b": {}, "a\n": {}, "a-b": {false, true}, "é": {}, "\x7f": {}, "a\x00": {},
		strings.Repeat("a", 65): {false, true}, strings.Repeat("a", 101): {},
	} {
		if got := [2]bool{IsWord(s), IsPrintable(s)}; got != want {
			t.Errorf("%q: %v", s, got)
		}
	}
}
