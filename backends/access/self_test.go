package access

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// asStranger runs f on a thread that the kernel treats as one of another user, without the
// rights of root.
func asStranger(t *testing.T, f func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if err := errors.Join(syscall.Setfsgid(54321), syscall.Setfsuid(54321)); err != nil {
			t.Error(err)
		}
		f()
	}()
	<-done
}

func TestCheckSelf(t *testing.T) {
	top := t.TempDir()
	for _, dir := range []string{top, filepath.Dir(top)} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	const gid = 54399 // no group has it
	create := func(name string, mode os.FileMode, gid int) {
		t.Helper()
		at := filepath.Join(top, name)
		if strings.HasSuffix(name, "/") {
			if err := os.Mkdir(at, 0o755); err != nil {
				t.Fatal(err)
			}
		} else if err := os.WriteFile(at, []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
		if os.Geteuid() == 0 {
			if err := os.Chown(at, 54398, gid); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(at, mode); err != nil {
			t.Fatal(err)
		}
	}
	create("open", 0o644, gid)
	create("group", 0o640, gid)
	create("private", 0o600, gid)
	create("own", 0o600, 0) // in the process's group
	create("list/", 0o711, gid)
	create("away/", 0o755, gid)
	create("away/file", 0o644, gid)
	create("hidden/", 0o755, gid)
	create("hidden/file", 0o644, gid)
	for name, mode := range map[string]os.FileMode{"away": 0o700, "hidden": 0} {
		if err := os.Chmod(filepath.Join(top, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{"relative": "away/file", "absolute": filepath.Join(top, "away", "..", "group"), "loop": "loop", "broken": "missing"} {
		if err := os.Symlink(target, filepath.Join(top, link)); err != nil {
			t.Fatal(err)
		}
	}
	asStranger(t, func() {
		for _, tt := range []struct{ name, subject, remedy string }{
			{"open", "", ""},
			{"group", "file TOP/group is 0640 54398:54399", "add SupplementaryGroups=54399 to polyclamd's unit (systemctl edit polyclamd) and restart it"},
			{"private", "file TOP/private is 0600 54398:54399", "chmod g+r), and add SupplementaryGroups=54399"},
			{"own", "file TOP/own is 0600 54398:root", "give its group the right (chmod g+r)"},
			{"list", "directory TOP/list is 0711 54398:54399", "chmod g+rx), and"},
			{"away/file", "directory TOP/away is 0700 54398:54399", "chmod g+x), and"},
			{"hidden/file", "directory TOP/hidden is 0000 54398:54399", "ProtectHome="},
			{"relative", "directory TOP/away is 0700", "chmod g+x"},
			{".//relative/", "directory TOP/away is 0700", "chmod g+x"},
			{"loop", "error", ""},
			{"broken", "error", ""},
			{"missing", "error", ""},
			{"a\x00b", "error", ""},
		} {
			d, err := CheckSelf(top+"/"+tt.name, Read)
			subject, remedy := "", ""
			switch {
			case err != nil:
				subject = "error"
			case d != nil:
				subject, remedy = strings.ReplaceAll(d.String(), top, "TOP"), d.Remedy()
			}
			if !strings.Contains(subject, tt.subject) || tt.subject == "" && subject != "" || !strings.Contains(remedy, tt.remedy) {
				t.Errorf("%q: %q, %q, %v", tt.name, subject, remedy, err)
			}
			if d != nil && d.Identity.String() != "root (groups root)" && !strings.HasPrefix(d.Identity.String(), "root (groups root, ") {
				t.Errorf("identity %s", d.Identity)
			}
		}
	})
}
