package access

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"polyclam/test/testkit"
)

// nobody is a user that owns no files, with the group 65534.
const nobody = 65534

// TestExplain runs itself as another user, which root is not.
func TestExplain(t *testing.T) {
	if path := os.Getenv("POLYCLAM_TEST_ACCESS"); path != "" {
		fmt.Println(Explain(path, Connect))
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can make files of another group")
	}
	for _, tt := range []struct {
		name            string
		directory, mode os.FileMode
		group           int
		want, dontWant  string
	}{
		{"socket", 0o755, 0o660, 4, "the socket is 0660 root:" + GroupName(4) + ", and access.test runs as ", "chmod"},
		{"group", 0o755, 0o660, 4, "add SupplementaryGroups=" + GroupName(4) + " to polyclamd's unit", "chmod"},
		{"directory", 0o750, 0o666, 4, "DIR is 0750 root:" + GroupName(4), "the socket"},
		{"private directory", 0o700, 0o666, 4, "DIR is 0700 root:" + GroupName(4), "AppArmor"},
		{"private socket", 0o755, 0o600, 4, "give its group the right (chmod g+w), and add SupplementaryGroups=" + GroupName(4), "AppArmor"},
		{"allowed", 0o755, 0o666, 4, "AppArmor or SELinux denies it", "SupplementaryGroups"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			top, err := os.MkdirTemp("", "access")
			if err != nil {
				t.Fatal(err)
			}
			defer os.RemoveAll(top)
			dir := filepath.Join(top, "d")
			path := filepath.Join(dir, "s")
			os.Chmod(top, 0o755)
			os.Mkdir(dir, 0o755)
			l, err := net.Listen("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			os.Chown(dir, 0, tt.group)
			os.Chown(path, 0, tt.group)
			os.Chmod(path, tt.mode)
			os.Chmod(dir, tt.directory)
			self := filepath.Join(top, "access.test")
			copyFile(t, os.Args[0], self)
			c := exec.Command(self, "-test.run=^TestExplain$")
			c.Dir, c.Env = "/", []string{"POLYCLAM_TEST_ACCESS=" + path}
			c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
			out, err := c.CombinedOutput()
			want := strings.ReplaceAll(tt.want, "DIR", "the directory "+dir)
			if err != nil || !strings.Contains(string(out), want) || strings.Contains(string(out), tt.dontWant) || strings.Contains(string(out), path) {
				t.Errorf("%v: %s\nwant %s", err, out, want)
			}
		})
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	testkit.WriteProgram(t, to, data)
}

func TestMissing(t *testing.T) {
	dir := t.TempDir()
	for path, want := range map[string]string{
		"s": "", "a/s": "a", "a/b/s": "a",
	} {
		if want != "" {
			want = filepath.Join(dir, want)
		}
		if got := Missing(filepath.Join(dir, path)); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}
