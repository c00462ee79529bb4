package position

import (
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

func TestFind(t *testing.T) {
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
	got, _ := Find(text)
	want := map[Path]int{
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
		if strings.Contains(string(path), "fake") || strings.Contains(string(path), "not") {
			t.Errorf("%s is not a key", path)
		}
	}
}

func TestLineOfMissingKey(t *testing.T) {
	lines, _ := Find("a = 1\n[[x]]\n[[x]]\nb = [1,\n2]\n")
	for path, want := range map[Path]int{
		"x[1].none": 3, "x[1].b[1]": 5, "x[1].b[7]": 4, "x[0].b": 2, "x[9]": 2, "nothing.at[3].all": 1, "": 1,
	} {
		if got := lines.Line(path); got != want {
			t.Errorf("Line(%q) = %d, want %d", path, got, want)
		}
	}
}

func TestFindWithCarriageReturnsAndByteOrderMark(t *testing.T) {
	lines, _ := Find("\ufeffa = 1\r\n[t]\r\nb = 'x'\r\n")
	if lines["a"] != 1 || lines["t"] != 2 || lines["t.b"] != 3 {
		t.Errorf("lines = %v", lines)
	}
}

func TestPath(t *testing.T) {
	p := Path("").Key("listener").Element(1).Key("a.b").Key("c")
	if p != `listener[1]."a.b".c` || p.Name() != `listener."a.b".c` {
		t.Errorf("%q, name %q", p, p.Name())
	}
}

// TestDepth has documents that would take memory with the square of their size.
func TestDepth(t *testing.T) {
	const depth = 200_000
	for name, text := range map[string]string{
		"arrays": "\na = " + strings.Repeat("[", depth) + strings.Repeat("]", depth),
		"tables": "\na = " + strings.Repeat("{a=", depth) + "1" + strings.Repeat("}", depth),
		"dots":   "\n" + strings.Repeat("a.", depth) + "b = 1",
		"header": "\n[" + strings.Repeat("a.", depth) + "b]",
		"mixed":  "\n" + strings.Repeat("a.", 6) + "a = [[" + strings.Repeat("{a.b=", 5) + "1",
	} {
		if lines, tooDeep := Find(text); tooDeep != 2 || len(lines) > MaxDepth+1 {
			t.Errorf("%s: too deep in line %d, %d paths", name, tooDeep, len(lines))
		}
	}
	if _, tooDeep := Find("a = " + strings.Repeat("[", 14) + strings.Repeat("]", 14)); tooDeep > 0 {
		t.Error("14 levels are too deep")
	}
}

// FuzzFind expects every key that the TOML library finds.
func FuzzFind(f *testing.F) {
	f.Add("a = 1\n[[x]]\nb.c = {d = [1, {e = 2}]}\n[x.y]\nz = '''a\n'''''\n")
	f.Add("\"\\u0061\\\"b.\" = 1\n[\"\\x63\"]\n")
	f.Add("\"a b\".'c.d' = \"\"\"\"x\"\"\" # [t]\n[ \"q\" . r ]\ns=[\n1, # x\n[{}],\n]\r\nt=1979-05-27T07:32:00Z\n")
	f.Fuzz(func(t *testing.T, text string) {
		lines, tooDeep := Find(text)
		var root map[string]any
		md, err := toml.Decode(text, &root)
		if err != nil || tooDeep > 0 {
			return
		}
		found := map[string]bool{}
		for path := range lines {
			found[path.Name()] = true
		}
		for _, k := range md.Keys() {
			path := Path("")
			for _, part := range k {
				path = path.Key(part)
			}
			if !found[path.Name()] {
				t.Errorf("%q is not among %v", path, lines)
			}
		}
	})
}
