package config

import (
	"encoding"
	"strings"
	"testing"

	"polyclam/proxy"
)

func TestTypes(t *testing.T) {
	group, ports, pattern := func() encoding.TextUnmarshaler { return new(Group) },
		func() encoding.TextUnmarshaler { return new(Ports) }, func() encoding.TextUnmarshaler { return new(Pattern) }
	hash := func() encoding.TextUnmarshaler { return new(Hash) }
	for _, test := range []struct {
		kind       func() encoding.TextUnmarshaler
		text, want string // of the error; empty: none
	}{
		{group, "0", ""},
		{group, "root", ""},
		{group, "4294967296", "there is no group"},
		{group, "-1", "there is no group"},
		{group, "", "there is no group"},
		{ports, "", ""},
		{ports, "1-65535", ""},
		{ports, "3311-3311", ""},
		{ports, "1024", "is not a range of ports"},
		{ports, "2048-1024", "is not a range of ports"},
		{ports, "0-1024", "is not a range of ports"},
		{ports, "1024-65536", "is not a range of ports"},
		{ports, "1024 - 2048", "is not a range of ports"},
		{pattern, `^PUA\.`, ""},
		{pattern, "", "an empty expression matches every name"},
		{hash, "found", ""},
		{hash, "", "known: always, found, never"},
		{hash, "Found", "known: always, found, never"},
		{pattern, "(", "write a regular expression of RE2"},
	} {
		v := test.kind()
		err := v.UnmarshalText([]byte(test.text))
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%T %q: %v, want %q", v, test.text, err, test.want)
		}
	}
}

func TestHash(t *testing.T) {
	for line, want := range map[string]proxy.HashMode{
		"": proxy.HashFound, "sha256 = true": proxy.HashAlways, "sha256 = false": proxy.HashNever,
		`sha256 = "always"`: proxy.HashAlways, `sha256 = "found"`: proxy.HashFound, `sha256 = "never"`: proxy.HashNever,
	} {
		f := parsed(t, oneListener+oneEngine+"[log]\n"+line+"\n")
		if got := proxy.HashMode(f.Log.SHA256); got != want || f.Spool().Hash != (want == proxy.HashAlways) {
			t.Errorf("%q: mode %q, on arrival %v, want %q", line, got, f.Spool().Hash, want)
		}
	}
}
