package manpage

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"polyclam/test/testkit"
)

func TestConfigPage(t *testing.T) {
	example, err := os.ReadFile("../../../config.toml.example")
	if err != nil {
		t.Fatal(err)
	}
	testkit.Golden(t, "../../../docs/man/polyclam.toml.5", []byte(Config(string(example))))
}

// TestPagesRender has both renderers of manual pages check all pages.
func TestPagesRender(t *testing.T) {
	pages, err := filepath.Glob("../../../docs/man/*.[1-8]")
	if err != nil || len(pages) == 0 {
		t.Fatalf("no pages, %v", err)
	}
	for _, checker := range [][]string{{"mandoc", "-T", "lint"}, {"man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z"}} {
		if _, err := exec.LookPath(checker[0]); err != nil {
			t.Logf("NOT TESTED: the manual pages with %s, which is not installed", checker[0])
			continue
		}
		for _, page := range pages {
			var stdout, stderr bytes.Buffer
			c := exec.Command(checker[0], append(checker[1:], page)...)
			c.Stdout, c.Stderr = &stdout, &stderr
			err := c.Run()
			warnings := stderr.String()
			if checker[0] == "mandoc" {
				warnings += stdout.String()
			}
			if err != nil || warnings != "" {
				t.Errorf("%s: %s: %v\n%s", page, checker[0], err, warnings)
			}
		}
	}
}

func TestRoff(t *testing.T) {
	p := newPage("X", "1")
	p.doc("A text with \\ and 'quotes'.\n\n.It begins with a dot.\n\n\tcode  --flag\n\nA list:\n\n  - one\n  - two\n\n# Exit status\n\nNone.\n")
	_, got, _ := strings.Cut(p.b.String(), "polyclam\n")
	want := `.PP
A text with \e and \(aqquotes\(aq.
.PP
\&.It begins with a dot.
.PP
.nf
.RS 4
code  \-\-flag
.RE
.fi
.PP
A list:
.IP \(bu 2
one
.IP \(bu 2
two
.SH "EXIT STATUS"
None.
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
