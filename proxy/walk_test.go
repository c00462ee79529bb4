package proxy

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/testfile"
	"polyclam/proxy/printable"
	"polyclam/proxy/status"
)

// tree creates files below a new directory from pairs of name and content. A name ending in /
// is a directory, the content "->x" a link to x, "fifo" a FIFO.
func tree(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(files); i += 2 {
		path, content := filepath.Join(dir, files[i]), files[i+1]
		os.MkdirAll(filepath.Dir(path), 0o755)
		var err error
		switch target, link := strings.CutPrefix(content, "->"); {
		case strings.HasSuffix(files[i], "/"):
			err = os.MkdirAll(path, 0o755)
		case link:
			err = os.Symlink(target, path)
		case content == "fifo":
			err = syscall.Mkfifo(path, 0o644)
		default:
			err = os.WriteFile(path, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestScanPaths(t *testing.T) {
	eicar := string(testfile.EICAR())
	dir := tree(t,
		"clean", "x", "empty", "", "infected", eicar,
		"ok/a", "x", "ok/b/c", "x",
		"both/a", "x", "both/b", eicar, "both/c", eicar, "both/sub/d", eicar,
		"none/", "",
		"fifo", "fifo", "infifo/f", "fifo", "infifo/a", "x",
		"link", "->infected", "broken", "->nowhere", "loop", "->loop", "linkdir", "->both",
		"links/a", "->../infected", "links/b", "x",
		"odd/a: OK", eicar, "odd/b c\n\xff", eicar,
	)
	ts := newServer(t, nil, eicarOnly())
	const found = ": Eicar-Test-Signature FOUND"
	tests := []struct {
		verb, path string
		want       []string // lines with D for the directory, sorted because inodes have any order
	}{
		{"SCAN", "D/clean", []string{"D/clean: OK"}},
		{"SCAN", "D/empty", []string{"D/empty: OK"}},
		{"SCAN", "D/infected", []string{"D/infected" + found}},
		{"SCAN", "D/missing", []string{"D/missing: File path check failure: No such file or directory. ERROR"}},
		{"SCAN", "D/clean/x", []string{"D/clean/x: File path check failure: Not a directory. ERROR"}},
		{"SCAN", "D/loop", []string{"D/loop: File path check failure: Too many levels of symbolic links. ERROR"}},
		{"SCAN", "D/" + strings.Repeat("n", 300), []string{"D/" + strings.Repeat("n", 300) + ": File path check failure: File name too long. ERROR"}},
		{"SCAN", "", []string{": File path check failure: No such file or directory. ERROR"}},
		{"SCAN", "D/ok", []string{"D/ok: OK"}},
		{"SCAN", "D/ok//", []string{"D/ok: OK"}},
		{"SCAN", "/D/ok", []string{"/D/ok: OK"}},
		{"SCAN", "/D/infected", []string{"D/infected" + found}},
		{"SCAN", "D/none", []string{"D/none: OK"}},
		{"SCAN", "D/fifo", []string{"D/fifo: Not supported file type ERROR"}},
		{"SCAN", "/dev/null", []string{"/dev/null: Not supported file type ERROR"}},
		{"SCAN", "/proc/self/status", []string{"/proc/self/status: Not supported file type ERROR"}},
		{"SCAN", "D/infifo", []string{"D/infifo: OK"}},
		{"SCAN", "D/link", []string{"D/link" + found}},
		{"SCAN", "D/broken", []string{"D/broken: File path check failure: No such file or directory. ERROR"}},
		{"SCAN", "D/linkdir/c", []string{"D/linkdir/c" + found}},
		{"SCAN", "D/links", []string{"D/links: OK"}},
		{"CONTSCAN", "D/both", []string{"D/both/b" + found, "D/both/c" + found, "D/both/sub/d" + found}},
		{"CONTSCAN", "D/ok", []string{"D/ok: OK"}},
		{"MULTISCAN", "D/both", []string{"D/both/b" + found, "D/both/c" + found, "D/both/sub/d" + found}},
		{"MULTISCAN", "D/ok", []string{"D/ok: OK"}},
		{"MULTISCAN", "D/none", nil},
		{"MULTISCAN", "D/infected", []string{"D/infected" + found}},
		{"ALLMATCHSCAN", "D/infected", []string{"D/infected" + found}},
		{"CONTSCAN", "D/odd", []string{"D/odd/a: OK" + found, "D/odd/b c\n\xff" + found}},
	}
	for _, tt := range tests {
		t.Run(tt.verb+" "+tt.path, func(t *testing.T) {
			path := strings.Replace(tt.path, "D", dir, 1)
			got := strings.Split(ts.ask("z"+tt.verb+" "+path+"\x00"), "\x00")
			got = got[:len(got)-1]
			var want []string
			for _, w := range tt.want {
				want = append(want, strings.Replace(w, "D/", dir+"/", 1))
			}
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("got %q\nwant %q", got, want)
			}
		})
	}
}

// TestDirectoryOrder checks that files come before directories, and lower inodes before
// higher ones, as with clamd.
func TestDirectoryOrder(t *testing.T) {
	eicar := string(testfile.EICAR())
	dir := tree(t, "a/x", eicar, "b", eicar, "c", eicar, "d", eicar, "e/x", eicar)
	inode := func(name string) uint64 {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return info.Sys().(*syscall.Stat_t).Ino
	}
	byInode := func(a, b string) int { return cmp.Compare(inode(a), inode(b)) }
	files, dirs := []string{"b", "c", "d"}, []string{"a", "e"}
	slices.SortFunc(files, byInode)
	slices.SortFunc(dirs, byInode)
	var want strings.Builder
	for _, f := range files {
		fmt.Fprintf(&want, "%s/%s: Eicar-Test-Signature FOUND\n", dir, f)
	}
	for _, d := range dirs {
		fmt.Fprintf(&want, "%s/%s/x: Eicar-Test-Signature FOUND\n", dir, d)
	}
	ts := newServer(t, nil, eicarOnly())
	if got := ts.ask("nCONTSCAN " + dir + "\n"); got != want.String() {
		t.Errorf("got %q\nwant %q", got, want.String())
	}
}

// TestScanStopsAtFirst checks that SCAN of a directory ends at the first infected file.
func TestScanStopsAtFirst(t *testing.T) {
	eicar := string(testfile.EICAR())
	dir := tree(t, "a", eicar, "b", eicar, "c", eicar)
	ts := newServer(t, nil, eicarOnly())
	if got := ts.ask("nSCAN " + dir + "\n"); strings.Count(got, "FOUND") != 1 {
		t.Errorf("got %q", got)
	}
}

// TestDirectoryDepth checks that a directory below the depth limit is partial, so that the
// action for partial decides.
func TestDirectoryDepth(t *testing.T) {
	eicar := string(testfile.EICAR())
	dir := tree(t, "1/2/in", "x", "1/2/3/out", eicar)
	ts := newServer(t, func(c *Config) {
		c.Limits.DirectoryDepth = 2
		strict := *c.Listeners[0].Policy
		c.Listeners[0].Policy = strict.WithActions(map[backends.Category]action{backends.Partial: "quarantine"})
	}, eicarOnly())
	want := dir + "/1/2/3: Heuristics.Limits.Exceeded.MaxDirectoryRecursion FOUND\n"
	if got := ts.ask("nSCAN " + dir + "\n"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestFailureInDirectory checks that a directory with files that could not be scanned is not
// answered with OK as well.
func TestFailureInDirectory(t *testing.T) {
	dir := tree(t, "a", "x", "b", "x")
	ts := newServer(t, nil, testEngine{name: "broken", backend: backendtest.Fails(errors.New("no"))})
	got := ts.ask("nSCAN " + dir + "\n")
	if strings.Contains(got, "OK\n") || strings.Count(got, " ERROR\n") != 2 {
		t.Errorf("got %q", got)
	}
}

func TestWorstFirst(t *testing.T) {
	eicar := string(testfile.EICAR())
	dir := tree(t, "a/f", "x", "b", eicar)
	profile, _ := status.Lookup("mimedefang")
	ts := newServer(t, func(c *Config) { c.Listeners[0].Profile = profile }, eicarOnly())
	if got := ts.ask("SCAN " + dir + "\n"); !strings.HasPrefix(got, dir+"/b: Eicar-Test-Signature FOUND\n") {
		t.Errorf("got %q", got)
	}
	// The records of an object must stay together.
	var words []string
	for line := range strings.Lines(ts.ask("nXSCAN " + tree(t, "a", "x", "z/f", eicar) + "\n")) {
		words = append(words, line[strings.LastIndexByte(line, ' ')+1:])
	}
	if got, want := strings.Join(words, ""), "OK\nENGINE\nSUMMARY\nFOUND\nENGINE\nSUMMARY\nEND\n"; got != want {
		t.Errorf("XSCAN: the records are\n%swant\n%s", got, want)
	}
}

// TestExtendedEmptyDirectory checks that the reply to an X verb is complete even if there was
// nothing to scan.
func TestExtendedEmptyDirectory(t *testing.T) {
	dir := tree(t, "none/", "") + "/none"
	ts := newServer(t, nil, eicarOnly())
	want := dir + ": OK\n" + dir + ": category=ok action=ok code=0 engines=0 failed=0 version=1 SUMMARY\nEND\n"
	for _, verb := range []string{"XSCAN", "XCONTSCAN"} {
		if got := ts.ask("n" + verb + " " + dir + "\n"); got != want {
			t.Errorf("%s: got %q, want %q", verb, got, want)
		}
	}
}

func TestScanRoots(t *testing.T) {
	eicar := string(testfile.EICAR())
	dir := tree(t, "in/f", eicar, "in/away", "->../out/f", "in/abs", "->/etc/passwd", "in/near", "->f", "out/f", eicar, "inside/f", eicar)
	ts := newServer(t, func(c *Config) { c.ScanPaths = []string{dir + "/in"} }, eicarOnly())
	const found, denied = "Eicar-Test-Signature FOUND", "Access denied. ERROR"
	for path, want := range map[string]string{
		"/in/f": found, "/in/near": found, "/in": found,
		"/in/away": denied, "/in/abs": denied, "/in/../out/f": denied, "/out/f": denied, "/inside/f": denied,
		"/in/away/../../out/f": denied, "": denied,
	} {
		got := ts.ask("nSCAN " + dir + path + "\n")
		if !strings.HasSuffix(got, ": "+want+"\n") {
			t.Errorf("%s: got %q, want %s", path, got, want)
		}
	}
}

func TestPathCommandsOff(t *testing.T) {
	ts := newServer(t, func(c *Config) { c.Listeners[0].PathCommands = false }, eicarOnly())
	for _, verb := range []string{"SCAN", "CONTSCAN", "MULTISCAN", "ALLMATCHSCAN", "XSCAN", "XCONTSCAN"} {
		want := "COMMAND UNAVAILABLE\x00"
		if strings.HasPrefix(verb, "X") {
			want += "END\x00"
		}
		if got := ts.ask(fmt.Sprintf("z%s /etc/passwd\x00", verb)); got != want {
			t.Errorf("%s: got %q, want %q", verb, got, want)
		}
	}
	if got := ts.ask("zIDSESSION\x00zSCAN /etc/passwd\x00"); got != "1: COMMAND UNAVAILABLE\x00" {
		t.Errorf("session: got %q", got)
	}
}

func TestAllMatchNames(t *testing.T) {
	dir := tree(t, "f", "x")
	ts := newServer(t, nil, testEngine{name: "many", backend: allMatcher{}})
	want := dir + "/f: A FOUND\n" + dir + "/f: B FOUND\n" + dir + "/f: A FOUND\n"
	if got := ts.ask("nALLMATCHSCAN " + dir + "/f\n"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestEscape(t *testing.T) {
	if got, want := printable.Escape("a\\b\x1b[31m\n\xffé", 100), `a\\b\x1b[31m\x0a\xff\xc3\xa9`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := printable.Escape(strings.Repeat("a", 10), 4); got != "aaaa..." {
		t.Errorf("got %s", got)
	}
}
