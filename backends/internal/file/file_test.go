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

// named is an object with another path.
type named struct {
	backends.Object
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
	object := backendtest.Bytes(t, []byte("four"))
	for _, path := range []string{whole, link} {
		if got, err := Path(named{object, path, nil}); got != whole || err != nil {
			t.Errorf("%s: %q, %v", path, got, err)
		}
	}
	t.Chdir(dir)
	for path, want := range map[string]string{
		short: "has 3 bytes, the object has 4", broken: "no such file", dir: "not a regular file",
		"whole": "not a regular file", "/proc/self/status": "on /proc", filepath.Join(dir, "none"): "no such file",
	} {
		wantObjectError(t, named{object, path, nil}, want)
	}
	wantObjectError(t, named{object, "", os.ErrNotExist}, "it has no file")
}

// wantObjectError checks that an error says nothing about the engine.
func wantObjectError(t *testing.T, o backends.Object, want string) {
	t.Helper()
	path, err := Path(o)
	if path != "" || err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%q, %v, want %q", path, err, want)
	}
	var object *backends.ObjectError
	if got := backends.CategoryOf(err); got != backends.SWErr || !errors.As(err, &object) {
		t.Errorf("%v is %s, want %s", err, got, backends.SWErr)
	}
}

// TestPlainPath checks that a path is refused if a line protocol cannot carry it.
func TestPlainPath(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	object := backendtest.Bytes(t, []byte("x"))
	for name, ok := range map[string]bool{
		"good-1_2.3,@+=~": true, "a b": false, "a\tb": false, "a\nb": false, `a\b`: false, "a|>b": false, "a>b": false,
		"a;b": false, "a?b": false, "a%20b": false, "a\xff": false, "ä": false, strings.Repeat("a", 250): true,
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := PlainPath(named{object, path, nil})
		if (err == nil) != ok || ok && got != path || err != nil && !errors.As(err, new(*backends.ObjectError)) {
			t.Errorf("%q: %q, %v", name, got, err)
		}
	}
	deep := dir + strings.Repeat("/"+strings.Repeat("d", 200), 3)
	if err := errors.Join(os.MkdirAll(deep, 0o700), os.WriteFile(deep+"/x", []byte("x"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if got, err := PlainPath(named{object, deep + "/x", nil}); err == nil {
		t.Errorf("%d bytes: %q", len(deep), got)
	}
	wantObjectError(t, named{object, dir + "/missing", nil}, "no such file")
}
