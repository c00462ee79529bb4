package listen

import (
	"os"
	"path/filepath"
	"testing"

	"polyclam/test/testkit"
)

// TestDefaultDirectory checks that a socket directory among temporary files must belong to this
// user.
func TestDefaultDirectory(t *testing.T) {
	t.Setenv("TMPDIR", testkit.SocketDir(t))
	dir := filepath.Join(os.TempDir(), "polyclam")
	path := filepath.Join(dir, "clamd.sock")
	for range 2 { // created, then found
		if err := makeDirectory(path, true); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Lstat(dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v, want mode 0700", info, err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := makeDirectory(path, true); err == nil {
		t.Error("a directory that everyone may write to was accepted")
	}
	if err := os.Rename(dir, dir+"2"); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir+"2", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(dir+"2", dir); err != nil {
		t.Fatal(err)
	}
	if err := makeDirectory(path, true); err == nil {
		t.Error("a symbolic link was accepted")
	}
}
