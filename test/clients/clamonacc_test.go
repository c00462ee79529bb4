package clients

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"polyclam/test/clamdtest"
	"polyclam/test/testkit"
)

var clamonaccClients = []client{clamonacc("clamonacc --fdpass", "--fdpass"), clamonacc("clamonacc --stream", "--stream")}

// clamonacc is ClamAV's scanner of files on access. With OnAccessPrevention it decides
// whether the test may open the sample.
func clamonacc(name, flag string) client {
	c := client{name: name, recipe: "clamonacc.md", listener: "listener", network: "unix"}
	if flag == "--fdpass" {
		c.but = map[string]outcome{caseOversize: clean}
		c.open = map[string]string{caseOversize: unlimited}
	}
	c.start = func(t *testing.T, at target) scan {
		o := startClamonacc(t, at, flag, snippet(t, "clamonacc.md", "unix")+snippet(t, "clamonacc.md", "prevention"))
		return o.open
	}
	return c
}

// requireFanotify skips the test where clamonacc cannot work: without root's rights, or
// without fanotify, as in most containers.
func requireFanotify(t *testing.T) string {
	t.Helper()
	program := clamdtest.RequireProgram(t, "clamonacc")
	clamdtest.RequireRoot(t, "clamonacc")
	fd, err := unix.FanotifyInit(unix.FAN_CLASS_PRE_CONTENT, unix.O_RDONLY)
	if err != nil {
		t.Skipf("NOT TESTED: the kernel refuses fanotify: %v", err)
	}
	unix.Close(fd)
	return program
}

// An onAccess is a running clamonacc and the directory that it watches.
type onAccess struct {
	*served
	dir   string
	count int
}

