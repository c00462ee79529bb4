package docs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"polyclam/test/clamdtest"
)

func TestMain(m *testing.M) {
	code := clamdtest.Main(m)
	if binDir != "" {
		os.RemoveAll(binDir)
	}
	os.Exit(code)
}

var (
	binDir   string
	buildBin = sync.OnceValue(func() error {
		dir, err := os.MkdirTemp("", "pcdocs")
		if err != nil {
			return err
		}
		binDir = dir
		out, err := exec.Command("go", "build", "-o", dir, "polyclam/cmd/polyclamd", "polyclam/cmd/polyclam").CombinedOutput()
		if err != nil {
			return errors.New(string(out))
		}
		return os.Chmod(dir, 0o755)
	})
)

// bin builds both programs once and returns their folder.
func bin(t testing.TB) string {
	t.Helper()
	if err := buildBin(); err != nil {
		t.Fatal(err)
	}
	return binDir
}

// run runs a program of this repository and returns everything it prints. Its exit
// status does not matter: several say something by it.
func run(t testing.TB, program string, args ...string) string {
	t.Helper()
	out, err := exec.Command(filepath.Join(bin(t), program), args...).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(out)
}

// check runs polyclamd --check-file on a configuration: its addresses and files need not be
// those of this machine.
func check(t testing.TB, daemon, text string) (output string, ok bool) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(daemon, "--config", file, "--check-file").CombinedOutput()
	return string(out), err == nil
}

// start runs polyclamd in front of a real clamd and inspect. Its listeners have the
// three forms of the status line.
func start(t testing.TB) *clamdtest.Polyclam {
	t.Helper()
	clamd := clamdtest.Start(t, clamdtest.Options{})
	return clamdtest.StartPolyclam(t, `
[[listener]]
address = "unix:${DIR}/p.sock"
[[listener]]
address = "unix:${DIR}/extended.sock"
status = "extended"
[[listener]]
address = "unix:${DIR}/annotated.sock"
status = "annotated"
[[engine]]
name = "clamav"
backend = "clamd"
address = "unix:`+clamd.Socket+`"
[[engine]]
name = "inspect"
backend = "inspect"
[policy]
first_virus = "wait"
`, clamdtest.Options{})
}

// stream asks over a Unix socket, by INSTREAM or XINSTREAM, and returns the reply.
func stream(t testing.TB, socket, verb string, object []byte) string {
	t.Helper()
	nc, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(time.Minute))
	request := append([]byte("n"+verb+"\n"), binary.BigEndian.AppendUint32(nil, uint32(len(object)))...)
	request = append(append(request, object...), 0, 0, 0, 0)
	if _, err := nc.Write(request); err != nil {
		t.Fatal(err)
	}
	reply, err := io.ReadAll(nc)
	if err != nil {
		t.Fatal(err)
	}
	return string(bytes.TrimRight(reply, "\x00"))
}

// lockedZip returns an archive with a password, made with zip.
func lockedZip(t testing.TB) []byte {
	t.Helper()
	clamdtest.RequireProgram(t, "zip")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "letter.txt"), []byte("Nothing to see here.\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("zip", "-q", "-P", "secret", "payroll.zip", "letter.txt")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	data, err := os.ReadFile(filepath.Join(dir, "payroll.zip"))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// logLine waits for the first line of the log that has the text.
func logLine(t testing.TB, p *clamdtest.Polyclam, text string) string {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		for line := range strings.Lines(p.Log()) {
			if strings.Contains(line, text) && strings.HasSuffix(line, "\n") {
				return line
			}
		}
	}
	t.Fatalf("the log has no line with %q:\n%s", text, p.Log())
	return ""
}
