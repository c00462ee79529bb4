package texts

import (
	"strings"
	"testing"

	"polyclam/backends"
)

func TestCategory(t *testing.T) {
	k := Keys{Encrypted: []string{"File is encrypted"}, Partial: []string{"Too deep"}}
	for text, want := range map[string]backends.Category{
		"File is encrypted": backends.Encrypted, "Too deep": backends.Partial,
		"": "", "file is encrypted": "", "File is encrypted.": "", " Too deep": "", "x: File is encrypted": "",
	} {
		if got := k.Category(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if got := new(Keys).Category(""); got != "" {
		t.Errorf("the empty text is %q", got)
	}
}

func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		keys Keys
		want string
	}{
		{Keys{}, ""},
		{Keys{Encrypted: []string{"File is encrypted"}, Partial: []string{"zu groß"}}, ""},
		{Keys{Encrypted: []string{""}}, "encrypted_texts"},
		{Keys{Partial: []string{"a\nb"}}, "partial_texts"},
		{Keys{Partial: []string{strings.Repeat("a", maxText+1)}}, "partial_texts"},
		{Keys{Encrypted: []string{"a"}, Partial: []string{"a"}}, "in encrypted_texts too"},
	} {
		err := tt.keys.Check()
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v, want %q", tt.keys, err, tt.want)
		}
	}
}
