package clamdtest

import (
	"os"
	"os/user"
	"strconv"
	"syscall"
	"testing"
)

// account is the user that a daemon runs as.
type account struct {
	uid, gid int
	groups   []uint32 // supplementary ones
	change   bool     // we are root and change to this user
}

// in adds the account to groups, if we change to it.
func (a account) in(t testing.TB, groups []string) account {
	t.Helper()
	for _, name := range groups {
		g, err := user.LookupGroup(name)
		if err != nil {
			t.Fatal(err)
		}
		gid, err := strconv.ParseUint(g.Gid, 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		a.groups = append(a.groups, uint32(gid))
	}
	return a
}

// lookup finds the account: name, or nobody, if we are root, else our own.
func lookup(t testing.TB, name string) account {
	t.Helper()
	if os.Geteuid() != 0 {
		return account{uid: os.Geteuid(), gid: os.Getegid()}
	}
	if name == "" {
		name = "nobody"
	}
	u, err := user.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		t.Fatal(err)
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		t.Fatal(err)
	}
	return account{uid: uid, gid: gid, change: true}
}

func (a account) credential() *syscall.Credential {
	if !a.change {
		return nil
	}
	return &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid), Groups: a.groups}
}

// give makes the account the owner of path.
func (a account) give(t testing.TB, path string) {
	t.Helper()
	if err := os.Lchown(path, a.uid, a.gid); err != nil {
		t.Fatal(err)
	}
}

// Dir makes a directory that every user can traverse. It belongs to the user of the
// daemons, name or the default if that is empty. Its path is short enough for a Unix
// socket below it. Cleanup removes it.
func Dir(t testing.TB, name string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pct")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	lookup(t, name).give(t, dir)
	return dir
}

// Unprivileged reports whether the daemons run as another user than the test, so that
// they cannot read a file of mode 0600 that the test made.
func Unprivileged() bool { return os.Geteuid() == 0 }

// Credential is the user the daemons run as, for programs that a test starts itself. It
// is nil for the test's own user.
func Credential(t testing.TB, name string) *syscall.Credential {
	t.Helper()
	return lookup(t, name).credential()
}
