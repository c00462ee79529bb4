package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"polyclam/backends"
)

// evil has everything that a malicious sender might put into a file name for the operator's
// terminal.
const evil = "\x1b]0;owned\x07\x1b[2J\n/etc/passwd: ok\r\u202egpj.\x9b31m\xff"

func TestHostileNames(t *testing.T) {
	r := backends.Found(1, evil, "second\x00name")
	r.Detail = "message " + evil
	s := serve(t, nil, reports("x", r), fails("y", backends.SWErr, evil))
	name := "d/" + strings.ReplaceAll(evil, "/", "_")
	dir := files(t, name, "x")
	got := polyclam(t, dir, "--address", s.unix, "scan", "d")
	got.wantStatus(t, exitFound)
	const shown = `\x1b]0;owned\x07\x1b[2J\n_etc_passwd: ok\r\u202egpj.\x9b31m\xff`
	wantParts(t, got.stdout, "d/"+shown+": virus (quarantine): "+strings.ReplaceAll(shown, "_", "/"), `, second\x00name`, `message \x1b]0;`)
	if printableLines(got.stdout) != got.stdout || strings.Count(got.stdout, "\n") != 5 {
		t.Errorf("stdout is %q", got.stdout)
	}
	got = polyclam(t, dir, "--address", s.unix, "scan", "d", evil)
	wantParts(t, got.stdout, `\x1b]0;owned\x07\x1b[2J\n/etc/passwd: ok\r\u202egpj.\x9b31m\xff: not scanned (cannot-execute): no such file or directory`)

	got = polyclam(t, dir, "--address", s.unix, "scan", "--json", "d")
	if printableLines(got.stdout) != got.stdout {
		t.Errorf("stdout is %q", got.stdout)
	}
	var o outcome
	if err := json.Unmarshal([]byte(strings.SplitAfter(got.stdout, "\n")[0]), &o); err != nil {
		t.Fatal(err)
	}
	if string(o.Bytes) != name || o.File != strings.ToValidUTF8(name, "\ufffd") {
		t.Errorf("the file name is %q, %q", o.File, o.Bytes)
	}
	if o.Engines[0].Names[1] != "second\x00name" || o.Engines[0].NameCount != 2 {
		t.Errorf("the names are %q", o.Engines[0].Names)
	}
}

// TestThousandFiles checks that many files are reported in order, each once.
func TestThousandFiles(t *testing.T) {
	s := serve(t, nil, marked())
	const n = 1000
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("d/%d/%04d", i%7, i), "x")
	}
	dir := files(t, names...)
	for _, args := range [][]string{{s.unix, "--jobs", "1"}, {s.unix, "--jobs", "32"}, {s.tcp}} {
		r := polyclam(t, dir, append([]string{"scan", "--json", "d", "--address"}, args...)...)
		r.wantStatus(t, exitOK)
		last, count := "", 0
		for line := range strings.Lines(r.stdout) {
			var o outcome
			if err := json.Unmarshal([]byte(line), &o); err != nil {
				t.Fatal(err)
			}
			if o.Type != "file" {
				continue
			}
			if o.File <= last {
				t.Fatalf("%q after %q", o.File, last)
			}
			last = o.File
			count++
		}
		if count != n || !strings.Contains(r.stdout, `"files":1000,"bytes":1000,"not_scanned":0,"categories":{"ok":1000}`) {
			t.Errorf("%d files, want %d", count, n)
		}
	}
}
