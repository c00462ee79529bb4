package main

import (
	"reflect"
	"strings"
	"testing"

	"polyclam/cmd/internal/config"
	"polyclam/proxy/status"
)

// TestProfiles checks that every profile is listed, and that its printed table means the same with
// and without the keys in comments.
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
				t.Fatalf("%s: the output is not a valid configuration: %v\n%s", name, err, text)
			}
			if got := f.Listeners[0].Profile(); !reflect.DeepEqual(got, want) {
				t.Errorf("%s: pasted, the profile is %+v, want %+v", name, got, want)
			}
		}
	}
	wantParts(t, list.stdout, "rspamd        limits", "encrypted = quarantine, partial = quarantine")
	unknown := polyclam(t, dir, "profiles", "sendmail")
	unknown.wantStatus(t, exitFailed)
	wantParts(t, unknown.stderr, `"sendmail"`, "mimedefang, rspamd")
}

// uncommented returns a printed table with the commented keys active.
func uncommented(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if rest, ok := strings.CutPrefix(line, "#"); ok && !strings.HasPrefix(rest, " ") {
			lines[i] = rest
		}
	}
	return strings.Join(lines, "\n")
}
