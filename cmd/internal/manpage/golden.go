package manpage

import (
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "write the manual pages")

// Golden checks that the file at path is the page, or with -update writes it.
func Golden(t *testing.T, path, page string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	old, err := os.ReadFile(path)
	if err != nil || string(old) != page {
		t.Errorf("%s is stale; run \"make man\" (%v)", path, err)
	}
}
