package proxy

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"polyclam/backends"
)

// TestNameOfObject checks that engines get the name of a scanned file but not its directory,
// and no name for a stream.
func TestNameOfObject(t *testing.T) {
	names := make(chan string, 10)
	look := func(_ context.Context, o backends.Object) (backends.Result, error) {
		if named, ok := o.(backends.Named); ok {
			names <- named.Name()
		}
		return backends.Clean(0), nil
	}
	ts := newServer(t, nil, testEngine{name: "fake", backend: backends.Func(look)})
	dir := t.TempDir()
	path := filepath.Join(dir, "a b.exe")
	if err := os.WriteFile(path, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ command, want string }{
		{"zSCAN " + path + "\x00", "a b.exe"},
		{"zCONTSCAN " + dir + "\x00", "a b.exe"},
		{"zINSTREAM\x00\x00\x00\x00\x01x\x00\x00\x00\x00", ""},
	} {
		if reply := ts.ask(tt.command); reply == "" {
			t.Errorf("%q: no reply", tt.command)
		}
		if got := <-names; got != tt.want {
			t.Errorf("%q: the name is %q, want %q", tt.command, got, tt.want)
		}
	}
}
