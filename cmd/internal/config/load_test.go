package config

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"unicode"
)

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	if _, err := Load(dir + "/none"); !os.IsNotExist(err) {
		t.Errorf("a missing file: %v", err)
	}
	large := dir + "/large"
	if err := os.WriteFile(large, []byte(strings.Repeat("#", maxFile+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(large); err == nil || err.Error() != large+":1: the file is larger than 1 MiB" {
		t.Errorf("a large file: %v", err)
	}
	if _, err := Load("/dev/zero"); err == nil {
		t.Error("a file without end was read")
	}
	if err := fmt.Sprint(Problems{{File: "f", Line: 3, Key: "a\nb", Text: "t\x1b"}}); err != "f:3: a?b: t?" {
		t.Errorf("a problem with control characters is %q", err)
	}
}

func TestNestedTooDeep(t *testing.T) {
	_, err := Parse("f", []byte("\na = "+strings.Repeat("[", 200_000)))
	if err == nil || err.Error() != "f:2: nested deeper than 16 levels; no key needs that" {
		t.Errorf("Parse: %v", err)
	}
}

func FuzzConfig(f *testing.F) {
	for _, name := range []string{"[[listener]]\naddress = \"unix:/run/x\"\n[[engine]]\nname = \"a\"\nbackend = \"inspect\"\n"} {
		f.Add([]byte(name))
	}
	f.Add([]byte("[[engine]]\nbackend = \"clamd\"\naddresses = [\"tcp:h:1\", 2]\nsessions = {}\n[listener]\n"))
	f.Add([]byte("a = '''x\n[policy.actions]\nok = 1\n[[rule]]\nname='('"))
	f.Add([]byte("engine = [{name = 1, backend = \"inspect\", max_bytes = [{}]}, 2]\nlimits.stream = 2e3"))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse("fuzz", data)
		if (file == nil) == (err == nil) {
			t.Fatalf("Parse = %v, %v", file, err)
		}
		if err == nil {
			return
		}
		problems, ok := err.(Problems)
		if !ok || len(problems) == 0 {
			t.Fatalf("error is %T", err)
		}
		last := strings.Count(string(data), "\n") + 1
		for _, p := range problems {
			if p.Line < 1 || p.Line > last {
				t.Errorf("line %d of %d: %v", p.Line, last, p)
			}
			if strings.ContainsFunc(p.String(), unicode.IsControl) {
				t.Errorf("problem of several lines: %q", p)
			}
			if p.Text == "" || !strings.HasPrefix(p.String(), fmt.Sprintf("fuzz:%d: ", p.Line)) {
				t.Errorf("problem %q", p)
			}
		}
	})
}

// TestEscapedKeys has keys with escapes, which must count as the keys that they are.
func TestEscapedKeys(t *testing.T) {
	doc := "[[engine]]\nname = \"a\"\n\"back\\u0065nd\" = \"inspect\"\n[log]\n\"l\\u0065vel\" = \"loud\"\n"
	_, err := Parse("f", []byte(doc))
	if err == nil || err.Error() != `f:5: log.level: unknown value "loud"; known: trace, debug, info, warn, error` {
		t.Errorf("Parse: %v", err)
	}
}

// TestSpoolDirectory checks the default of [spool] directory: below systemd's directory, and
// only where a directory is needed.
func TestSpoolDirectory(t *testing.T) {
	const (
		clamd = "[[engine]]\nname = \"clamav\"\nbackend = \"clamd\"\naddress = \"unix:/run/clamav/clamd.ctl\"\n"
		sweep = "[[engine]]\nname = \"sweep\"\nbackend = \"command\"\npreset = \"sophos-sweep\"\n"
	)
	for _, test := range []struct{ name, state, text, want string }{
		{"nobody reads files", "/var/lib/x", clamd, ""},
		{"a program", "/var/lib/x", clamd + sweep, "/var/lib/x/spool"},
		{"several directories", "/var/lib/x:/var/lib/y", sweep, "/var/lib/x/spool"},
		{"without systemd", "", sweep, "/var/lib/polyclam/spool"},
		{"relative", "x", sweep, "/var/lib/polyclam/spool"},
		{"tmpfile", "/var/lib/x", clamd + "[spool]\nstore = \"tmpfile\"\n", "/var/lib/x/spool"},
		{"configured", "/var/lib/x", sweep + "[spool]\ndirectory = \"/srv/spool\"\n", "/srv/spool"},
	} {
		t.Setenv("STATE_DIRECTORY", test.state)
		f, err := Parse(test.name, []byte(test.text))
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
		} else if f.Store.Directory != test.want {
			t.Errorf("%s: %q, want %q", test.name, f.Store.Directory, test.want)
		}
	}
}
