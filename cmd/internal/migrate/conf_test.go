package migrate

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"polyclam/test/clamdtest"
)

func TestParseConf(t *testing.T) {
	for _, c := range []struct {
		name, text string
		options    string // "line:key=value" each
		problems   string
	}{
		{"plain", "LocalSocket /run/c\n", "1:LocalSocket=/run/c", ""},
		{"without an end", "LocalSocket /run/c", "1:LocalSocket=/run/c", ""},
		{"empty", "", "", ""},
		{"comments", "# LocalSocket /a\n  #x y\n\n \t\nLocalSocket /b # no comment\n", "5:LocalSocket=/b # no comment", ""},
		{"tabs", "\tLocalSocket\t \t/a\t \n", "1:LocalSocket=/a", ""},
		{"quotes", "LocalSocket \"/a b\"\n", "1:LocalSocket=/a b", ""},
		{"quotes within, and more after", "LocalSocket \"/a\"b\"c\n", "1:LocalSocket=/a\"b", ""},
		{"an open quote", "\nLocalSocket \"/a\n", "", "f:2: LocalSocket: the quote is not closed; clamd does not start with such a line"},
		{"nothing in quotes", "LocalSocket \"\"\n", "", "f:1: LocalSocket: there is no value; clamd does not start with such a line"},
		{"no value", "LocalSocket\nLocalSocket \t\n", "", "f:1: LocalSocket: there is no value; clamd does not start with such a line; f:2: LocalSocket: there is no value; clamd does not start with such a line"},
		{"a line of one character", "a\n", "", ""},
		{"CR LF", "LocalSocket /a\r\n\r\n", "1:LocalSocket=/a", "f:1: LocalSocket: the line ends in CR LF, and clamd reads the CR as part of the value"},
		{"NUL", "LocalSocket /a\x00/b\n", "1:LocalSocket=/a", ""},
		{"repeated", "A 1\nA 2\n", "1:A=1 2:A=2", ""},
		{"keys are case-sensitive", "localsocket /a\n", "1:localsocket=/a", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			conf := parseConf("f", []byte(c.text))
			var options, problems []string
			for _, o := range conf.options {
				options = append(options, fmt.Sprintf("%d:%s=%s", o.line, o.key, o.value))
			}
			for _, p := range conf.problems {
				problems = append(problems, p.String())
			}
			if got := strings.Join(options, " "); got != c.options {
				t.Errorf("options %q, want %q", got, c.options)
			}
			if got := strings.Join(problems, "; "); got != c.problems {
				t.Errorf("problems %q, want %q", got, c.problems)
			}
		})
	}
	if c := parseConf("f", []byte("A b\n\n  Example\nExampleX y\n")); c.example != 3 {
		t.Errorf("Example in line %d, want 3", c.example)
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{
		"1": 1, "10k": 10 << 10, "25M": 25 << 20, "3g": 3 << 30, "010M": 8 << 20, "0": math.MaxInt64, "00": math.MaxInt64,
		"9999999999G": math.MaxInt64, "9223372036854775807": math.MaxInt64,
		"": -1, "M": -1, "-1": -1, "1T": -1, "0x10": -1, "1 M": -1, "08M": -1, "1.5M": -1, "99999999999999999999": -1,
	} {
		got, ok := parseSize(text)
		if !ok {
			got = -1
		}
		if got != want {
			t.Errorf("parseSize(%q) = %d, want %d", text, got, want)
		}
	}
}

