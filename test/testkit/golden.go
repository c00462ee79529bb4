package testkit

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files instead of comparing with them")

// Updating reports whether the tests run with -update.
func Updating() bool { return *update }

// Golden compares got with a file, usually one in testdata. With
// -update it writes the file instead.
func Golden(t testing.TB, file string, got []byte) {
	t.Helper()
	if *update {
		write(t, file, got)
		return
	}
	if want := read(t, file); string(got) != want {
		t.Errorf("%s differs (go test -update rewrites it): %s", file, firstDifference(string(got), want))
	}
}

// GoldenSection compares got with the part of a file between the texts begin and end,
// for example a generated table in a manual. With -update it replaces that part.
func GoldenSection(t testing.TB, file, begin, end, got string) {
	t.Helper()
	text := read(t, file)
	before, rest, found := strings.Cut(text, begin)
	want, after, closed := strings.Cut(rest, end)
	switch {
	case !found || !closed:
		t.Fatalf("%s has no section from %q to %q", file, begin, end)
	case *update:
		write(t, file, []byte(before+begin+got+end+after))
	case got != want:
		t.Errorf("the section after %q in %s differs (go test -update rewrites it): %s", begin, file, firstDifference(got, want))
	}
}

// firstDifference describes the first line that differs.
func firstDifference(got, want string) string {
	g, w := strings.SplitAfter(got, "\n"), strings.SplitAfter(want, "\n")
	n := 0
	for n < min(len(g), len(w)) && g[n] == w[n] {
		n++
	}
	line := func(lines []string) string {
		if n < len(lines) {
			return lines[n]
		}
		return ""
	}
	return fmt.Sprintf("line %d\n got %q\nwant %q", n+1, line(g), line(w))
}

func read(t testing.TB, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func write(t testing.TB, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
}
