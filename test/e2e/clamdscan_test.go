package e2e

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"polyclam/test/clamdtest"
)

// clamdscanModes are the ways clamdscan can pass an object.
var clamdscanModes = []struct {
	name string
	args []string
}{
	{"stream", []string{"--stream"}},
	{"fdpass", []string{"--fdpass"}},
	{"path", nil},
	{"multiscan", []string{"--multiscan"}},
	{"allmatch", []string{"--allmatch"}},
	{"multiscan stream", []string{"--multiscan", "--stream"}},
	{"multiscan fdpass", []string{"--multiscan", "--fdpass"}},
	{"allmatch stream", []string{"--allmatch", "--stream"}},
}

// clamdscanCases are the objects. status is clamdscan's exit status, or -1 if it
// depends on the mode.
var clamdscanCases = []struct {
	name, path string
	status     int
}{
	{"clean", "clean.txt", 0},
	{"eicar", "eicar.com", 1},
	{"eicar in a zip", "eicar.zip", 1},
	{"directory of both", "both", 1},
	{"clean directory", "clean", 0},
	{"empty file", "empty", 0},
	{"unreadable file", "unreadable", -1},
	{"missing file", "missing", 2},
	{"two matches", "two.txt", 1},
	{"name with blank", "a b: OK", 1},
}

func scanTree(t *testing.T) string {
	t.Helper()
	dir := clamdtest.Dir(t, "")
	for name, content := range map[string]string{
		"clean.txt": "clean\n", "eicar.com": clamdtest.EICAR(), "eicar.zip": zipped(t, "eicar.com", clamdtest.EICAR()), "empty": "",
		"both/clean.txt": "clean\n", "both/eicar.com": clamdtest.EICAR(), "both/sub/one.txt": clamdtest.One, "clean/a": "a", "clean/b/c": "c",
		"unreadable": clamdtest.EICAR(), "two.txt": clamdtest.One + " " + clamdtest.Two, "a b: OK": clamdtest.EICAR(),
	} {
		write(t, filepath.Join(dir, name), content, 0o644)
	}
	if err := os.Chmod(filepath.Join(dir, "unreadable"), 0); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestClamdscan runs clamdscan against clamd and against a polyclamd in front of it:
// output and exit status must be the same.
func TestClamdscan(t *testing.T) {
	clamdscan := clamdtest.RequireProgram(t, "clamdscan")
	clamd := clamdtest.Start(t, clamdtest.Options{})
	polyclam := clamdtest.StartPolyclam(t, config(clamd.Socket, ""), clamdtest.Options{})
	dir := scanTree(t)
	confs := clamdtest.Dir(t, "")
	direct, through := filepath.Join(confs, "direct.conf"), filepath.Join(confs, "through.conf")
	write(t, direct, "LocalSocket "+clamd.Socket+"\n", 0o644)
	write(t, through, "LocalSocket "+polyclam.Socket+"\n", 0o644)

	users := map[string]*syscall.Credential{"own user": nil}
	if clamdtest.Unprivileged() {
		users["nobody"] = clamdtest.Credential(t, "")
	}
	for _, mode := range clamdscanModes {
		for _, c := range clamdscanCases {
			for user, credential := range users {
				t.Run(mode.name+"/"+c.name+"/"+user, func(t *testing.T) {
					args := append(slices.Clone(mode.args), filepath.Join(dir, c.path))
					want := runClamdscan(t, clamdscan, direct, credential, args)
					got := runClamdscan(t, clamdscan, through, credential, args)
					if got != want {
						t.Errorf("clamdscan %v\nthrough polyclam: %+v\ndirectly:         %+v", args, got, want)
					}
					if c.status >= 0 && want.status != c.status {
						t.Errorf("exit status %d, want %d", want.status, c.status)
					}
				})
			}
		}
	}
}

// printed is the output and exit status of a clamdscan run.
type printed struct {
	out    string
	status int
}

// clamdscanTimes are the lines that differ in every run.
var clamdscanTimes = regexp.MustCompile(`(?m)^(?:Time|Start Date|End Date):.*\n`)

func runClamdscan(t *testing.T, program, conf string, credential *syscall.Credential, args []string) printed {
	t.Helper()
	cmd := exec.Command(program, append([]string{"--config-file=" + conf}, args...)...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	// With --multiscan several threads scan a directory.
	lines := strings.SplitAfter(clamdscanTimes.ReplaceAllString(out.String(), ""), "\n")
	slices.Sort(lines)
	return printed{strings.Join(lines, ""), cmd.ProcessState.ExitCode()}
}

// TestClamdscanVersionAndPing runs clamdscan's commands other than scans.
func TestClamdscanVersionAndPing(t *testing.T) {
	clamdscan := clamdtest.RequireProgram(t, "clamdscan")
	clamd := clamdtest.Start(t, clamdtest.Options{Daily: true})
	polyclam := clamdtest.StartPolyclam(t, config(clamd.Socket, ""), clamdtest.Options{})
	confs := clamdtest.Dir(t, "")
	direct, through := filepath.Join(confs, "direct.conf"), filepath.Join(confs, "through.conf")
	write(t, direct, "LocalSocket "+clamd.Socket+"\n", 0o644)
	write(t, through, "LocalSocket "+polyclam.Socket+"\n", 0o644)
	for _, args := range [][]string{{"--version"}, {"--ping", "3:1"}, {"--ping", "3:1", "--wait", "/etc/hostname"}, {"--reload"}} {
		want := runClamdscan(t, clamdscan, direct, nil, args)
		if got := runClamdscan(t, clamdscan, through, nil, args); got != want {
			t.Errorf("clamdscan %v\nthrough polyclam: %+v\ndirectly:         %+v", args, got, want)
		}
	}
}
