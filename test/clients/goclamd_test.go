package clients

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dutchcoders/go-clamd"

	"polyclam/test/clamdtest"
)

var goClients = []client{
	{name: "go-clamd (unix)", recipe: "go-clamd.md", listener: "listener", network: "unix", start: goClamd("stream")},
	{name: "go-clamd (TCP)", recipe: "go-clamd.md", listener: "listener", network: "tcp", start: goClamd("stream")},
	{
		name: "go-clamd ScanFile", recipe: "go-clamd.md", listener: "listener", network: "unix", start: goClamd("file"),
		but: map[string]outcome{caseOversize: clean}, open: map[string]string{caseOversize: unlimited},
	},
}

// goClamdMain is an application around the code of the recipe. It prints the outcome
// and the names or the error. An object called "broken" ends in a read error.
const goClamdMain = `package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"testing/iotest"
)

func main() {
	viruses, err := scan(os.Args[1], os.Args[2])
	switch {
	case err != nil:
		fmt.Println("refused", err)
	case len(viruses) > 0:
		fmt.Println("infected", strings.Join(viruses, " "))
	default:
		fmt.Println("clean")
	}
}

func scan(how, path string) ([]string, error) {
	if how == "file" {
		return scanFile(context.Background(), path)
	}
	if how == "broken" {
		return scanStream(context.Background(), io.MultiReader(strings.NewReader("the beginning"), iotest.ErrReader(io.ErrUnexpectedEOF)))
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return scanStream(context.Background(), f)
}
`

// goClamd returns a function that starts the application in one of its modes.
func goClamd(how string) func(t *testing.T, at target) scan {
	return func(t *testing.T, at target) scan {
		application := buildGoClamd(t, at, "120 * time.Second")
		return func(t *testing.T, s sample) finding { return goClamdSays(t, "", application, how, s.path) }
	}
}

// buildGoClamd builds the application. It is compiled in this module, whose go.mod has
// the library, but writes no file there.
func buildGoClamd(t *testing.T, at target, patience string) string {
	t.Helper()
	address := snippet(t, "go-clamd.md", "unix")
	if at.network == "tcp" {
		address = snippet(t, "go-clamd.md", "tcp")
	}
	code := strings.Replace(snippet(t, "go-clamd.md", "scan"), "120 * time.Second", patience, 1)
	dir, err := filepath.Abs("goclamd-application")
	if err != nil {
		t.Fatal(err)
	}
	tmp, overlay := t.TempDir(), map[string]string{}
	for name, text := range map[string]string{"main.go": goClamdMain, "scan.go": code, "address.go": at.fill(address)} {
		path := filepath.Join(tmp, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		overlay[filepath.Join(dir, name)] = path
	}
	list, err := json.Marshal(map[string]any{"Replace": overlay})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(tmp, "overlay.json"), list, 0o644); err != nil {
		t.Fatal(err)
	}
	application := filepath.Join(tmp, "application")
	cmd := exec.Command("go", "build", "-overlay", filepath.Join(tmp, "overlay.json"), "-o", application, "./"+filepath.Base(dir))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v: %s", err, out)
	}
	return application
}

// goClamdSays runs the application in a folder and returns its answer.
func goClamdSays(t *testing.T, folder, application, how, path string) finding {
	t.Helper()
	out, status := runIn(t, folder, nil, application, how, path)
	word, text, _ := strings.Cut(out, " ")
	if o := outcome(word); status == 0 && (o == clean || o == infected || o == refused) {
		return finding{o, text}
	}
	t.Fatalf("the application: exit status %d: %s", status, out)
	return finding{}
}

