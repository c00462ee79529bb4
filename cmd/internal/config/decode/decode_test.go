package decode

import (
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/BurntSushi/toml"

	"polyclam/cmd/internal/config/position"
)

type word string

func (w *word) UnmarshalText(text []byte) error {
	if len(text) > 3 {
		return errors.New("too long")
	}
	*w = word(strings.ToUpper(string(text)))
	return nil
}

type row struct {
	Text string `toml:"text"`
	Int  int    `toml:"int"`
}

// prepared has the keys of extra too, and with open = true any others.
type prepared struct {
	Open bool `toml:"open"`

	extra row
}

func (p *prepared) Prepare(table map[string]any) (any, bool) {
	open, _ := table["open"].(bool)
	p.extra.Text = "default"
	return &p.extra, open
}

type inner struct {
	Wait time.Duration `toml:"wait" range:"1s..24h"`
}

type document struct {
	inner
	Text     string            `toml:"text"`
	Flag     bool              `toml:"flag"`
	Count    int               `toml:"count" range:"1..10"`
	Free     int               `toml:"free"`
	Rate     float64           `toml:"rate" range:"0..100"`
	Size     int64             `toml:"size"`
	Positive time.Duration     `toml:"positive" range:"1ns..24h"`
	Any      time.Duration     `toml:"any"`
	Mode     fs.FileMode       `toml:"mode"`
	Word     word              `toml:"word"`
	List     []string          `toml:"list"`
	Either   List              `toml:"either"`
	Other    List              `toml:"other"`
	Table    row               `toml:"table"`
	Rows     []row             `toml:"rows"`
	Map      map[string]string `toml:"map"`
	Prepared prepared          `toml:"prepared"`
	Ignored  string
}

// decodeText returns the document, and its faults as "path: text".
func decodeText(t *testing.T, text string) (document, []string) {
	t.Helper()
	var root map[string]any
	if err := toml.Unmarshal([]byte(text), &root); err != nil {
		t.Fatal(err)
	}
	doc := document{Text: "default", List: []string{"default"}}
	var faults []string
	for _, f := range Decode(root, &doc, func(table position.Path, key string, known []string) string {
		return fmt.Sprintf("unknown %s in %q, not %v", key, table, known)
	}) {
		faults = append(faults, fmt.Sprintf("%s: %s", f.Path, f.Text))
	}
	return doc, faults
}

func TestDecode(t *testing.T) {
	got, faults := decodeText(t, `
text = "t"
flag = true
count = 10
free = -5
rate = 0.5
size = "100MiB"
wait = "1m30s"
positive = "1ns"
any = "0s"
mode = "0640"
word = "abc"
list = []
either = "a"
other = ["a", "b"]
table = { text = "t", int = 1 }
map = { a = "1", "b.c" = "2" }
[[rows]]
int = 1
[[rows]]
text = "second"
[prepared]
open = true
int = 7
other = 1
`)
	want := document{
		inner: inner{Wait: 90 * time.Second}, Text: "t", Flag: true, Count: 10, Free: -5, Rate: 0.5, Size: 100 << 20, Positive: 1,
		Mode: 0o640, Word: "ABC", List: []string{}, Either: List{"a"}, Other: List{"a", "b"}, Table: row{"t", 1}, Rows: []row{{Int: 1}, {Text: "second"}},
		Map: map[string]string{"a": "1", "b.c": "2"}, Prepared: prepared{true, row{"default", 7}},
	}
	if !reflect.DeepEqual(got, want) || len(faults) > 0 {
		t.Errorf("decoded\n%+v, faults %q\nwant\n%+v", got, faults, want)
	}
	if got, faults := decodeText(t, ""); got.Text != "default" || len(got.List) != 1 || len(faults) > 0 {
		t.Errorf("the empty document is %+v, faults %q", got, faults)
	}
}

