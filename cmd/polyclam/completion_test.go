package main

import (
	"strings"
	"testing"
)

func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		r := polyclam(t, "", "completion", shell)
		r.wantStatus(t, exitOK)
		wantParts(t, r.stdout, "polyclam", "__complete")
		wantParts(t, r.stderr)
	}
	for _, c := range []struct {
		words     string // separated by "|"; the last is being completed
		want      []string
		directive string // of cobra: 0 files, 4 no files, 8 files with these suffixes, 16 directories
	}{
		{"s", []string{"scan", "status"}, ":4"},
		{"scan|", nil, ":0"},
		{"scan|--j", []string{"--jobs", "--json"}, ":4"},
		{"scan|--jobs|", nil, ":4"},
		{"ping|", nil, ":4"},
		{"check|", nil, ":0"},
		{"check|c.toml|", nil, ":4"},
		{"--config|", nil, ":0"},
		{"--address|", []string{"unix:/", "tcp:", "tls:"}, ":2"},
		{"presets|sophos-sw", []string{"sophos-sweep"}, ":4"},
		{"presets|sophos-sweep|sophos-sw", nil, ":4"},
		{"profiles|mi", []string{"milter", "mimedefang"}, ":4"},
		{"cache|", []string{"stats", "flush"}, ":4"},
		{"cache|flush|", nil, ":4"},
		{"cache|flush|--sh", []string{"--shared"}, ":4"},
		{"init|--with|so", []string{"sophos-savscan", "sophos-savscan-eec", "sophos-spl-avscanner", "sophos-sweep", "sophie"}, ":4"},
		{"init|--output|", []string{"toml"}, ":8"},
		{"init|--root|", nil, ":16"},
		{"help|check", []string{"check"}, ":4"},
		{"completion|", []string{"bash", "zsh", "fish"}, ":4"},
	} {
		r := polyclam(t, "", append([]string{"__complete"}, strings.Split(c.words, "|")...)...)
		r.wantStatus(t, exitOK)
		var got []string
		for line := range strings.Lines(r.stdout) {
			word, _, _ := strings.Cut(strings.TrimSpace(line), "\t") // a description follows
			got = append(got, word)
		}
		if want := strings.Join(append(c.want, c.directive), " "); strings.Join(got, " ") != want {
			t.Errorf("%q completes to %q, want %q", c.words, got, want)
		}
		if strings.Contains(r.stdout, "`") {
			t.Errorf("%q: a description has backquotes: %q", c.words, r.stdout)
		}
	}
}
