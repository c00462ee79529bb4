package suggest

import (
	"strings"
	"testing"
)

func TestNearest(t *testing.T) {
	known := []string{"address", "addresses", "max_scans", "timeout"}
	for word, want := range map[string]string{
		"adress": "address", "Address": "address", "max-scans": "max_scans", "maxscans": "max_scans",
		"time_out": "timeout", "colour": "", "": "", strings.Repeat("x", 1000): "",
	} {
		if got := Nearest(word, known); got != want {
			t.Errorf("Nearest(%.10q) = %q, want %q", word, got, want)
		}
	}
}

func TestUnknown(t *testing.T) {
	for _, test := range []struct {
		word  string
		known []string
		want  string
	}{
		{"adress", []string{"address"}, `unknown key "adress"; did you mean "address"?`},
		{"mdatp", []string{"a", "microsoft-mdatp"}, `unknown key "mdatp"; did you mean "microsoft-mdatp"?`},
		{"okay", []string{"virus", "ok"}, `unknown key "okay"; did you mean "ok"?`},
		{"viurs", []string{"virus", "ok"}, `unknown key "viurs"; did you mean "virus"?`},
		{"colour", []string{"a1", "b"}, `unknown key "colour"; known: a1, b`},
		{"colour", nil, `unknown key "colour"; there is none`},
	} {
		if got := Unknown("key", test.word, test.known); got != test.want {
			t.Errorf("Unknown(%q) = %q, want %q", test.word, got, test.want)
		}
	}
}
