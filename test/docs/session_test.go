package docs

import (
	"archive/zip"
	"bytes"
	"fmt"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"polyclam/test/clamdtest"
	"polyclam/test/testkit"
)

const picture = "docs/images/session.svg"

// TestSession compares the picture of a terminal in the README with what polyclam
// prints.
func TestSession(t *testing.T) {
	got := sessionPicture(session(t))
	path := filepath.Join(root, picture)
	have, err := os.ReadFile(path)
	if err == nil && string(have) == got {
		return
	}
	if !testkit.Updating() {
		t.Fatalf("%s shows something else than polyclam prints; run go test ./test/docs -update\n%s", picture, got)
	}
	if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
		t.Fatal(err)
	}
}

// session scans a clean, an infected and an encrypted file, and shows the exit status.
func session(t *testing.T) string {
	p := start(t)
	dir := t.TempDir()
	for name, data := range map[string][]byte{
		"letter.txt": []byte("Nothing to see here.\n"), "invoice.zip": infectedZip(t), "payroll.zip": lockedZip(t),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const command = "polyclam scan letter.txt invoice.zip payroll.zip"
	cmd := exec.Command("sh", "-c", strings.Replace(command, "polyclam", filepath.Join(bin(t), "polyclam")+" --address unix:"+p.Socket, 1)+"; echo $?")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text := stable(strings.ReplaceAll(string(out), p.Socket, "/run/polyclam/clamd.sock"))
	// clamd marks the names of a local database, which a site's names do not have.
	text = blanks.ReplaceAllString(strings.ReplaceAll(text, ".UNOFFICIAL", strings.Repeat(" ", len(".UNOFFICIAL"))), "")
	body, status, _ := cutLastLine(text)
	return "$ " + command + "\n" + body + "$ echo $?\n" + status
}

// blanks are those at the end of a line.
var blanks = regexp.MustCompile(`(?m) +$`)

// cutLastLine splits off the last line.
func cutLastLine(text string) (before, last string, ok bool) {
	i := strings.LastIndexByte(strings.TrimSuffix(text, "\n"), '\n')
	return text[:i+1], text[i+1:], i >= 0
}

// infectedZip returns an archive with the EICAR test file.
func infectedZip(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, err := w.Create("invoice.exe")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte(clamdtest.EICAR())); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// The layout of the picture.
const (
	charWidth  = 7.8
	lineHeight = 19
	margin     = 20
)

// colors are those of the lines that matter.
var colors = []struct {
	line  *regexp.Regexp
	class string
}{
	{regexp.MustCompile(`^\$ `), "command"},
	{regexp.MustCompile(`^\S+: ok$`), "ok"},
	{regexp.MustCompile(`^\S+: virus `), "virus"},
	{regexp.MustCompile(`^\S+: encrypted `), "encrypted"},
	{regexp.MustCompile(`^  ENGINE `), "soft"},
}

// sessionPicture draws text as a terminal. Each line has a fixed length, so that columns
// stay aligned whatever font the reader has.
func sessionPicture(text string) string {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	longest := 0
	for _, line := range lines {
		longest = max(longest, utf8.RuneCountInString(line))
	}
	width, height := int(float64(longest)*charWidth)+2*margin, len(lines)*lineHeight+2*margin
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-labelledby="title" font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', 'Liberation Mono', monospace" font-size="13">
  <title id="title">polyclam scan on a clean, an infected and an encrypted file</title>
  <style>
    text { fill: #e6edf3; white-space: pre; }
    .command { fill: #ffffff; font-weight: 600; }
    .ok { fill: #3fb950; }
    .virus { fill: #ff7b72; }
    .encrypted { fill: #e3b341; }
    .soft { fill: #9da7b1; }
  </style>
  <rect x="0.5" y="0.5" width="%d" height="%d" rx="8" fill="#0d1117" stroke="#30363d"/>
`, width, height, width, height, width-1, height-1)
	for i, line := range lines {
		if line == "" {
			continue
		}
		class := ""
		for _, c := range colors {
			if c.line.MatchString(line) {
				class = fmt.Sprintf(` class="%s"`, c.class)
			}
		}
		fmt.Fprintf(&b, "  <text x=\"%d\" y=\"%d\" textLength=\"%.0f\" xml:space=\"preserve\"%s>%s</text>\n",
			margin, margin+14+i*lineHeight, float64(utf8.RuneCountInString(line))*charWidth, class, html.EscapeString(line))
	}
	b.WriteString("</svg>\n")
	return b.String()
}
