package migrate

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"polyclam/test/testkit"
)

// tree copies a tree of testdata and returns its root. It adds more files, given as name
// and contents: a name that ends in "/" is a directory, contents that begin with "->" are a
// symbolic link, and with "#!" a program.
func tree(t *testing.T, name string, more ...string) string {
	t.Helper()
	dir := t.TempDir()
	if name != "" {
		if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", name))); err != nil {
			t.Fatal(err)
		}
	}
	for i := 0; i < len(more); i += 2 {
		path := filepath.Join(dir, more[i])
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		target, link := strings.CutPrefix(more[i+1], "->")
		switch {
		case strings.HasSuffix(more[i], "/"):
			err = os.MkdirAll(path, 0o755)
		case link:
			err = os.Symlink(target, path)
		case strings.HasPrefix(more[i+1], "#!"):
			err = os.WriteFile(path, []byte(more[i+1]), 0o755)
		default:
			err = os.WriteFile(path, []byte(more[i+1]), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// socketAt creates the file of a socket in a tree, without a listener.
func socketAt(t *testing.T, dir, path string) {
	t.Helper()
	// The tree's path may be too long for a socket's address.
	short := testkit.SocketDir(t)
	ln, err := net.Listen("unix", filepath.Join(short, "s"))
	if err != nil {
		t.Fatal(err)
	}
	ln.(*net.UnixListener).SetUnlinkOnClose(false)
	ln.Close()
	file := filepath.Join(dir, path)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(short, "s"), file); err != nil {
		t.Fatal(err)
	}
}

// answering returns a Dial for servers with fixed answers, by address.
func answering(answers map[string]string) func(network, address string) (net.Conn, error) {
	return func(network, address string) (net.Conn, error) {
		reply, ok := answers[network+":"+address]
		if !ok {
			return nil, errors.New("nobody there")
		}
		ours, theirs := net.Pipe()
		go func() {
			defer theirs.Close()
			// savdid greets, but Sophie waits for the client.
			if reply == pong || strings.HasPrefix(reply, "ICAP") {
				theirs.Read(make([]byte, 1024))
			}
			io.WriteString(theirs, reply)
		}()
		return ours, nil
	}
}

const pong = "PONG\x00"

// look inspects a tree.
func look(t *testing.T, o Options) *Machine {
	t.Helper()
	if o.Dial == nil {
		o.Dial = answering(nil)
	}
	m, err := Look(o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// configOf returns the configuration. It allows only warnings with one of the texts, and
// those about actions that clamd.conf has set.
func configOf(t *testing.T, m *Machine, warnings ...string) string {
	t.Helper()
	text, got, err := m.Config()
	if err != nil {
		t.Fatal(err)
	}
	for _, category := range []string{"encrypted", "partial"} {
		if strings.Contains(text, "\n"+category+" = \"quarantine\"") {
			warnings = append(warnings, "policy.actions."+category+": clients hear FOUND ")
		}
	}
	if len(got) != len(warnings) {
		t.Errorf("warnings %q, want %d", got, len(warnings))
	}
	for _, want := range warnings {
		if !strings.Contains(strings.Join(got, "\n"), want) {
			t.Errorf("warnings %q, want %q", got, want)
		}
	}
	return text
}

// wantParts checks that text contains all parts, but none of those after a "!".
func wantParts(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		unwanted, not := strings.CutPrefix(p, "!")
		if not && strings.Contains(text, unwanted) {
			t.Errorf("got\n%s\nwant none of %q", text, unwanted)
		}
		if !not && !strings.Contains(text, p) {
			t.Errorf("got\n%s\nwant in it %q", text, p)
		}
	}
}
