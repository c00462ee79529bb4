package clients

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"polyclam/test/clamdtest"
)

var nodeClients = []client{
	clamscanNPM("npm clamscan (unix)", "unix", "scanFile"),
	clamscanNPM("npm clamscan scanStream (unix)", "unix", "scanStream"),
	clamscanNPM("npm clamscan (TCP)", "tcp", "scanFile"),
	clamscanNPM("npm clamscan scanStream (TCP)", "tcp", "scanStream"),
	haraka, harakaMarking,
}

// nodeModules is where test/install-node puts the packages.
const nodeModules = "testdata/node/node_modules"

// requireNode returns the path of node and the absolute path of nodeModules. If one of
// them is missing, the test is skipped or fails, as in clamdtest.RequireProgram.
func requireNode(t *testing.T) (node, modules string) {
	t.Helper()
	node = clamdtest.RequireProgram(t, "node")
	modules, err := filepath.Abs(nodeModules)
	if err != nil {
		t.Fatal(err)
	}
	// test/install-node creates this file at its end.
	if _, err := os.Stat(filepath.Join(modules, ".installed")); err != nil {
		clamdtest.NotTested(t, "the packages from npm are not installed by test/install-node")
	}
	return node, modules
}

// clamscanNPM is the package of that name, in an application that calls it with how.
func clamscanNPM(name, network, how string) client {
	c := client{name: name, recipe: "npm-clamscan.md", listener: "listener", network: network}
	if network == "unix" && how == "scanFile" {
		c.but = map[string]outcome{caseOversize: clean}
		c.open = map[string]string{caseOversize: unlimited}
	}
	c.start = func(t *testing.T, at target) scan {
		application := startClamscanNPM(t, at, "60000")
		return func(t *testing.T, s sample) finding { return application.ask(t, how, s.path) }
	}
	return c
}

// A nodeApplication is a process that answers lines.
type nodeApplication struct {
	in  io.Writer
	out chan string // lines; closed at their end
}

// startClamscanNPM runs testdata/node/ask.js around the code of the recipe.
func startClamscanNPM(t *testing.T, at target, timeout string) *nodeApplication {
	t.Helper()
	node, modules := requireNode(t)
	clamd := snippet(t, "npm-clamscan.md", "unix")
	if at.network == "tcp" {
		clamd = snippet(t, "npm-clamscan.md", "tcp")
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"clamd.js": strings.Replace(at.fill(clamd), "60000", timeout, 1),
		"scan.js":  snippet(t, "npm-clamscan.md", "scan"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(node, "testdata/node/ask.js", filepath.Join(dir, "scan.js"))
	cmd.Env = append(os.Environ(), "NODE_PATH="+modules)
	return startNode(t, cmd)
}

// startNode runs an application. Cleanup closes its input, and the application must
// then exit with status 0. Its stderr is shown if the test failed.
func startNode(t *testing.T, cmd *exec.Cmd) *nodeApplication {
	t.Helper()
	var stderr strings.Builder
	cmd.Stderr = &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	a := &nodeApplication{in, make(chan string, 1)}
	go func() {
		defer close(a.out)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			a.out <- lines.Text()
		}
	}()
	t.Cleanup(func() {
		in.Close()
		timer := time.AfterFunc(hang, func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
		defer timer.Stop()
		for line := range a.out {
			t.Errorf("%s said too much: %s", cmd.Path, line)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v", cmd.Path, err)
		}
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		if t.Failed() {
			t.Logf("errors of %s:\n%s", cmd.Path, stderr.String())
		}
	})
	return a
}

// ask scans a file in one of the modes of ask.js.
func (a *nodeApplication) ask(t *testing.T, how, path string) finding {
	t.Helper()
	line, err := a.line(how + " " + path + "\n")
	if err != nil {
		t.Fatalf("node: %v", err)
	}
	var answer struct {
		Viruses      []string
		Error, Cause string
	}
	if err := json.Unmarshal([]byte(line), &answer); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	switch {
	case answer.Error != "" && answer.Viruses == nil:
		return finding{refused, line}
	case answer.Error == "" && len(answer.Viruses) > 0:
		return finding{infected, line}
	case answer.Error == "" && answer.Viruses != nil:
		return finding{clean, line}
	}
	t.Fatalf("neither clean, nor infected, nor an error: %s", line)
	return finding{}
}

func (a *nodeApplication) line(question string) (string, error) {
	if _, err := io.WriteString(a.in, question); err != nil {
		return "", err
	}
	select {
	case line, ok := <-a.out:
		if !ok {
			return "", errors.New("ended")
		}
		return line, nil
	case <-time.After(hang):
		return "", errors.New("does not answer")
	}
}

// TestClamscanNPMFailsClosed gives the recipe's code replies that are no verdict.
func TestClamscanNPMFailsClosed(t *testing.T) {
	t.Parallel()
	dir := clamdtest.Dir(t, "")
	content, empty := filepath.Join(dir, "content"), filepath.Join(dir, "empty")
	if err := errors.Join(os.WriteFile(content, []byte("nothing to be found here\n"), 0o644), os.WriteFile(empty, nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, reply, how, path string
		want                   outcome
	}{
		{"clean", "stream: OK\x00", "scanStream", content, clean},
		{"clean file", "/path: OK\n", "scanFile", content, clean},
		{"virus", "stream: Eicar FOUND\x00", "scanStream", content, infected},
		{"virus without a name", "stream:   FOUND\x00", "scanStream", content, infected},
		{"error", "stream: Can't allocate memory ERROR\x00", "scanStream", content, refused},
		{"error, a file", "/path: Can't allocate memory ERROR\n", "scanFile", content, refused},
		{"annotated", "stream: category=encrypted OK\x00", "scanStream", content, refused},
		{"another last word", "stream: Zip ENCRYPTED\x00", "scanStream", content, refused},
		{"another last word, a file", "/path: Zip ENCRYPTED\n", "scanFile", content, refused},
		{"timeout of the command", "COMMAND READ TIMED OUT\x00", "scanStream", content, refused},
		{"closed", "", "scanStream", content, refused},
		{"closed, a file", "", "scanFile", content, refused},
		{"silence", silence, "scanStream", content, refused},
		{"silence, a file", silence, "scanFile", content, refused},
		{"missing file", "/path: OK\n", "scanFile", filepath.Join(dir, "missing"), refused},
		{"missing stream", "stream: OK\x00", "scanStream", filepath.Join(dir, "missing"), refused},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			at := target{network: "unix", socket: answerOnly(t, tt.reply)}
			if got := startClamscanNPM(t, at, "2000").ask(t, tt.how, tt.path); got.outcome != tt.want {
				t.Errorf("%s (%s), want %s", got.outcome, got.text, tt.want)
			}
		})
	}
	// An empty stream is a single zero length with no command before it.
	engine := clamdtest.Start(t, clamdtest.Options{Daily: true})
	at := newTarget(t, nodeClients[0])
	at.startPolyclam(t, nodeClients[0], &engines{clamd: engine.Socket}, worldUp)
	if got := startClamscanNPM(t, at, "2000").ask(t, "scanStream", empty); got.outcome != refused {
		t.Errorf("empty stream: %s (%s)", got.outcome, got.text)
	}
}
