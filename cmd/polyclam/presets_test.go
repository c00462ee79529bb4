package main

import (
	"strings"
	"testing"

	presets "polyclam/backends/command"
	"polyclam/cmd/internal/config"
)

func TestPresets(t *testing.T) {
	dir := t.TempDir()
	r := polyclam(t, dir, "presets")
	r.wantStatus(t, exitOK)
	for _, p := range presets.Presets() {
		if !strings.Contains(r.stdout, "\n"+p.Name+" ") {
			t.Errorf("the list lacks %s", p.Name)
		}
	}
	one := polyclam(t, dir, "presets", "sophos-sweep")
	one.wantStatus(t, exitOK)
	if _, err := config.Parse("pasted", []byte("[[listener]]\naddress = \"unix:/run/x.sock\"\n"+one.stdout+"[spool]\ndirectory = \"/var/spool/polyclam\"\n")); err != nil {
		t.Errorf("the output is not a valid configuration: %v\n%s", err, one.stdout)
	}
	unknown := polyclam(t, dir, "presets", "sophos-swep")
	unknown.wantStatus(t, exitFailed)
	wantParts(t, unknown.stderr, "sophos-sweep")
}
