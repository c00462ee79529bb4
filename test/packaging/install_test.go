package packaging

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"polyclam/test/clamdtest"
	"polyclam/test/testkit"
)

// built makes a directory with what make build and make completions make, without the time
// that takes: only the files count here.
func built(t *testing.T) string {
	t.Helper()
	bin := t.TempDir()
	if err := os.Mkdir(filepath.Join(bin, "completions"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"polyclam", "polyclamd"} {
		for _, name := range []string{command, "completions/" + command + ".bash", "completions/" + command + ".zsh", "completions/" + command + ".fish"} {
			if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"), 0o700); err != nil {
				t.Fatal(err)
			}
		}
	}
	return bin
}

// TestInstall installs below DESTDIR and removes everything again.
func TestInstall(t *testing.T) {
	bin, dest := built(t), t.TempDir()
	run(t, root, "make", "-s", "install", "BIN="+bin, "DESTDIR="+dest)
	var list []string
	for _, line := range files(t, dest) {
		if !isPage(line) {
			list = append(list, line+"\n")
		}
	}
	testkit.Golden(t, "testdata/install.golden", []byte(strings.Join(list, "")))
	unit, err := os.ReadFile(filepath.Join(dest, "usr/local/lib/systemd/system/polyclamd.service"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\nExecStart=/usr/local/bin/polyclamd\n", "\nExecReload=/usr/local/bin/polyclamd --check\n"} {
		if !strings.Contains(string(unit), want) {
			t.Errorf("the unit has no %q", want)
		}
	}
	run(t, root, "make", "-s", "uninstall", "BIN="+bin, "DESTDIR="+dest)
	if left := files(t, dest); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}

// TestUnits has systemd check the installed units: that it knows every line, that the
// programs exist, and that the service is not more exposed than 1.7.
func TestUnits(t *testing.T) {
	analyze := clamdtest.RequireProgram(t, "systemd-analyze")
	prefix := t.TempDir()
	run(t, root, "make", "-s", "install", "BIN="+built(t), "PREFIX="+prefix)
	units := filepath.Join(prefix, "lib/systemd/system")
	out, err := exec.Command(analyze, "verify", "--man=no", units+"/polyclamd.service", units+"/polyclamd.socket").CombinedOutput()
	if err != nil || strings.Contains(string(out), "polyclamd.") {
		t.Errorf("%v\n%s", err, out)
	}
	out, err = exec.Command(analyze, "security", "--offline=true", "--threshold=17", "--no-pager", units+"/polyclamd.service").CombinedOutput()
	if err != nil {
		t.Errorf("more exposed than 1.7: %v\n%s", err, out)
	}
}