// TestParseConfAsClamd compares with clamconf, which has clamd's own parser.
func TestParseConfAsClamd(t *testing.T) {
	clamconf := clamdtest.RequireProgram(t, "clamconf")
	dir := t.TempDir()
	lines := regexp.MustCompile(`(?m)^(LocalSocket|LocalSocketMode|TCPSocket|StreamMaxLength|MaxThreads|TCPAddr) = (.*)$`)
	for _, text := range []string{
		"LocalSocket /a\nLocalSocket /b\n", "LocalSocket \"/a b\" c\n", "LocalSocket \"a\"b\"c\n", " \tLocalSocket \t /a\t # b \n",
		"LocalSocket /a\nTCPAddr 1\nTCPAddr 2\nTCPSocket 3310\n", "#LocalSocket /a\n # b\na\n\nMaxThreads 7\nMaxThreads 8\n",
		"StreamMaxLength 0\n", "StreamMaxLength 1G\n", "StreamMaxLength 010M\n", "StreamMaxLength 10k\n", "StreamMaxLength 77\nLocalSocketMode 0660\n",
		"LocalSocket /a", "LocalSocket /a\x00b\n", "LocalSocket \"/a\n", "LocalSocket\n", "Example\nLocalSocket /a\n", "StreamMaxLength 08M\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, "clamd.conf"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		out, _ := exec.Command(clamconf, "-c", dir).CombinedOutput()
		want := map[string]string{}
		for _, m := range lines.FindAllStringSubmatch(string(out), -1) {
			want[m[1]] = strings.ReplaceAll(m[2], `", "`, " ")
		}
		c := parseConf("f", []byte(text))
		size, _, sizeOK := c.bytes("StreamMaxLength")
		if _, given := c.find("StreamMaxLength"); len(c.problems) > 0 || c.example > 0 || given && !sizeOK {
			if !strings.Contains(string(out), "ERROR: ") {
				t.Errorf("%q: clamd accepts it, we do not: %v", text, c.problems)
			}
			continue
		}
		for key, value := range want {
			var got []string
			switch o, ok := c.find(key); {
			case key == "TCPAddr":
				for _, o := range c.all(key) {
					got = append(got, o.value)
				}
			case key == "StreamMaxLength" && ok:
				got = []string{fmt.Sprint(size)}
			case ok:
				got = []string{o.value}
			default:
				continue // a default
			}
			if quoted := `"` + strings.Join(got, " ") + `"`; quoted != value {
				t.Errorf("%q: %s is %s, clamd has %s", text, key, quoted, value)
			}
		}
	}
}

// FuzzParseConf checks that every file gives a configuration that loads, and a new
// clamd.conf with clamd's new address, from which the same file is made again.
func FuzzParseConf(f *testing.F) {
	for _, layout := range []string{"debian/etc/clamav/clamd.conf", "rhel/etc/clamd.d/scan.conf", "alpine/etc/clamav/clamd.conf"} {
		data, err := os.ReadFile(filepath.Join("testdata", layout))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, text := range []string{
		"LocalSocket \"/a \"\nTCPSocket 1\nTCPAddr ::\nStreamMaxLength 0\n", "TCPSocket 65535\nTCPAddr \"\\\n", "LocalSocket /a\r\nReadTimeout 0\nMaxThreads 0\n",
		"LocalSocket /x-engine\nLocalSocketMode 7777\nLocalSocketGroup \"\"\n", "LocalSocket /\n", "LocalSocket /a\nAlertEncrypted yes\nAlertExceedsMax TRUE\nVirusEvent \x1b\n",
		"LocalSocket /-engine\n", "TCPSocket 3310\nTCPAddr a:b:c\nMaxDirectoryRecursion 0\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c := parseConf("/etc/clamd.conf", data)
		m := &Machine{root: root{"/nonexistent"}}
		d, err := m.root.readClamd(c)
		if err != nil {
			return
		}
		m.clamd = d
		if _, _, err := m.Config(); err != nil {
			t.Errorf("%q: %v", data, err)
		}
		m.Steps(StepsOptions{})
		if d.moved {
			return
		}
		engine := parseConf("/etc/clamd-engine.conf", m.engineConf())
		o, _ := engine.find("LocalSocket")
		if place, ok := strings.CutPrefix(d.engine, "unix:"); ok && o.value != place {
			t.Errorf("%q: the engine listens on %q, want %q", data, o.value, place)
		}
		if p, _ := engine.find("TCPSocket"); p.value != "" && strings.HasPrefix(d.engine, "unix:") {
			t.Errorf("%q: the engine has the port %s", data, p.value)
		}
	})
}
