package listen

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"polyclam/test/testkit"
)

// leaveSocket leaves a socket at path that no process listens on.
func leaveSocket(t *testing.T, path string) {
	t.Helper()
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ln.SetUnlinkOnClose(false)
	ln.Close()
}

func wantGone(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there (%v)", path, err)
	}
}

func TestRemoveStale(t *testing.T) {
	dir := testkit.SocketDir(t)
	path := filepath.Join(dir, "s")
	if err := removeStale(path); err != nil {
		t.Errorf("no socket: %v", err)
	}
	leaveSocket(t, path)
	if err := removeStale(path); err != nil {
		t.Errorf("a stale socket: %v", err)
	}
	wantGone(t, path)

	link := filepath.Join(dir, "l") // must not be followed
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{link, path, dir} {
		if err := removeStale(p); err == nil {
			t.Errorf("%s was removed", p)
		}
		if _, err := os.Lstat(p); err != nil {
			t.Error(err)
		}
	}
}

// TestSocketBeginsPrivate checks the mode between bind and chmod.
func TestSocketBeginsPrivate(t *testing.T) {
	path := filepath.Join(testkit.SocketDir(t), "s")
	ln, err := listenPrivate(path)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Perm() != 0 {
		t.Errorf("%v, %v, want mode 0", info.Mode(), err)
	}
}

func TestSocketGroup(t *testing.T) {
	groups, err := os.Getgroups()
	if err != nil {
		t.Fatal(err)
	}
	group := os.Getgid()
	for _, g := range groups {
		group = g // the last one: if there are several, it differs from the first
	}
	if os.Getuid() == 0 {
		group = 12345
	}
	path := filepath.Join(testkit.SocketDir(t), "s")
	ln, err := openUnix(path, 0o660, group)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	if gid := info.Sys().(*syscall.Stat_t).Gid; int(gid) != group || info.Mode().Perm() != 0o660 {
		t.Errorf("group %d, mode %v, want %d and 0660", gid, info.Mode(), group)
	}
}

// TestCloseRemovesOwnFileOnly puts another daemon's socket at the path.
func TestCloseRemovesOwnFileOnly(t *testing.T) {
	path := filepath.Join(testkit.SocketDir(t), "s")
	s, err := openUnix(path, 0o666, NoGroup)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	other, err := openUnix(path, 0o666, NoGroup)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Error("the socket of the other daemon is gone")
	}
	other.Close()
	wantGone(t, path)
	other.Close() // may be called again
}

// TestOpenBound checks that only a socket of this user with mode 0 is accepted.
func TestOpenBound(t *testing.T) {
	dir := testkit.SocketDir(t)
	file, link, socket := filepath.Join(dir, "f"), filepath.Join(dir, "l"), filepath.Join(dir, "s")
	if err := os.WriteFile(file, nil, 0); err != nil {
		t.Fatal(err)
	}
	ln, err := listenPrivate(socket)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if err := os.Symlink(socket, link); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{file: false, link: false, socket: true, filepath.Join(dir, "none"): false} {
		f, err := openBound(path)
		if (err == nil) != want {
			t.Errorf("%s: %v", path, err)
		}
		if f != nil {
			f.Close()
		}
	}
	if err := os.Chmod(socket, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := openBound(socket); err == nil {
		t.Error("a socket that everyone may use was accepted")
	}
}

// TestCloseOfHungSocket checks that Close stops listening and returns even if the file system
// of the socket hangs.
func TestCloseOfHungSocket(t *testing.T) {
	path := filepath.Join(testkit.SocketDir(t), "s")
	s, err := openUnix(path, 0o600, -1)
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock() // as a hung SetAccess would
	s.Close()
	if nc, err := net.Dial("unix", path); err == nil {
		nc.Close()
		t.Error("the socket still listens")
	}
	s.mu.Unlock()
	testkit.Eventually(t, "the removal", func() bool { _, err := os.Lstat(path); return err != nil })
	if err := s.SetAccess(0o600, -1); err == nil {
		t.Error("SetAccess succeeds on a closed socket")
	}
}