func TestFaults(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{`text = 1`, "text: must be a string in quotes, not an integer"},
		{`flag = "yes"`, "flag: must be true or false, not a string"},
		{`count = 0`, "count: must be a number between 1 and 10, not 0"},
		{`count = 11`, "count: must be a number between 1 and 10, not 11"},
		{`count = "5"`, "count: must be a number between 1 and 10, not a string"},
		{`rate = 100.1`, "rate: must be a number between 0 and 100, not 100.1"},
		{`rate = -1`, "rate: must be a number between 0 and 100, not -1"},
		{`rate = nan`, "rate: must be a number between 0 and 100, not NaN"},
		{`rate = "5"`, "rate: must be a number between 0 and 100, not a string"},
		{`free = 1.5`, "free: must be a number, not a float"},
		{`size = true`, `size: must be a size, for example "100MiB", not a boolean`},
		{`size = -1`, `size: "-1" is not a size; write bytes,`},
		{`size = "100M"`, `size: "100M" is not a size; write bytes,`},
		{`positive = 30`, `positive: a duration needs a unit; write "30s"`},
		{`positive = 1.5`, `positive: must be a duration, for example "60s", not a float`},
		{`positive = "0s"`, `positive: must be positive, for example "60s", not "0s"`},
		{`positive = "-1s"`, `positive: must be positive`},
		{`positive = "60"`, `positive: "60" is not a duration; write a number with its unit, for example "110s" or "2m"`},
		{`positive = "1d"`, `positive: "1d" is not a duration`},
		{`positive = ""`, `positive: "" is not a duration`},
		{`wait = "999ms"`, `wait: must be at least "1s", not "999ms"`},
		{`wait = "24h1ns"`, `wait: must be at most "24h", not "24h1ns"`},
		{`mode = "999"`, `mode: "999" is not a mode; write three octal digits after a zero, for example "0666"`},
		{`mode = "01777"`, `mode: "01777" is not a mode`},
		{`mode = "-1"`, `mode: "-1" is not a mode`},
		{`mode = 438`, `mode: must be a string in quotes, not an integer`},
		{`word = "long"`, "word: too long"},
		{`word = 2026-11-23`, "word: must be a string in quotes, not a date or time"},
		{`list = "a"`, `list: must be an array, for example ["..."], not a string`},
		{`list = ["a", 7]`, `list[1]: must be a string in quotes, not an integer`},
		{`either = 7`, "either: must be a string in quotes, or an array of such strings, not an integer"},
		{`table = "none"`, "table: must be a table, for example [table], not a string"},
		{`table = { txt = 1 }`, `table.txt: unknown txt in "table", not [text int]`},
		{`rows = "none"`, "rows: must be an array of tables, for example [[rows]], not a string"},
		{`rows = { int = 1 }`, "rows: must be an array of tables, for example [[rows]], not a table"},
		{`rows = [{ int = 1 }, 2]`, "rows[1]: must be a table, for example [[rows]], not an integer"},
		{`rows = [{}, { int = "x" }]`, "rows[1].int: must be a number, not a string"},
		{`map = []`, "map: must be a table, for example [map], not an array"},
		{`map = { a = 1 }`, "map.a: must be a string in quotes, not an integer"},
		{`Text = "x"`, `Text: unknown Text in "", not [wait text`},
		{`Ignored = "x"`, `Ignored: unknown Ignored in ""`},
		{`[prepared]` + "\nother = 1", `prepared.other: unknown other in "prepared", not [open text int]`},
	} {
		if _, faults := decodeText(t, test.text); len(faults) != 1 || !strings.HasPrefix(faults[0], test.want) {
			t.Errorf("%s\nfaults %q\nwant   %q", test.text, faults, test.want)
		}
	}
}

// TestAllFaults has several faults; the keys without one are decoded.
func TestAllFaults(t *testing.T) {
	got, faults := decodeText(t, `
text = 1
list = [1, "two"]
map = { a = 1, b = "2" }
[[more]]
[[more]]
[[rows]]
int = "x"
text = "kept"
`)
	want := []string{
		"list[0]: must be a string in quotes, not an integer",
		"map.a: must be a string in quotes, not an integer",
		`more[0]: unknown more in ""`, `more[1]: unknown more in ""`,
		"rows[0].int: must be a number, not a string",
		"text: must be a string in quotes, not an integer",
	}
	for i, f := range faults {
		if i >= len(want) || !strings.HasPrefix(f, want[i]) {
			t.Errorf("fault %q", f)
		}
	}
	if len(faults) != len(want) {
		t.Errorf("%d faults, want %d", len(faults), len(want))
	}
	if got.Text != "default" || got.List[1] != "two" || got.Map["b"] != "2" || len(got.Map) != 1 || got.Rows[0].Text != "kept" {
		t.Errorf("decoded %+v", got)
	}
}

func TestKeys(t *testing.T) {
	if got := Keys(inner{}); !reflect.DeepEqual(got, []string{"wait"}) {
		t.Errorf("Keys = %q", got)
	}
	if a, b := Keys(document{}), Keys(&document{}); !reflect.DeepEqual(a, b) || a[0] != "wait" || len(a) != 18 {
		t.Errorf("Keys = %q, of a pointer %q", a, b)
	}
}