// startClamonacc runs clamonacc with lines of clamd.conf from the recipe.
func startClamonacc(t *testing.T, at target, flag, lines string) *onAccess {
	t.Helper()
	program := requireFanotify(t)
	o := &onAccess{dir: filepath.Join(t.TempDir(), "upload")}
	if err := os.Mkdir(o.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(t.TempDir(), "clamd.conf")
	// The user of the test's daemons, see clamdtest.Options.
	lines = strings.NewReplacer("/srv/upload", o.dir, "OnAccessExcludeUname polyclam", "OnAccessExcludeUname nobody").Replace(at.fill(lines))
	if err := os.WriteFile(conf, []byte(lines), 0o644); err != nil {
		t.Fatal(err)
	}
	o.served = launch(t, exec.Command(program, append(unitFlags(t, flag), "--verbose", "--config-file="+conf)...))
	o.until(t, func() error {
		if !strings.Contains(o.log(), "watching '"+o.dir+"'") {
			return errors.New("does not watch yet")
		}
		return nil
	})
	return o
}

// unitFlags returns the flags of clamonacc in the recipe's unit, with flag in place of
// --fdpass.
func unitFlags(t *testing.T, flag string) (flags []string) {
	t.Helper()
	_, command, _ := strings.Cut(snippet(t, "clamonacc.md", "drop-in"), "ExecStart=/")
	for _, f := range strings.Fields(command)[1:] {
		switch {
		case f == "--fdpass":
			f = flag
		case strings.HasPrefix(f, "--log="):
			f = "--log=" + filepath.Join(t.TempDir(), "clamonacc.log")
		}
		flags = append(flags, f)
	}
	if !slices.Contains(flags, flag) {
		t.Fatalf("the flags of the unit are %q", flags)
	}
	return flags
}

// open puts a sample into the directory and opens it.
func (o *onAccess) open(t *testing.T, s sample) finding {
	t.Helper()
	o.count++
	path := filepath.Join(o.dir, fmt.Sprintf("%d-%s", o.count, s.name))
	// Moved there, so that it is not open while it is scanned.
	outside := filepath.Join(filepath.Dir(o.dir), s.name)
	if err := os.WriteFile(outside, s.content, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(outside, path); err != nil {
		t.Fatal(err)
	}
	skip := len(o.log())
	_, err := os.ReadFile(path)
	switch {
	case err == nil:
		return finding{clean, ""}
	case !errors.Is(err, fs.ErrPermission):
		t.Fatal(err)
	}
	return o.denied(t, skip, path)
}

// denied returns the reason that clamonacc logs for a file that may not be opened.
func (o *onAccess) denied(t *testing.T, skip int, path string) finding {
	t.Helper()
	found, failed := regexp.MustCompile(regexp.QuoteMeta(path)+`: .* FOUND\n`), regexp.MustCompile(`scan failed with error code \d+\n`)
	var text string
	testkit.Eventually(t, "clamonacc logs why it denied "+path, func() bool {
		text = o.log()[skip:]
		return found.MatchString(text) || failed.MatchString(text)
	})
	if line := found.FindString(text); line != "" {
		return finding{infected, line}
	}
	return finding{refused, text}
}

// TestClamonaccFailsOpen shows why the recipe has OnAccessDenyOnError: without it,
// clamonacc lets a file be opened that was not scanned.
func TestClamonaccFailsOpen(t *testing.T) {
	t.Parallel()
	requireFanotify(t)
	clamdtest.RequireProgram(t, "zip") // for the samples
	prevention, deny := snippet(t, "clamonacc.md", "prevention"), "OnAccessDenyOnError yes\n"
	if !strings.Contains(prevention, deny) {
		t.Fatalf("the recipe does not say %q", deny)
	}
	for _, tt := range []struct {
		name, lines string
		want        outcome
	}{
		{"with it", prevention, refused},
		{"without it", strings.Replace(prevention, deny, "", 1), clean},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := clamonaccClients[0]
			at := newTarget(t, c)
			daemon := at.startPolyclam(t, c, &engines{failing: startFake(t, "stream: Can't allocate memory ERROR")}, worldFailing)
			o := startClamonacc(t, at, "--fdpass", snippet(t, "clamonacc.md", "unix")+tt.lines)
			if got := o.open(t, samples()[sampleClean]); got.outcome != tt.want {
				t.Errorf("engine failing: %s (%s), want %s", got.outcome, got.text, tt.want)
			}
			daemon.stop()
			if got := o.open(t, samples()[sampleClean]); got.outcome != tt.want {
				t.Errorf("no polyclamd: %s (%s), want %s", got.outcome, got.text, tt.want)
			}
		})
	}
}

// TestClamonaccAsks runs what needs no fanotify: PING, VERSION, and the refusal to start
// without an excluded user.
func TestClamonaccAsks(t *testing.T) {
	t.Parallel()
	program := clamdtest.RequireProgram(t, "clamonacc")
	engine := clamdtest.Start(t, clamdtest.Options{Daily: true})
	c := clamonaccClients[0]
	at := newTarget(t, c)
	at.startPolyclam(t, c, &engines{clamd: engine.Socket}, worldUp)
	conf := filepath.Join(t.TempDir(), "clamd.conf")
	if err := os.WriteFile(conf, []byte(at.fill(snippet(t, "clamonacc.md", "unix"))), 0o644); err != nil {
		t.Fatal(err)
	}
	for flag, want := range map[string]string{"--ping=1": "PONG", "--version": fmt.Sprintf("/%d/", clamdtest.DailyVersion)} {
		if out, _ := run(t, nil, program, flag, "--config-file="+conf); !strings.Contains(out, want) {
			t.Errorf("clamonacc %s: %q, want %q", flag, out, want)
		}
	}
	lines := strings.ReplaceAll(at.fill(snippet(t, "clamonacc.md", "unix")), "OnAccessExclude", "#OnAccessExclude")
	if err := os.WriteFile(conf, []byte(lines), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, status := run(t, nil, program, "--foreground", "--config-file="+conf); status == 0 || !strings.Contains(out, "OnAccessExcludeUname") {
		t.Errorf("without an excluded user: exit status %d, %s", status, out)
	}
}
