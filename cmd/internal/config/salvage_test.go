package config

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestAddresses(t *testing.T) {
	const two = "[[listener]]\naddress = \"unix:/a\"\n[[listener]]\naddress = \"tcp:h:1\"\n"
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"unknown key", two + "adress = \"x\"\n", []string{"unix:/a", "tcp:h:1"}},
		{"syntax error behind them", two + "[limits\nstream = 1\n", []string{"unix:/a", "tcp:h:1"}},
		{"syntax error between them", "[[listener]]\naddress = \"unix:/a\"\n[[listener]\naddress = \"tcp:h:1\"\n", []string{"unix:/a"}},
		{"array without an end", two + "scan_paths = [\n\"/a\",\n\"/b\",\n", []string{"unix:/a", "tcp:h:1"}},
		{"text without an end", two + "x = \"\"\"\nfoo\nbar\n", []string{"unix:/a", "tcp:h:1"}},
		{"error in the first line", "[[listener\naddress = \"unix:/a\"\n", nil},
		{"no line break at the end", two + "x = ", []string{"unix:/a", "tcp:h:1"}},
		{"not a text", "[[listener]]\naddress = 7\n", nil},
		{"not a table", "listener = 7\n", nil},
		{"nothing", "", nil},
	} {
		path := filepath.Join(t.TempDir(), "c.toml")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := Addresses(path); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	if got := Addresses("/nowhere"); got != nil {
		t.Errorf("a missing file: %q", got)
	}
}

func FuzzAddresses(f *testing.F) {
	f.Add("[[listener]]\naddress = \"unix:/a\"\n[x\n")
	f.Add("a = [\n")
	f.Fuzz(func(_ *testing.T, text string) { addresses(text) })
}
