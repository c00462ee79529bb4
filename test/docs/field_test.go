package docs

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// wantKeys wants each key to be on the page, as code.
func wantKeys(t *testing.T, name string, keys map[string]bool) {
	t.Helper()
	text := pageOf(t, name).text
	for k := range keys {
		if !strings.Contains(text, "`"+k+"`") && !strings.Contains(text, "`"+k+"=") {
			t.Errorf("%s does not explain %q", name, k)
		}
	}
	if len(keys) < 5 {
		t.Errorf("%d keys only: %v", len(keys), keys)
	}
}

// keysOf collects the keys of a JSON value, at all levels. The engines of a line of
// the log are keys too, by their name.
func keysOf(v any, keys map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		for k, inner := range v {
			if k != "clamav" && k != "inspect" {
				keys[k] = true
			}
			if k != "categories" && k != "skipped" {
				keysOf(inner, keys)
			}
		}
	case []any:
		for _, inner := range v {
			keysOf(inner, keys)
		}
	}
}

// recordKeys collects the keys of the records in a reply.
func recordKeys(reply string) map[string]bool {
	keys := map[string]bool{}
	for line := range strings.Lines(reply) {
		for _, word := range strings.Fields(line) {
			if k, _, ok := strings.Cut(word, "="); ok && !strings.ContainsAny(k, `".:/`) {
				keys[k] = true
			}
		}
	}
	return keys
}

// TestFields compares the keys of records, of the log and of the JSON output with the
// pages that explain them.
func TestFields(t *testing.T) {
	p := start(t)
	locked := lockedZip(t)
	wantKeys(t, "docs/protocol.md", recordKeys(stream(t, p.Socket, "XINSTREAM", locked)))
	wantKeys(t, "docs/protocol.md", recordKeys(stream(t, p.Socket, "XSTATUS", nil)))

	file := filepath.Join(t.TempDir(), "payroll.zip")
	if err := os.WriteFile(file, locked, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"scan", "--json", file}, {"status", "--json"}} {
		keys := map[string]bool{}
		for line := range strings.Lines(run(t, "polyclam", append([]string{"--address", "unix:" + p.Socket}, args...)...)) {
			var v any
			if err := json.Unmarshal([]byte(line), &v); err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			keysOf(v, keys)
		}
		if args[0] == "status" { // they are those of a NODE record
			wantKeys(t, "docs/protocol.md", without(keys, "nodes", "address", "state", "exit", "sentence"))
			continue
		}
		wantKeys(t, "docs/operations.md", keys)
	}

	var v any
	if err := json.Unmarshal([]byte(logLine(t, p, `"message":"scanned"`)), &v); err != nil {
		t.Fatal(err)
	}
	keys := map[string]bool{}
	keysOf(v, keys)
	wantKeys(t, "docs/operations.md", without(keys, "level", "time", "message"))
}

func without(keys map[string]bool, names ...string) map[string]bool {
	for _, n := range names {
		delete(keys, n)
	}
	return keys
}
