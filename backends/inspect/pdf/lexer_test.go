package pdf

import (
	"fmt"
	"testing"
)

func TestLexer(t *testing.T) {
	for text, want := range map[string]string{
		"1 ":                           "1",
		"-1.5":                         "-1.5",
		"1 0 R":                        "{1 0}",
		"[1 0 R 2 0 3 0 R]":            "[{1 0} 2 0 {3 0}]",
		"(a(b)c\\)\\101\\7x\\\n\\r)":   "a(b)c)A\ax\r",
		"<4 1 4>":                      "A@",
		"/A#20b/C":                     "A b",
		"<</A 1/B<</C[true false]>>>>": "map[A:1 B:map[C:[true false]]]",
		"<</A>>":                       "map[]",
		"<</A 1":                       "map[A:1]",
		"null":                         "<nil>",
		"% comment\r\n7":               "7",
		"word":                         "word",
		"99999999999999999999999":      "99999999999999999999999",
		"1 99999 R":                    "1",
		"nan":                          "nan",
		")":                            ")",
		"":                             "<nil>",
	} {
		l := lexer{b: []byte(text)}
		if got := fmt.Sprint(l.object(0)); got != want {
			t.Errorf("%q parsed to %q, want %q", text, got, want)
		}
	}
}

func FuzzLexer(f *testing.F) {
	f.Add([]byte("<< /A [1 0 R (b) <63>] /D null >>"))
	f.Fuzz(func(t *testing.T, data []byte) {
		l := lexer{b: data}
		l.object(0)
	})
}
