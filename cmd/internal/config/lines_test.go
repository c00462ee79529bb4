package config

import (
	"fmt"
	"strings"
	"testing"
	"unicode"

	"github.com/BurntSushi/toml"
)

func TestScanLines(t *testing.T) {
	text := `# a comment with [table] and key = 1
top = "a" # [not.a.table]
"quoted.key" = 'x = 1'
dotted.inner = 2
many = [
  "one",   # two = 2

  'two',
]
multi = """
[fake]
key = 1 \""" still
""""
raw = '''
[[fake]]
'''
after = 1

[[listener]]
address = "a"
[listener.actions]
virus = "ok"

[[listener]]
  address = "b"
  actions = { ok = "ok", list = [
     1, { deep = 2 } ] }
[listener.actions2]
virus = "ok"
[policy]
[ policy . actions ]
virus = 1
engine = [{ name = "a" },
  { name = "b" }]
odd = 2026-11-23T00:00:00Z
`
	got := scanLines(text)
	want := map[string]int{
		"top": 2, `"quoted.key"`: 3, "dotted": 4, "dotted.inner": 4,
		"many": 5, "many[0]": 6, "many[1]": 8, "multi": 10, "raw": 14, "after": 17,
		"listener": 19, "listener[0]": 19, "listener[0].address": 20,
		"listener[0].actions": 21, "listener[0].actions.virus": 22,
		"listener[1]": 24, "listener[1].address": 25, "listener[1].actions": 26,
		"listener[1].actions.ok": 26, "listener[1].actions.list": 26,
		"listener[1].actions.list[0]": 27, "listener[1].actions.list[1].deep": 27,
		"listener[1].actions2.virus": 29, "policy": 30, "policy.actions": 31, "policy.actions.virus": 32,
		"policy.actions.engine[0].name": 33, "policy.actions.engine[1].name": 34, "policy.actions.odd": 35,
	}
	for path, line := range want {
		if got[path] != line {
			t.Errorf("%s: line %d, want %d", path, got[path], line)
		}
	}
	for path := range got {
		if strings.Contains(path, "fake") || strings.Contains(path, "not") {
			t.Errorf("%s is not a key", path)
		}
	}
}

func TestLineOfWhatIsMissing(t *testing.T) {
	lines := scanLines("a = 1\n[[x]]\n[[x]]\nb = [1,\n2]\n")
	for path, want := range map[string]int{
		"x[1].none": 3, "x[1].b[1]": 5, "x[1].b[7]": 4, "x[0].b": 2, "x[9]": 2, "nothing.at[3].all": 1, "": 1,
	} {
		if got := lines.line(path); got != want {
			t.Errorf("line(%q) = %d, want %d", path, got, want)
		}
	}
}

func TestScanLinesWithCarriageReturnsAndMark(t *testing.T) {
	lines := scanLines("\ufeffa = 1\r\n[t]\r\nb = 'x'\r\n")
	if lines["a"] != 1 || lines["t"] != 2 || lines["t.b"] != 3 {
		t.Errorf("lines = %v", lines)
	}
}

// TestDepth has files that would take the TOML library minutes, and memory
// with the square of their size.
func TestDepth(t *testing.T) {
	const depth = 200_000
	for name, text := range map[string]string{
		"arrays": "\na = " + strings.Repeat("[", depth) + strings.Repeat("]", depth),
		"tables": "\na = " + strings.Repeat("{a=", depth) + "1" + strings.Repeat("}", depth),
		"dots":   "\n" + strings.Repeat("a.", depth) + "b = 1",
		"header": "\n[" + strings.Repeat("a.", depth) + "b]",
		"mixed":  "\n" + strings.Repeat("a.", 6) + "a = [[" + strings.Repeat("{a.b=", 5) + "1",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse("f", []byte(text))
			if err == nil || err.Error() != "f:2: nested deeper than 16; no key needs that" {
				t.Errorf("Parse: %v", err)
			}
			if got := len(scanLines(text)); got > maxDepth+1 {
				t.Errorf("%d names", got)
			}
		})
	}
	if _, err := Parse("f", []byte("a = "+strings.Repeat("[", 14)+strings.Repeat("]", 14))); err == nil || strings.Contains(err.Error(), "deeper") {
		t.Errorf("14 deep: %v", err)
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

// FuzzScanLines wants the scanner to find every key that the TOML library finds.
func FuzzScanLines(f *testing.F) {
	f.Add("a = 1\n[[x]]\nb.c = {d = [1, {e = 2}]}\n[x.y]\nz = '''a\n'''''\n")
	f.Add("\"a b\".'c.d' = \"\"\"\"x\"\"\" # [t]\n[ \"q\" . r ]\ns=[\n1, # x\n[{}],\n]\r\nt=1979-05-27T07:32:00Z\n")
	f.Fuzz(func(t *testing.T, text string) {
		scanned := scan(text)
		var root map[string]any
		md, err := toml.Decode(text, &root)
		if err != nil || scanned.deep > 0 || strings.Contains(text, `\`) {
			return // escapes in keys are left as they stand
		}
		found := map[string]bool{}
		for path := range scanned.lines {
			found[indexes.ReplaceAllString(path, "")] = true
		}
		for _, k := range md.Keys() {
			path := ""
			for _, part := range k {
				path = child(path, part)
			}
			if path = indexes.ReplaceAllString(path, ""); !found[path] {
				t.Errorf("%q was not found among %v", path, scanned.lines)
			}
		}
	})
}
