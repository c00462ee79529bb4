package migrate

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"polyclam/test/testkit"
)

// clientTree is a Debian with the files of a client.
func clientTree(t *testing.T, name string, more ...string) string {
	t.Helper()
	dir := tree(t, "mail", append([]string{"var/run", "->/run", "run/clamav/", ""}, more...)...)
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "clients", name))); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestClientLayouts compares what is found for each client with golden files.
func TestClientLayouts(t *testing.T) {
	for _, name := range []string{"mimedefang", "amavis", "rspamd", "exim", "clamsmtp", "c-icap", "mixed", "rhel"} {
		t.Run(name, func(t *testing.T) {
			dir := ""
			if name == "rhel" {
				dir = tree(t, "rhel-mail", "var/run", "->/run", "run/clamd.amavisd/", "")
			} else {
				dir = clientTree(t, name)
			}
			m := look(t, Options{Root: dir})
			testkit.Golden(t, filepath.Join("testdata", "clients", name+".golden"), []byte(foundOn(t, m)))
		})
	}
}

// foundOn returns what a machine's clients change.
func foundOn(t *testing.T, m *Machine) string {
	t.Helper()
	var b strings.Builder
	for _, r := range m.Rows() {
		fmt.Fprintf(&b, "%s | %s | %s | %s\n", r.What, r.Where, r.Means, r.Used)
	}
	for _, h := range m.Hints() {
		fmt.Fprintf(&b, "hint: %s\n", h)
	}
	text, _, _ := strings.Cut(configOf(t, m), "\n[[engine]]\n")
	_, listeners, _ := strings.Cut(text, "\n\n")
	fmt.Fprintf(&b, "\n=== listeners\n%s", listeners)
	fmt.Fprintf(&b, "\n=== groups %q\n", m.groups())
	if tmp, why := m.temporary(); why == "" {
		fmt.Fprintf(&b, "=== temporary files: %s\n%s\n", tmp.option(), tmp.comment())
	}
	return b.String()
}
