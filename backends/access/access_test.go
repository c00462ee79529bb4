package access

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMay(t *testing.T) {
	file := Entry{UID: 10, GID: 20, Mode: 0o640}
	for _, c := range []struct {
		name string
		id   Identity
		e    Entry
		need Need
		want bool
	}{
		{"owner", Identity{10, []int{99}}, file, Read | Write, true},
		{"group", Identity{11, []int{99, 20}}, file, Read, true},
		{"group writes", Identity{11, []int{20}}, file, Write, false},
		{"others", Identity{11, []int{21}}, file, Read, false},
		{"root", Identity{0, nil}, Entry{UID: 1, GID: 1}, Read, true},
		// The kernel asks only one class.
		{"owner with less than others", Identity{10, nil}, Entry{UID: 10, GID: 20, Mode: 0o044}, Read, false},
		{"group with less than others", Identity{11, []int{20}}, Entry{UID: 10, GID: 20, Mode: 0o604}, Read, false},
		{"others may", Identity{11, nil}, Entry{UID: 10, GID: 20, Mode: 0o604}, Read, true},
	} {
		if got := c.id.may(c.e, c.need); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestCheck(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	open, private := filepath.Join(dir, "open"), filepath.Join(dir, "private")
	for path, mode := range map[string]fs.FileMode{open: 0o755, private: 0o700} {
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(path, "f"), nil, 0o640); err != nil {
			t.Fatal(err)
		}
	}
	for d := dir; d != "/"; d = filepath.Dir(d) { // t.TempDir is private
		if strings.HasPrefix(d, os.TempDir()+"/") {
			os.Chmod(d, 0o755)
		}
	}
	if err := os.Symlink(filepath.Join(private, "f"), filepath.Join(open, "link")); err != nil {
		t.Fatal(err)
	}
	self, err := entry(open, os.Stat)
	if err != nil {
		t.Fatal(err)
	}
	stranger := Identity{UID: self.UID + 1, GIDs: []int{self.GID + 1}}
	member := Identity{UID: self.UID + 1, GIDs: []int{self.GID}}
	for _, c := range []struct {
		name, path string
		id         Identity
		denied     string // the path; empty: nothing
	}{
		{"owner", private + "/f", Identity{self.UID, []int{self.GID}}, ""},
		{"member", open + "/f", member, ""},
		{"stranger", open + "/f", stranger, open + "/f"},
		{"member behind a directory", private + "/f", member, private},
		{"through a link", open + "/link", member, private},
	} {
		d, err := c.id.Check(c.path, Read)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if d != nil {
			got = d.Path
		}
		if got != c.denied {
			t.Errorf("%s: denied by %q, want %q", c.name, got, c.denied)
		}
	}
	if _, err := stranger.Check(dir+"/none", Read); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if d, err := member.CheckEntry(Entry{Path: open + "/new", UID: self.UID, GID: self.GID + 7, Mode: 0o640}, Read); err != nil || d == nil || d.Path != open+"/new" {
		t.Errorf("a file that does not exist: %v, %v", d, err)
	}
}

func TestDenial(t *testing.T) {
	const unknown = 1999999
	socket := Denial{Entry: Entry{"/run/x", unknown, unknown, 0o660 | fs.ModeSocket}, Need: Connect}
	if got := socket.String(); got != "the socket /run/x is 0660 1999999:1999999" {
		t.Error(got)
	}
	if got := socket.Remedy(); !strings.HasPrefix(got, "add SupplementaryGroups=1999999 to polyclamd's unit (") {
		t.Error(got)
	}
	dir := Denial{Entry: Entry{"/d", 0, unknown, 0o700 | fs.ModeDir}, Need: Search | Read, Identity: Identity{UID: 5}}
	if got := dir.String() + ": " + dir.Remedy(); !strings.HasPrefix(got, "the directory /d is 0700 root:1999999: ") || !strings.Contains(got, "chmod g+rx), and add SupplementaryGroups=1999999 to") {
		t.Error(got)
	}
}
