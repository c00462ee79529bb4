package clients

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"polyclam/test/clamdtest"
)

// libraryClients are programs of a few lines around a library, as in the recipe.
var libraryClients = slices.Concat(perlClients, pythonClients)

// byPath is the outcome over the limit for libraries that pass a path.
var (
	byPath     = map[string]outcome{caseOversize: clean}
	byPathOpen = map[string]string{caseOversize: unlimited}
)

var perlClients = []client{
	perl(client{name: "ClamAV::Client (SCAN)", recipe: "libraries.md", listener: "listener", network: "unix"}),
	perl(client{name: "ClamAV::Client (STREAM)", recipe: "libraries.md", listener: "listener-stream", network: "unix"}),
	perl(client{name: "ClamAV::Client (STREAM, TCP)", recipe: "libraries.md", listener: "listener-stream", network: "tcp"}),
}

// dropped says why STREAM works only with polyclam: clamd's answer makes the library
// raise whatever the object is.
const dropped = "clamd 1.4.6 answers STREAM with UNKNOWN COMMAND"

// perl is ClamAV::Client in one of its modes. The program consists of the recipe's
// blocks for the connection, the scan and the result.
func perl(c client) client {
	stream := c.listener == "listener-stream"
	if stream {
		c.differs = map[string]string{caseClean: dropped, caseEICAR: dropped, caseEICARZip: dropped, caseEncrypted: dropped}
	} else {
		c.but, c.open = byPath, byPathOpen
	}
	c.start = func(t *testing.T, at target) scan {
		connect := snippet(t, "libraries.md", "perl-unix")
		if c.network == "tcp" {
			connect = snippet(t, "libraries.md", "perl-tcp")
		}
		way := snippet(t, "libraries.md", "perl-scan-path")
		if stream {
			way = snippet(t, "libraries.md", "perl-scan-stream")
		}
		text := connect + way + snippet(t, "libraries.md", "perl-result")
		return script(t, "/usr/bin/perl", []string{"-MClamAV::Client", "-e", "1"}, at.fill(text))
	}
	return c
}

var pythonClients = []client{
	pyclamd("pyclamd scan_stream", "unix", func(t *testing.T) string { return snippet(t, "libraries.md", "pyclamd-scan-stream") }),
	pyclamd("pyclamd scan_stream (TCP)", "tcp", func(t *testing.T) string { return snippet(t, "libraries.md", "pyclamd-scan-stream") }),
	pyclamd("pyclamd scan_file", "unix", func(t *testing.T) string { return snippet(t, "libraries.md", "pyclamd-scan-file") }),
	pyclamd("pyclamd contscan_file", "unix", func(t *testing.T) string { return snippet(t, "libraries.md", "pyclamd-contscan-file") }),
}

// pyclamd is the Python library, made into a program in the same way.
func pyclamd(name, network string, way func(t *testing.T) string) client {
	c := client{name: name, recipe: "libraries.md", listener: "listener", network: network}
	if strings.Contains(name, "_file") {
		c.but, c.open = byPath, byPathOpen
	}
	c.start = func(t *testing.T, at target) scan {
		connect := snippet(t, "libraries.md", "pyclamd-unix")
		if network == "tcp" {
			connect = snippet(t, "libraries.md", "pyclamd-tcp")
		}
		text := connect + way(t) + snippet(t, "libraries.md", "pyclamd-result")
		return script(t, "/usr/bin/python3", []string{"-c", "import pyclamd"}, at.fill(text))
	}
	return c
}

// script makes a program of the text for an interpreter that can run probe, which shows
// that it has the library. The interpreter is Debian's, named by its path: another one
// in PATH does not have Debian's libraries.
func script(t *testing.T, interpreter string, probe []string, text string) scan {
	t.Helper()
	clamdtest.RequireProgram(t, interpreter)
	if out, err := exec.Command(interpreter, probe...).CombinedOutput(); err != nil {
		clamdtest.NotTested(t, interpreter+" does not have the library: "+string(out))
	}
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return func(t *testing.T, s sample) finding {
		out, status := run(t, nil, interpreter, path, s.path)
		return scriptSaid(t, out, status)
	}
}

// scriptSaid translates the output and exit status of the recipe's programs.
func scriptSaid(t *testing.T, out string, status int) finding {
	t.Helper()
	switch {
	case status == 0 && out == "clean":
		return finding{clean, out}
	case status == 1 && strings.HasPrefix(out, "infected: ") && !strings.Contains(out, "\n"):
		return finding{infected, out}
	case status == 2 && strings.Contains(out, "not scanned: "): // perl may warn first
		return finding{refused, out}
	}
	t.Fatalf("exit status %d: %s", status, out)
	return finding{}
}
