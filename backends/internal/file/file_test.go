package file

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
)

// named is a content that says it is in a certain file.
type named struct {
	backends.Content
	path string
	err  error
}

func (n named) Path() (string, error) { return n.path, n.err }

func TestPath(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	whole, short := write("whole", "four"), write("short", "for")
	link, broken := filepath.Join(dir, "link"), filepath.Join(dir, "broken")
	if err := errors.Join(os.Symlink(whole, link), os.Symlink("nowhere", broken)); err != nil {
		t.Fatal(err)
	}
	content := backendtest.Bytes(t, []byte("four"))
	for _, path := range []string{whole, link} {
		if got, err := Path(named{content, path, nil}); got != whole || err != nil {
			t.Errorf("%s: %q, %v", path, got, err)
		}
	}
	t.Chdir(dir)
	for path, want := range map[string]string{
		short: "has 3 bytes, the content has 4", broken: "no such file", dir: "not a regular file",
		"whole": "not a regular file", "/proc/self/status": "on /proc", filepath.Join(dir, "none"): "no such file",
	} {
		wantOurs(t, named{content, path, nil}, want)
	}
	wantOurs(t, named{content, "", os.ErrNotExist}, "no path of the content")
}

// wantOurs: what is wrong with a file of ours says nothing about the engine.
func wantOurs(t *testing.T, c backends.Content, want string) {
	t.Helper()
	path, err := Path(c)
	if path != "" || err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%q, %v, want %q", path, err, want)
	}
	if got := backends.CategoryOf(err); got != backends.SWErr {
		t.Errorf("%v is %s, want %s", err, got, backends.SWErr)
	}
}
