package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// walked walks the arguments in a directory, and returns the names of the objects. "!" and the
// error follow a name that cannot be scanned.
func walked(t *testing.T, dir string, args ...string) (names []string, s skipped) {
	t.Helper()
	t.Chdir(dir)
	w := walker{emit: func(o object) error {
		if o.err != nil {
			o.name += "!" + localText(o.err)
		}
		names = append(names, o.name)
		return nil
	}}
	for _, a := range args {
		if err := w.argument(a); err != nil {
			t.Fatal(err)
		}
	}
	return names, w.skipped
}

// mixedDir creates a directory with every kind of file.
func mixedDir(t *testing.T) string {
	t.Helper()
	dir := files(t, "d/b", "", "d/a", "", "d/sub/c", "", "d/.hidden", "", "elsewhere/secret", "")
	ln, err := net.Listen("unix", filepath.Join(dir, "d/socket"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	for _, err := range []error{
		unix.Mkfifo(filepath.Join(dir, "d/fifo"), 0o600),
		os.Symlink("../elsewhere", filepath.Join(dir, "d/out")),
		os.Symlink("a", filepath.Join(dir, "d/link")),
		os.Symlink("..", filepath.Join(dir, "d/sub/up")),
		os.Symlink("d", filepath.Join(dir, "to-d")),
		os.Symlink("d/fifo", filepath.Join(dir, "to-fifo")),
		os.Symlink("loop", filepath.Join(dir, "loop")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestWalk(t *testing.T) {
	dir := mixedDir(t)
	for _, c := range []struct {
		args, want []string
		skipped    skipped
	}{
		{[]string{"d"}, []string{"d/.hidden", "d/a", "d/b", "d/sub/c"}, skipped{Links: 3, Special: 2}},
		{[]string{"d/"}, []string{"d/.hidden", "d/a", "d/b", "d/sub/c"}, skipped{Links: 3, Special: 2}},
		{[]string{"d/sub/up/sub"}, []string{"d/sub/up/sub/c"}, skipped{Links: 1}},
		{[]string{"to-d"}, []string{"to-d/.hidden", "to-d/a", "to-d/b", "to-d/sub/c"}, skipped{Links: 3, Special: 2}},
		{[]string{"d/link", "d/sub", "d/sub"}, []string{"d/link", "d/sub/c", "d/sub/c"}, skipped{Links: 2}},
		{[]string{"d/out"}, []string{"d/out/secret"}, skipped{}},
		{[]string{"d/fifo", "to-fifo", "d/socket"}, []string{"d/fifo!a named pipe, not a regular file", "to-fifo!a named pipe, not a regular file", "d/socket!a socket, not a regular file"}, skipped{}},
		{[]string{"loop", "none", ""}, []string{"loop!too many levels of symbolic links", "none!no such file or directory", "!no such file or directory"}, skipped{}},
		{[]string{"-"}, []string{"-"}, skipped{}},
		{[]string{"/proc"}, []string{"/proc!" + errKernelFS.Error()}, skipped{}},
	} {
		t.Run(fmt.Sprint(c.args), func(t *testing.T) {
			names, s := walked(t, dir, c.args...)
			if strings.Join(names, "|") != strings.Join(c.want, "|") || s != c.skipped {
				t.Errorf("walked %q, %+v; want %q, %+v", names, s, c.want, c.skipped)
			}
		})
	}
}

func TestWalkEnds(t *testing.T) {
	t.Chdir(mixedDir(t))
	enough, n := errors.New("enough"), 0
	w := walker{emit: func(object) error {
		n++
		return enough
	}}
	for _, arg := range []string{"d", "d/a", "none", "-", "/proc"} {
		n = 0
		if err := w.argument(arg); err != enough || n != 1 {
			t.Errorf("%s: %v after %d objects, want the end after the first", arg, err, n)
		}
	}
}

// TestOpen opens files that may have changed since they were found.
func TestOpen(t *testing.T) {
	t.Chdir(mixedDir(t))
	for _, c := range []struct {
		name  string
		found bool
		want  string // of the error
	}{
		{"d/a", true, ""},
		{"d/a", false, ""},
		{"d/link", false, ""},
		{"d/link", true, errChanged.Error()},
		{"d/fifo", true, "a named pipe, not a regular file"},
		{"d/fifo", false, "a named pipe, not a regular file"},
		{"d/sub", true, "a directory, not a regular file"},
		{"d/socket", true, "no such device or address"},
		{"/dev/null", false, "a device, not a regular file"},
		{"d/gone", true, "no such file or directory"},
	} {
		f, _, err := object{name: c.name, found: c.found}.open()
		if err == nil {
			f.Close()
		}
		if err == nil && c.want != "" || err != nil && localText(err) != c.want {
			t.Errorf("open %s, found %v: %v, want %q", c.name, c.found, err, c.want)
		}
	}
}
