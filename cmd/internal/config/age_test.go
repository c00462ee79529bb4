package config

import (
	"testing"
	"time"
)

func TestAge(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"7d": 7 * day, "36h": 36 * time.Hour, "1h30m": 90 * time.Minute, "0s": 0, "0d": 0, "never": 0, "36500d": 36500 * day,
	} {
		var a Age
		if err := a.UnmarshalText([]byte(text)); err != nil || time.Duration(a) != want {
			t.Errorf("%q is %v, %v, want %v", text, time.Duration(a), err, want)
		}
	}
}

// TestMaxSignatureAge checks that the key reaches the engine, and its default.
func TestMaxSignatureAge(t *testing.T) {
	if got := newEngine("a", "inspect").MaxSignatureAge; got != Age(7*day) {
		t.Errorf("the default is %v, want 7 days", time.Duration(got))
	}
	f, err := Parse("c.toml", []byte("[[engine]]\nname = \"a\"\nbackend = \"inspect\"\nmax_signature_age = \"never\"\n"))
	if err != nil || f.Engines[0].MaxSignatureAge != 0 {
		t.Errorf("got %+v, %v, want no limit", f, err)
	}
}