// TestGoClamdFailsClosed gives the recipe's code replies that are no verdict.
func TestGoClamdFailsClosed(t *testing.T) {
	t.Parallel()
	content := filepath.Join(t.TempDir(), "content")
	if err := os.WriteFile(content, []byte("nothing to be found here\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	// One build for all: it connects to the socket in its working directory.
	application := buildGoClamd(t, target{network: "unix", socket: "/proc/self/cwd/clamd.sock"}, "1 * time.Second")
	for _, tt := range []struct {
		name, reply, how string
		want             outcome
	}{
		{"clean", "stream: OK\n", "stream", clean},
		{"clean file", "/path: OK\n", "file", clean},
		{"content breaks off", "stream: OK\n", "broken", refused},
		{"virus", "stream: Eicar FOUND\n", "stream", infected},
		{"virus without a name", "stream: FOUND\n", "stream", infected},
		{"virus and another answer", "stream: Eicar FOUND\nstream: OK\n", "stream", infected},
		{"name with a colon", "stream: HEUR:Trojan FOUND\n", "stream", refused},
		{"path with a colon", "/a:b: OK\n", "file", refused},
		{"error", "stream: Can't allocate memory ERROR\n", "stream", refused},
		{"error, then OK", "stream: Can't allocate memory ERROR\nstream: OK\n", "stream", refused},
		{"OK, then an error", "stream: OK\nstream: Can't allocate memory ERROR\n", "stream", refused},
		{"limit", "INSTREAM size limit exceeded. ERROR\n", "stream", refused},
		{"another last word", "stream: Zip ENCRYPTED\n", "stream", refused},
		{"closed", "", "stream", refused},
		{"closed, a file", "", "file", refused},
		{"cut", "stream: OK", "stream", refused},
		{"silence", silence, "stream", refused},
		{"silence, a file", silence, "file", refused},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			folder := filepath.Dir(answerOnly(t, tt.reply))
			if got := goClamdSays(t, folder, application, tt.how, content); got.outcome != tt.want {
				t.Errorf("%s (%s), want %s", got.outcome, got.text, tt.want)
			}
		})
	}
}

// TestGoClamdLibrary uses every other command of the library with polyclamd.
func TestGoClamdLibrary(t *testing.T) {
	t.Parallel()
	engine := clamdtest.Start(t, clamdtest.Options{Daily: true})
	c := goClients[0]
	at := newTarget(t, c)
	at.startPolyclam(t, c, &engines{clamd: engine.Socket}, worldUp)
	eicar := filepath.Join(clamdtest.Dir(t, ""), "eicar.com")
	if err := os.WriteFile(eicar, []byte(clamdtest.EICAR()), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{"unix://" + at.socket, at.socket, "tcp://127.0.0.1:" + at.port} {
		daemon := clamd.NewClamd(address)
		if err := daemon.Ping(); err != nil {
			t.Errorf("%s: Ping: %v", address, err)
		}
		results, err := daemon.Version()
		if lines := raw(t, results, err); len(lines) != 1 || !strings.HasPrefix(lines[0], "ClamAV ") {
			t.Errorf("%s: Version: %q", address, lines)
		}
		if stats, err := daemon.Stats(); err != nil || stats.Pools != "1" || stats.State == "" || stats.Threads == "" || stats.Queue == "" || stats.Memstats == "" {
			t.Errorf("%s: Stats: %+v, %v", address, stats, err)
		}
	}
	daemon, bare := clamd.NewClamd("unix://"+at.socket), clamd.NewClamd(engine.Socket)
	if err := daemon.Reload(); err != nil {
		t.Errorf("Reload: %v", err)
	}
	type ask = func(*clamd.Clamd, string) (chan *clamd.ScanResult, error)
	for name, ask := range map[string]ask{
		"ScanFile": (*clamd.Clamd).ScanFile, "RawScanFile": (*clamd.Clamd).RawScanFile, "MultiScanFile": (*clamd.Clamd).MultiScanFile,
		"ContScanFile": (*clamd.Clamd).ContScanFile, "AllMatchScanFile": (*clamd.Clamd).AllMatchScanFile,
	} {
		results, err := ask(daemon, eicar)
		got := raw(t, results, err)
		results, err = ask(bare, eicar)
		// clamd 1.4.6 no longer knows RAWSCAN.
		if want := raw(t, results, err); len(want) != 1 || !slices.Equal(got, want) {
			t.Errorf("%s: %q, with clamd %q", name, got, want)
		}
	}
}

// raw returns the lines of all results.
func raw(t *testing.T, results <-chan *clamd.ScanResult, err error) (lines []string) {
	t.Helper()
	if err != nil {
		t.Error(err)
		return nil
	}
	for r := range results {
		lines = append(lines, r.Raw)
	}
	return lines
}
