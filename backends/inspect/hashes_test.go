package inspect

import (
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/testfile"
)

var bad = []byte("some bad content\n")

func TestHashes(t *testing.T) {
	m, s1, s2 := fmt.Sprintf("%x", md5.Sum(bad)), fmt.Sprintf("%x", sha1.Sum(bad)), fmt.Sprintf("%x", sha256.Sum256(bad))
	for _, c := range []struct{ name, line, want string }{
		{"hdb", m + ":17:Bad.MD5", "Bad.MD5"},
		{"hdb upper case", strings.ToUpper(m) + ":17:Bad.MD5", "Bad.MD5"},
		{"hdb any size", m + ":*:Bad.MD5:73", "Bad.MD5"},
		{"hdb other size", m + ":18:Bad.MD5", ""},
		{"hsb sha1", s1 + ":17:Bad.SHA1", "Bad.SHA1"},
		{"hsb sha256", s2 + ":17:Bad.SHA256", "Bad.SHA256"},
		{"hsb any size and levels", s2 + ":*:Bad.SHA256:73:255", "Bad.SHA256"},
		{"hsb other size", s2 + ":16:Bad.SHA256", ""},
		{"sha256sum", s2 + "  bad file.exe", "bad file.exe"},
		{"sha256sum binary", s2 + " *bad.exe", "bad.exe"},
		{"sha256sum escaped", `\` + s2 + `  bad\nfile`, `bad\nfile`},
		{"sha256sum with colon", s2 + "  C:bad", "C:bad"},
		{"sha256 alone", s2, "SHA256." + s2[:16]},
		{"sha256 tab", s2 + "\tbad", "bad"},
		{"sha256 CRLF", s2 + "\r", "SHA256." + s2[:16]},
		{"byte order mark", "\ufeff" + s2 + "  bad", "bad"},
		{"name of a heuristic", m + ":17:Heuristics.Encrypted.Zip", "Heuristics.Encrypted.Zip"},
		{"other hash", strings.Repeat("0", 32) + ":17:Other", ""},
		{"second entry of a hash", m + ":18:First\n" + m + ":17:Second", "Second"},
		{"comments", "# " + m + "\n\n   \n#\n" + m + ":17:Bad.MD5\n# end", "Bad.MD5"},
		{"empty", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			list := writeFile(t, "list", c.line+"\n")
			b := open(t, func(c *Config) { c.Hashes = []string{list} })
			if c.want == "" {
				wantFinding(t, scan(t, b, bad), backends.OK, "")
				return
			}
			wantFinding(t, scan(t, b, bad), backends.Virus, c.want)
			wantFinding(t, scan(t, b, append([]byte("x"), bad[1:]...)), backends.OK, "")
		})
	}
}

// TestHashBeforeEncrypted checks that a listed hash wins over encryption.
func TestHashBeforeEncrypted(t *testing.T) {
	list := writeFile(t, "list", fmt.Sprintf("%x  evil.zip\n", sha256.Sum256(testfile.Encrypted())))
	b := open(t, func(c *Config) { c.Hashes = []string{list} })
	wantFinding(t, scan(t, b, testfile.Encrypted()), backends.Virus, "evil.zip")
}

func TestHashListErrors(t *testing.T) {
	s2 := strings.Repeat("ab", 32)
	for _, c := range []struct{ name, line, want string }{
		{"nonsense", "hello world", "list:2: "},
		{"short", strings.Repeat("a", 31) + ":1:X", "list:2: "},
		{"long", s2 + "a", "list:2: "},
		{"sha512", s2 + s2 + "  x", "list:2: "},
		{"not hexadecimal", strings.Repeat("g", 64), "list:2: "},
		{"md5 alone", strings.Repeat("a", 32), "size and a name"},
		{"md5 sum", strings.Repeat("a", 32) + "  x", "size and a name"},
		{"no name", s2 + ":1", "HASH:SIZE:NAME"},
		{"empty name", s2 + ":1:", "1 to 256 bytes"},
		{"long name", s2 + ":1:" + strings.Repeat("n", 257), "1 to 256 bytes"},
		{"bad size", s2 + ":x:N", "size"},
		{"negative size", s2 + ":-1:N", "size"},
		{"empty size", s2 + "::N", "size"},
		{"huge size", s2 + ":9223372036854775808:N", "size"},
		{"bad level", s2 + ":1:N:x", "level"},
		{"too many fields", s2 + ":1:N:1:2:3", "HASH:SIZE:NAME"},
		{"no blank", s2 + ";x", "want blanks"},
		{"long line", s2 + "  " + strings.Repeat("n", 2000), "list:2: the line is longer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := writeFile(t, "list", "# comment\n"+c.line+"\n")
			l, err := readHashLists([]string{path})
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path+":2: ") {
				t.Errorf("%v, %v; want an error with %q", l, err, c.want)
			}
		})
	}
}

func TestHashErrorsAreCollectedAndBounded(t *testing.T) {
	path := writeFile(t, "list", strings.Repeat("nonsense\n", 1000))
	_, err := readHashLists([]string{path, path})
	if err == nil || strings.Count(err.Error(), "nonsense") != 2*maxListErrors || !strings.Contains(err.Error(), path+":10: ") {
		t.Errorf("%v", err)
	}
}

// TestHashListPipe checks that a named pipe is rejected without waiting for a writer.
func TestHashListPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readHashLists([]string{path}); err == nil {
		t.Error("no error")
	}
}

func TestHashListTooLarge(t *testing.T) {
	path := writeFile(t, "list", "")
	if err := os.Truncate(path, maxListBytes+1); err != nil { // a sparse file
		t.Fatal(err)
	}
	if _, err := readHashLists([]string{path}); err == nil {
		t.Error("no error")
	}
}

func TestTooManyHashes(t *testing.T) {
	l := &hashLists{entries: maxListEntries - 1}
	line := strings.Repeat("0", 64)
	if err := l.add(line); err != nil {
		t.Fatal(err)
	}
	if err := l.add(line); err == nil {
		t.Error("no error")
	}
}

// TestOnlyNeededDigests checks that an object is read only if a list has an entry for its
// size.
func TestOnlyNeededDigests(t *testing.T) {
	list := writeFile(t, "list", strings.Repeat("0", 32)+":300000:X\n")
	b := open(t, func(c *Config) { c.Hashes = []string{list}; c.Encrypted = false })
	for size, reads := range map[int]int{299999: 0, 300000: 3} {
		c := &stop{Object: backendtest.LargeObject(t, size), n: -1}
		if _, err := b.Scan(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if c.reads != reads {
			t.Errorf("size %d: %d reads, want %d", size, c.reads, reads)
		}
	}
}

func TestReload(t *testing.T) {
	list := writeFile(t, "list", "")
	b := open(t, func(c *Config) { c.Hashes = []string{list} })
	var _ backends.Reloader = b
	wantFinding(t, scan(t, b, bad), backends.OK, "")
	write := func(text string) {
		if err := os.WriteFile(list, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(fmt.Sprintf("%x  bad\n", sha256.Sum256(bad)))
	if err := b.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantFinding(t, scan(t, b, bad), backends.Virus, "bad")
	write("nonsense\n")
	if err := b.Reload(t.Context()); err == nil {
		t.Fatal("no error")
	}
	wantFinding(t, scan(t, b, bad), backends.Virus, "bad")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Reload(ctx); backends.CategoryOf(err) != backends.Interrupted {
		t.Errorf("%v", err)
	}
}
