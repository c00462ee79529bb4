package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"polyclam/test/bench/model"
	"polyclam/test/bench/report"
)

const page = "../../../docs/scale.md"

// TestPage checks that the tables of docs/scale.md are those of the program.
func TestPage(t *testing.T) {
	c, err := model.Measured()
	if err != nil {
		t.Fatal(err)
	}
	blocks, err := pageBlocks(c)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range blocks {
		want, err := report.ReplaceBlock(string(text), name, block)
		if err != nil {
			t.Errorf("docs/scale.md: %v", err)
		} else if want != string(text) {
			t.Errorf("table %s of docs/scale.md is stale: run go run ./test/bench/scale --write docs/scale.md", name)
		}
	}
}

func TestRun(t *testing.T) {
	var out bytes.Buffer
	if err := run([]string{"--messages", "10e6", "--hits", "0,0.5"}, &out); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"0 % hits", "50 % hits", "messages per second", "417", "used up first"} {
		if !strings.Contains(out.String(), part) {
			t.Errorf("no %q in\n%s", part, out.String())
		}
	}
	for _, args := range [][]string{{"--hits", "much"}, {"--hits", "1"}, {"--messages", "0"}, {"--costs", "/nonexistent"}, {"--hits="}} {
		if err := run(args, &out); err == nil {
			t.Errorf("%q is taken", args)
		}
	}
}
