package proxy

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"polyclam/backends/testfile"
	"polyclam/proxy/hook"
	"polyclam/test/testkit"
)

// TestOnFind scans in every way and checks for which objects the program runs, and that
// Shutdown waits for it.
func TestOnFind(t *testing.T) {
	dir := t.TempDir()
	c := hook.Defaults()
	c.Program, c.Arguments = "/bin/sh", []string{"-c", `echo "$POLYCLAM_COMMAND $CLAM_VIRUSEVENT_FILENAME $CLAM_VIRUSEVENT_VIRUSNAME $POLYCLAM_ENGINES" >> "$1"`, "hook", dir + "/found"}
	c.MaxRunning = 1
	bad, good := filepath.Join(dir, "bad"), filepath.Join(dir, "good")
	for file, data := range map[string][]byte{bad: testfile.EICAR(), good: []byte("good")} {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ts := newServer(t, func(cfg *Config) { cfg.OnFind = &c }, eicarOnly())
	eicar := string(testfile.EICAR())
	for _, command := range []string{
		"zINSTREAM\x00" + stream("harmless", 8), "zINSTREAM\x00" + stream(eicar, 16), "zXINSTREAM\x00" + stream(eicar, 16),
		"zSCAN " + good + "\x00", "zSCAN " + bad + "\x00", "zMULTISCAN " + dir + "\x00",
		"zIDSESSION\x00zINSTREAM\x00" + stream(eicar, 16) + "zEND\x00",
	} {
		ts.ask(command)
	}
	testkit.Eventually(t, "most runs", func() bool { return ts.onFind.Stats().Runs >= 4 })
	if err := ts.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(dir + "/found")
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Split(strings.TrimSpace(string(data)), "\n")
	want := []string{
		"INSTREAM stream Eicar-Test-Signature fake=virus", "INSTREAM stream Eicar-Test-Signature fake=virus",
		"MULTISCAN " + bad + " Eicar-Test-Signature fake=virus", "SCAN " + bad + " Eicar-Test-Signature fake=virus",
		"XINSTREAM stream Eicar-Test-Signature fake=virus",
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("the program ran for\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	testkit.Eventually(t, "the runs are counted", func() bool { return ts.onFind.Stats() == hook.Stats{Runs: 5} })
}

// TestOnFindDoesNotHoldUpShutdown has a program that would run for longer than the test.
func TestOnFindDoesNotHoldUpShutdown(t *testing.T) {
	c := hook.Defaults()
	c.Program, c.Arguments, c.Timeout = "/bin/sleep", []string{"1000"}, 1000*time.Second
	c.MaxRunning = 1
	ts := newServer(t, func(cfg *Config) { cfg.OnFind = &c }, eicarOnly())
	for range 2 {
		ts.ask("zINSTREAM\x00" + stream(string(testfile.EICAR()), 16))
	}
	if err := ts.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := ts.onFind.Stats(), (hook.Stats{Runs: 1, Failures: 1, Dropped: 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
