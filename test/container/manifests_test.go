package container

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestManifests checks the configurations in the Kubernetes manifests with polyclamd.
func TestManifests(t *testing.T) {
	daemon := filepath.Join(t.TempDir(), "polyclamd")
	build := exec.Command("go", "build", "-o", daemon, "./cmd/polyclamd")
	build.Dir = top
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	files, err := filepath.Glob(top + "/contrib/kubernetes/*.yaml")
	if err != nil || len(files) < 2 {
		t.Fatalf("%q, %v", files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			config := filepath.Join(t.TempDir(), "config.toml")
			if err := os.WriteFile(config, []byte(block(t, string(data), "config.toml")), 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command(daemon, "--check-file", "--config", config).CombinedOutput()
			if err != nil || strings.Contains(string(out), "warning") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// block returns the text of a key that has a YAML literal block.
func block(t *testing.T, manifest, key string) string {
	t.Helper()
	_, rest, ok := strings.Cut(manifest, "  "+key+": |\n")
	if !ok {
		t.Fatalf("there is no %s", key)
	}
	var b strings.Builder
	for line := range strings.Lines(rest) {
		text, indented := strings.CutPrefix(line, "    ")
		if !indented && strings.TrimSpace(line) != "" {
			break
		}
		b.WriteString(text)
	}
	return b.String()
}
