package main

import (
	"reflect"
	"strings"
	"testing"

	"polyclam/cmd/internal/config"
	"polyclam/proxy/status"
)

// TestProfiles has every profile listed, and printed so that what is pasted means
// the same with the keys written out and without.
func TestProfiles(t *testing.T) {
	dir := t.TempDir()
	list := polyclam(t, dir, "profiles")
	list.wantStatus(t, exitOK)
	for _, name := range status.Names() {
		if !strings.Contains(list.stdout, "\n"+name+" ") {
			t.Errorf("the list lacks %s", name)
		}
		one := polyclam(t, dir, "profiles", name)
		one.wantStatus(t, exitOK)
		wantParts(t, strings.ReplaceAll(one.stdout, "\n# ", " "), status.About(name), status.OnFound(name))
		want, _ := status.Lookup(name)
		for _, text := range []string{one.stdout, uncommented(one.stdout)} {
			f, err := config.Parse("pasted", []byte(text+"[[engine]]\nname = \"inspect\"\nbackend = \"inspect\"\n"))
			if err != nil {
				t.Fatalf("%s: what is printed is no configuration: %v\n%s", name, err, text)
			}
			if got := f.Listeners[0].Profile(); !reflect.DeepEqual(got, want) {
				t.Errorf("%s: pasted it is %+v, want %+v", name, got, want)
			}
		}
	}
	wantParts(t, list.stdout, "rspamd        limits", "encrypted = quarantine, partial = quarantine")
	unknown := polyclam(t, dir, "profiles", "sendmail")
	unknown.wantStatus(t, exitFailed)
	wantParts(t, unknown.stderr, `"sendmail"`, "mimedefang, rspamd")
}

// uncommented has the keys of a printed profile in force.
func uncommented(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if rest, ok := strings.CutPrefix(line, "#"); ok && !strings.HasPrefix(rest, " ") {
			lines[i] = rest
		}
	}
	return strings.Join(lines, "\n")
}
