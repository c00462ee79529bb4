package docs

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"polyclam/test/clamdtest"
	"polyclam/test/testkit"
)

// An output is what a program prints, for a block of that name.
type output struct {
	make func(t *testing.T) string
	// same brings two outputs that need not differ to the same form.
	same func(text string) string
}

var generated = map[string]output{
	"quick-start":  {quickStart, stable},
	"status-forms": {statusForms, stable},
	"xinstream":    {xinstream, stable},
	"scanned":      {scanned, keys},
	"needs":        {needs, labels},
	"needs-line":   {needsLine, keys},
}

// TestOutput compares the output on the pages with that of the real programs.
func TestOutput(t *testing.T) {
	for name, o := range generated {
		t.Run(name, func(t *testing.T) {
			got := o.make(t)
			for _, p := range pages(t) {
				for _, b := range p.blocks(t) {
					if b.name != name || p.isRecipe() || o.same(b.text) == o.same(got) {
						continue
					}
					if !testkit.Updating() {
						t.Errorf("%s:%d: run go test ./test/docs -update; the programs print:\n%s\ninstead of\n%s", p.name, b.line, got, b.text)
						continue
					}
					fence := "```" + b.form + " " + b.name + "\n"
					text := strings.Replace(p.text, fence+b.text+"```", fence+got+"```", 1)
					if err := os.WriteFile(filepath.Join(root, p.name), []byte(text), 0o644); err != nil {
						t.Fatal(err)
					}
				}
			}
		})
	}
}

var (
	elapsed = regexp.MustCompile(`\b\d+\.\d{3}\b`)
	number  = regexp.MustCompile(`\b\d+(\.\d+)?\b`)
	key     = regexp.MustCompile(`"[a-z0-9_]+":`)
)

// stable replaces times, which differ from run to run.
func stable(text string) string { return elapsed.ReplaceAllString(text, "0.001") }

// labels leaves the words of a table of numbers.
func labels(text string) string {
	var words []string
	for _, w := range strings.Fields(number.ReplaceAllString(text, "")) {
		if w != "MiB" && w != "KiB" && w != "," {
			words = append(words, w)
		}
	}
	return strings.Join(words, " ")
}

// keys leaves the keys of a line of the log, whatever its layout.
func keys(text string) string {
	all := key.FindAllString(text, -1)
	slices.Sort(all)
	return strings.Join(slices.Compact(all), " ")
}

// quickStart runs the commands of the page as they are written, but for the address.
func quickStart(t *testing.T) string {
	clamdtest.RequireProgram(t, "zip")
	p := clamdtest.StartPolyclam(t, "[[listener]]\naddress = \"unix:${DIR}/p.sock\"\n[[engine]]\nname = \"inspect\"\nbackend = \"inspect\"\n", clamdtest.Options{})
	for _, b := range pageOf(t, "docs/quick-start.md").blocks(t) {
		if b.form != "sh" || !strings.Contains(b.text, "payroll.zip") {
			continue
		}
		dir := t.TempDir()
		if err := os.Symlink(bin(t), filepath.Join(dir, "bin")); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("sh", "-c", strings.Replace(b.text, "./bin/polyclam", "./bin/polyclam --address unix:"+p.Socket, 1))
		cmd.Dir = dir
		out, _ := cmd.CombinedOutput()                 // the status says what was found
		_, text, _ := strings.Cut(string(out), "%)\n") // after what zip says
		return strings.ReplaceAll(stable(text), p.Socket, "/run/polyclam/clamd.sock")
	}
	t.Fatal("the page does not scan anything")
	return ""
}

// statusForms shows a virus and an encrypted archive in each form.
func statusForms(t *testing.T) string {
	p := start(t)
	locked := lockedZip(t)
	text := ""
	for _, form := range []struct{ name, socket string }{{"plain", "p.sock"}, {"extended", "extended.sock"}, {"annotated", "annotated.sock"}} {
		for _, object := range [][]byte{[]byte(clamdtest.EICAR()), locked} {
			text += (form.name + "         ")[:11] + stream(t, filepath.Join(p.Dir, form.socket), "INSTREAM", object)
		}
	}
	return unofficial(text)
}

var node = regexp.MustCompile(`node="[^"]*"`)

func xinstream(t *testing.T) string {
	reply := stream(t, start(t).Socket, "XINSTREAM", lockedZip(t))
	return stable(node.ReplaceAllString(reply, `node="unix:/run/clamav/clamd.ctl"`))
}

// scanned is the line of the log of one scan.
func scanned(t *testing.T) string {
	p := start(t)
	stream(t, p.Socket, "INSTREAM", lockedZip(t))
	line := logLine(t, p, `"message":"scanned"`)
	var fields struct {
		Engines map[string]struct{ Node string }
	}
	if err := json.Unmarshal([]byte(line), &fields); err != nil {
		t.Fatal(err)
	}
	line = strings.ReplaceAll(line, fields.Engines["clamav"].Node, "unix:/run/clamav/clamd.ctl")
	return wrap(strings.ReplaceAll(line, p.Socket, "/run/polyclam/clamd.sock"))
}

func needs(t *testing.T) string {
	out, ok := check(t, filepath.Join(bin(t), "polyclamd"), aListener+anEngine+"[[engine]]\nname = \"inspect\"\nbackend = \"inspect\"\n")
	if !ok {
		t.Fatal(out)
	}
	return out[strings.Index(out, "needs at most"):]
}

func needsLine(t *testing.T) string { return wrap(logLine(t, start(t), `"message":"needs at most"`)) }

// wrap breaks a line of the log between its fields.
func wrap(line string) string {
	var b strings.Builder
	width := 0
	for i, field := range strings.SplitAfter(strings.TrimSuffix(line, "\n"), ",") {
		if i > 0 && width+len(field) > 96 && strings.HasPrefix(field, `"`) {
			b.WriteString("\n ")
			width = 1
		}
		b.WriteString(field)
		width += len(field)
	}
	return b.String() + "\n"
}

// unofficial removes what clamd adds to the names of a local database.
func unofficial(text string) string { return strings.ReplaceAll(text, ".UNOFFICIAL", "") }
