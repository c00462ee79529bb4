package docs

import (
	"encoding/json"
	"go/format"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// tutorial is the page whose code is in testdata/acme.
const tutorial = "docs/adding-an-engine.md"

// row is the line that the tutorial adds to the registry.
const row = "\t{\"acme\", acme.NewConfig, \"Acme AV\", acme.Abilities},\n"

// overlay puts the tutorial's backend where it would be, and its row into the registry,
// for go build and go test. It returns the file for -overlay.
func overlay(t *testing.T) string {
	t.Helper()
	top, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	replace := map[string]string{}
	for _, name := range []string{"acme.go", "acme_test.go"} {
		replace[filepath.Join(top, "backends/acme", name)] = filepath.Join(top, "test/docs/testdata/acme", name)
	}
	registry := filepath.Join(top, "backends/registry/registry.go")
	source, err := os.ReadFile(registry)
	if err != nil {
		t.Fatal(err)
	}
	edited := filepath.Join(t.TempDir(), "registry.go")
	if err := os.WriteFile(edited, []byte(register(t, string(source))), 0o644); err != nil {
		t.Fatal(err)
	}
	replace[registry] = edited
	data, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "overlay.json")
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// register adds the import and the row.
func register(t *testing.T, source string) string {
	t.Helper()
	text := strings.Replace(source, "\t\"polyclam/backends/avast\"\n", "\t\"polyclam/backends/acme\"\n\t\"polyclam/backends/avast\"\n", 1)
	const before = "\t{\"avast\", avast.NewConfig,"
	text = strings.Replace(text, before, row+before, 1)
	if strings.Count(text, "acme") < 3 {
		t.Fatal("the registry has another form than the tutorial says")
	}
	return text
}

// TestTutorialBackend runs the tutorial's backend through the conformance suite.
func TestTutorialBackend(t *testing.T) {
	test := filepath.Join(t.TempDir(), "acme.test")
	// There is no folder to run vet or the test in, hence -vet=off and -c.
	out, err := exec.Command("go", "test", "-c", "-vet=off", "-overlay", overlay(t), "-o", test, "polyclam/backends/acme").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.Command(test, "-test.v")
	cmd.Dir = t.TempDir()
	out, err = cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range []string{"TestConformance/clean", "TestConformance/erratic", "TestRules/early"} {
		if !strings.Contains(string(out), "--- PASS: "+name) {
			t.Errorf("%s did not run:\n%s", name, out)
		}
	}
}

// TestTutorialDaemon builds polyclamd with the backend and loads the tutorial's
// configuration.
func TestTutorialDaemon(t *testing.T) {
	daemon := filepath.Join(t.TempDir(), "polyclamd")
	if out, err := exec.Command("go", "build", "-overlay", overlay(t), "-o", daemon, "polyclam/cmd/polyclamd").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, b := range pageOf(t, tutorial).blocks(t) {
		if b.form != "toml" {
			continue
		}
		if out, ok := check(t, daemon, b.text); !ok {
			t.Errorf("%s:%d:\n%s", tutorial, b.line, out)
		}
		if out, ok := check(t, daemon, strings.Replace(b.text, "2s", "0s", 1)); ok || !strings.Contains(out, "connect_timeout") {
			t.Errorf("connect_timeout = \"0s\" is accepted:\n%s", out)
		}
	}
}

// TestTutorialCode wants each piece of code to be in the files, word for word.
func TestTutorialCode(t *testing.T) {
	code := row
	for _, name := range []string{"acme.go", "acme_test.go"} {
		source, err := os.ReadFile(filepath.Join("testdata/acme", name))
		if err != nil {
			t.Fatal(err)
		}
		if formatted, err := format.Source(source); err != nil || string(formatted) != string(source) {
			t.Errorf("testdata/acme/%s is not gofmt'ed: %v", name, err)
		}
		code += "\n" + string(source)
	}
	pieces := 0
	for _, b := range pageOf(t, tutorial).blocks(t) {
		if b.form != "go" {
			continue
		}
		pieces++
		if !strings.Contains(code, b.text) {
			t.Errorf("%s:%d: this is not in testdata/acme:\n%s", tutorial, b.line, b.text)
		}
	}
	if pieces < 6 {
		t.Errorf("compared %d pieces only", pieces)
	}
}
