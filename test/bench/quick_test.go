package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"polyclam/test/clamdtest"
)

// TestQuick runs the whole benchmark with the real programs, as short as it can be, and
// checks that each goal has its rows. It judges no times.
func TestQuick(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	clamdtest.Require(t)
	for _, program := range []string{"haproxy", "strace", "redis-server"} {
		clamdtest.RequireProgram(t, program)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 12*time.Minute)
	defer cancel()
	dir := t.TempDir()
	bench, costs, data := filepath.Join(dir, "bench"), filepath.Join(dir, "costs.json"), filepath.Join(dir, "data")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", bench, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out := runBench(t, ctx, bench, "--quick", "--rounds", "1", "--slice", "20ms")
	for _, g := range goalTexts {
		if !strings.Contains(out, "\n"+g.goal+" ") || !strings.Contains(out, "\n"+g.goal+": ") {
			t.Errorf("no row or no summary of %s:\n%s", g.goal, out)
		}
	}
	for line := range strings.Lines(out) {
		if strings.Contains(line, "not measured") && !strings.HasPrefix(line, "N5") {
			t.Error(line)
		}
	}
	out = runBench(t, ctx, bench, "--quick", "--rounds", "1", "--slice", "20ms", "--only", "costs,curves,null", "--curves", "nodes,engines",
		"--costs", costs, "--data", data, "--signatures", "100", "--sizes", "1K", "--clients", "2")
	for _, part := range []string{"error of the model", "In front of a null clamd"} {
		if !strings.Contains(out, part) {
			t.Errorf("no %q in\n%s", part, out)
		}
	}
	for _, name := range []string{costs, filepath.Join(data, "nodes.csv"), filepath.Join(data, "engines.csv")} {
		if s, err := os.Stat(name); err != nil || s.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// runBench returns the output of a run.
func runBench(t *testing.T, ctx context.Context, bench string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(ctx, bench, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // children end with it
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("bench %q: %v\n%s", args, err, out)
	}
	return string(out)
}
