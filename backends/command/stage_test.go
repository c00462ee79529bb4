package command

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
)

// at is an object whose file has the given path.
type at struct {
	backends.Object
	path string
	err  error
}

func (c at) Path() (string, error) { return c.path, c.err }

func inDir(t *testing.T, mode os.FileMode) at {
	t.Helper()
	path := filepath.Join(t.TempDir(), "polyclam-X")
	if err := os.WriteFile(path, []byte("content"), mode); err != nil {
		t.Fatal(err)
	}
	return at{backendtest.Bytes(t, []byte("content")), path, nil}
}

// TestTamper checks that a program that alters its file is suspicious, and also failed if
// other engines share the file.
func TestTamper(t *testing.T) {
	for _, how := range []string{copyNone, copyLink, copyFull} {
		for _, per := range []string{perFile, perDirectory} {
			for script, want := range map[string]backends.Category{
				`exit 0`:                            backends.OK,
				`rm "$f"`:                           backends.Suspicious,
				`rm "$f"; exit 2`:                   backends.Suspicious,
				`rm "$f"; exit 1`:                   backends.Virus,
				`rm "$f"; echo ENCRYPTED`:           backends.Suspicious,
				`rm "$f"; echo FOUND A`:             backends.Virus,
				`mv "$f" "$f-moved"`:                backends.Suspicious,
				`: > "$f"`:                          backends.Suspicious,
				`sleep 0.02; printf CONTENT > "$f"`: backends.Suspicious,
				`rm "$f"; printf content > "$f"`:    backends.Suspicious,
				`rm "$f"; mkdir "$f"; touch "$f/x"`: backends.Suspicious,
				`chmod 0 "$f"`:                      backends.OK,
				`[ "$(cat "$f")" = content ]`:       backends.OK,
				`rm "$f"; kill -KILL $$`:            backends.Suspicious,
			} {
				if per == perDirectory && how == copyNone {
					continue
				}
				tamper(t, how, per, script, want)
			}
		}
	}
}

func tamper(t *testing.T, how, per, script string, want backends.Category) {
	t.Helper()
	c := inDir(t, 0o640)
	text := `f="$1"; [ ! -d "$f" ] || f=$(echo "$f"/*); ` + script
	b := open(t, shell(text, func(c *Config) { c.Copy, c.Per = how, per }))
	r, err := b.Scan(t.Context(), c)
	if got := outcomeOf(r, err); got != want {
		t.Errorf("%s %s, %s: %v, want %v: %+v, %v", how, per, script, got, want, r, err)
	}
	named := slices.ContainsFunc(r.Findings, func(f backends.Finding) bool { return f.Name != "" })
	if want == backends.Suspicious && named {
		t.Errorf("%s: %+v", script, r)
	}
	// Other engines share the file, or its content under another name.
	inPlace := strings.HasPrefix(script, ":") || strings.HasPrefix(script, "sleep")
	shared := want != backends.OK && (how == copyNone || how == copyLink && inPlace)
	if reported := err != nil && strings.Contains(err.Error(), "altered a file that other engines share"); reported != shared {
		t.Errorf("%s %s, %s: shared: %v, but %v", how, per, script, shared, err)
	}
	if how == copyNone {
		return
	}
	entries, _ := os.ReadDir(filepath.Dir(c.path))
	left := len(entries)
	if strings.HasPrefix(script, "mv") && per == perFile {
		left-- // removed with the spool, which recognises it by its name
	}
	data, err := os.ReadFile(c.path)
	if err != nil || left != 1 || how == copyFull && string(data) != "content" {
		t.Errorf("%s %s, %s: %v are left; the object's file: %q, %v", how, per, script, entries, data, err)
	}
}

// TestOwnFile checks that the engines can read the program's file as configured.
func TestOwnFile(t *testing.T) {
	const group = 4242 // any number will do
	for _, mode := range []os.FileMode{0o600, 0o640, 0o644} {
		for _, how := range []string{copyLink, copyFull} {
			c := inDir(t, mode)
			if err := os.Chmod(c.path, mode); err != nil {
				t.Fatal(err)
			}
			wantGroup := os.Getegid()
			if os.Geteuid() == 0 {
				wantGroup = group
				if err := os.Chown(c.path, -1, group); err != nil {
					t.Fatal(err)
				}
			}
			b := &Backend{per: perDirectory, copy: how}
			s, err := b.stage(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			for path, want := range map[string]os.FileMode{
				s.file: mode, s.arg: map[os.FileMode]os.FileMode{0o600: 0o700, 0o640: 0o750, 0o644: 0o755}[mode],
			} {
				info, err := os.Lstat(path)
				if err != nil || info.Mode().Perm() != want || int(info.Sys().(*syscall.Stat_t).Gid) != wantGroup {
					t.Errorf("%s: %v, %v, want %v and group %d", path, info, err, want, wantGroup)
				}
			}
			original, _ := os.Lstat(c.path)
			if same := os.SameFile(original, s.before); same != (how == copyLink) {
				t.Errorf("%s: the same file: %v", how, same)
			}
			if altered := s.finish(); altered.text != "" {
				t.Error(altered.text)
			}
			if _, err := os.Lstat(s.arg); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s is left: %v", s.arg, err)
			}
		}
	}
}

// TestBadPaths checks that an unusual path is not passed to a program, and that the failure
// is the file's.
func TestBadPaths(t *testing.T) {
	b := open(t, shell("exit 0"))
	for _, c := range []at{
		{path: ""}, {path: "relative"}, {path: "-rf"}, {path: "/a b"}, {path: "/a\nb"}, {path: "/\xc3\xa4"}, {path: "/a\x00"}, {path: "/a\x7f"},
		{path: "/nonexistent/file"}, {err: os.ErrNotExist}, {err: os.ErrPermission}, {err: errors.New("no directory is configured")},
	} {
		c.Object = backendtest.CleanObject(t)
		r, err := b.Scan(t.Context(), c)
		if err == nil || backends.CategoryOf(err) != backends.SWErr {
			t.Errorf("%q, %v: %+v, %v", c.path, c.err, r, err)
		}
	}
}

// TestCopyEnds checks that copying ends with its context and leaves no files.
func TestCopyEnds(t *testing.T) {
	c := inDir(t, 0o600)
	ctx, cancel := context.WithCancel(t.Context())
	b := open(t, shell("exit 0", func(c *Config) { c.Copy = copyFull }))
	r, err := b.Scan(ctx, cancelling{c, cancel})
	if err == nil || backends.CategoryOf(err) != backends.Interrupted {
		t.Errorf("%+v, %v", r, err)
	}
	if entries, _ := os.ReadDir(filepath.Dir(c.path)); len(entries) != 1 {
		t.Errorf("%v are left", entries)
	}
}

type cancelling struct {
	at
	cancel func()
}

func (c cancelling) Path() (string, error) {
	c.cancel()
	return c.at.Path()
}

// TestShortObject checks that an object that is shorter than its size is not scanned.
func TestShortObject(t *testing.T) {
	c := inDir(t, 0o600)
	b := open(t, shell("exit 0", func(c *Config) { c.Copy = copyFull }))
	r, err := b.Scan(t.Context(), longer{c})
	if err == nil || backends.CategoryOf(err) != backends.SWErr {
		t.Errorf("%+v, %v", r, err)
	}
}

type longer struct{ at }

func (c longer) Size() int64 { return c.at.Size() + 1 }
