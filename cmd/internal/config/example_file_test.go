package config

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"

	"polyclam/backends/registry"
	"polyclam/cmd/internal/config/decode"
)

const examplePath = "../../../config.toml.example"

func readExample(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(examplePath)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

var commented = regexp.MustCompile(`(?m)^#(\[|[a-z0-9_-]+ = )`)

// uncomment makes every key and table of the example active.
func uncomment(text string) string { return commented.ReplaceAllString(text, "$1") }

func TestExampleLoads(t *testing.T) {
	text := readExample(t)
	f, err := Parse("config.toml.example", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Warnings) > 0 {
		t.Errorf("warnings:\n%v", f.Warnings)
	}
	all := uncomment(text)
	if all == text {
		t.Fatal("nothing was commented")
	}
	if f, err = Parse("config.toml.example, all of it", []byte(all)); err != nil {
		t.Fatal(err)
	}
	if len(f.Warnings) > 0 {
		t.Errorf("warnings:\n%v", f.Warnings)
	}
}

// TestExampleHasEveryKey compares the example with the structs of the file and of the
// backends.
func TestExampleHasEveryKey(t *testing.T) {
	var root map[string]any
	if err := toml.Unmarshal([]byte(uncomment(readExample(t))), &root); err != nil {
		t.Fatal(err)
	}
	for _, table := range []struct {
		name string
		keys any
		have any
	}{
		{"the top", File{}, root},
		{"[policy]", Policy{}, root["policy"]},
		{"[limits]", Limits{}, root["limits"]},
		{"[spool]", Spool{}, root["spool"]},
		{"[log]", Log{}, root["log"]},
		{"[on_find]", OnFind{}, root["on_find"]},
		{"[http]", HTTP{}, root["http"]},
		{"[admin]", Admin{}, root["admin"]},
		{"[cache]", Cache{}, root["cache"]},
		{"[[listener]]", Listener{}, root["listener"]},
		{"[[engine]]", Engine{}, root["engine"]},
		{"[[rule]]", Rule{}, root["rule"]},
	} {
		have := keysOf(table.have)
		for _, k := range decode.Keys(table.keys) {
			if !have[k] {
				t.Errorf("%s has no key %q", table.name, k)
			}
		}
	}
	for _, row := range registry.Rows() {
		have := keysOf(ofBackend(root["engine"], row.Key))
		for _, k := range decode.Keys(row.NewConfig()) {
			if !have[k] {
				t.Errorf("no [[engine]] with backend = %q has the key %q", row.Key, k)
			}
		}
	}
}

// TestDocumentHasEveryLimit looks for each limit in the table of docs/limits.md.
func TestDocumentHasEveryLimit(t *testing.T) {
	text, err := os.ReadFile("../../../docs/limits.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range decode.Keys(Limits{}) {
		if !strings.Contains(string(text), "| `limits."+k+"` |") {
			t.Errorf("docs/limits.md has no row for limits.%s", k)
		}
	}
}

// keysOf returns the keys of a table, or of all tables in an array.
func keysOf(v any) map[string]bool {
	have := map[string]bool{}
	list, _ := v.([]map[string]any)
	if one, ok := v.(map[string]any); ok {
		list = append(list, one)
	}
	for _, table := range list {
		for k := range table {
			have[k] = true
		}
	}
	return have
}

func ofBackend(v any, backend string) []map[string]any {
	list, _ := v.([]map[string]any)
	return slices.DeleteFunc(slices.Clone(list), func(t map[string]any) bool { return t["backend"] != backend })
}

// effect is the result of a file, for comparisons.
type effect struct {
	File     File
	Policies []map[string]string
	Backends []string // their own keys
}

func effectOf(t *testing.T, doc string) effect {
	t.Helper()
	f, err := Parse("doc", []byte(doc))
	if err != nil {
		t.Fatalf("%v\n%s", err, doc)
	}
	e := effect{File: *f}
	for i := range f.Listeners {
		actions := map[string]string{}
		for c, a := range f.policy(&f.Listeners[i]).Actions {
			actions[string(c)] = string(a)
		}
		e.Policies = append(e.Policies, actions)
		f.Listeners[i].Actions = nil
	}
	for i := range f.Engines {
		e.Backends = append(e.Backends, fmt.Sprintf("%+v", f.Engines[i].config))
		f.Engines[i].config = nil
	}
	e.File.Policy.Actions = nil
	e.File.Warnings, e.File.lines = nil, nil
	if len(e.File.ScanPaths) == 0 {
		e.File.ScanPaths = nil
	}
	return e
}

// required are the mandatory keys of backends that need more or less than a Unix socket.
var required = map[string]string{
	inspectBackend: "",
	"command":      "argv = [\"/x\", \"{path}\"]\nexit = { \"0\" = \"?ok\" }\n",
	"savapi":       "address = \"tcp:127.0.0.1:1\"\nproduct = \"1\"\n",
	"icap":         "address = \"tcp:127.0.0.1:1\"\n",
	"kse":          "address = \"tcp:127.0.0.1:1\"\n",
	"httpscan":     "address = \"tcp:127.0.0.1:1\"\n",
	"fprot":        "address = \"tcp:127.0.0.1:1\"\n",
}

// documents returns a document without a key in table, and one in which it has a value.
func documents(table, address, backend, key, value string) (without, with string) {
	if table != "[[engine]]" {
		backend = inspectBackend
	}
	tables := []string{"", "[[listener]]", "[[engine]]", "[policy]", "[policy.actions]", "[limits]", "[spool]", "[http]", "[admin]", "[log]", "[on_find]"}
	for _, name := range tables {
		block := name + "\n"
		switch name {
		case "[[listener]]":
			block += "address = \"" + address + "\"\n"
		case "[[engine]]":
			block += "name = \"x\"\nbackend = \"" + backend + "\"\n"
			block += required[backend]
			if _, ok := required[backend]; !ok {
				block += "address = \"unix:/run/engine.sock\"\n"
			}
		case "[spool]":
			if table == "[[engine]]" { // some engines need it
				block += "directory = \"/var/spool/polyclam\"\n"
			}
		}
		without += block
		with += block
		if name == table {
			with += key + " = " + value + "\n"
		}
	}
	return without, with
}

var (
	activeTable = regexp.MustCompile(`^#?(\[+[a-z._]+\]+)$`)
	activeKey   = regexp.MustCompile(`^#?([a-z0-9_-]+) = (.*)$`)
	ownKey      = regexp.MustCompile(`^# For backend = "([a-z]+)"`)
	onSockets   = regexp.MustCompile(`^(.*) on a Unix socket, (.*) on TCP$`)
	forGeneric  = regexp.MustCompile(`^the profile's, (.*) for generic$`)
)

// TestExampleDefaults checks that every default in the example is the real one, so that
// writing it changes nothing, and that it is the value shown.
func TestExampleDefaults(t *testing.T) {
	table, stated, backend, checked := "", "", inspectBackend, 0
	for line := range strings.Lines(readExample(t)) {
		line = strings.TrimSuffix(line, "\n")
		if m := activeTable.FindStringSubmatch(line); m != nil {
			table = m[1]
		}
		if m := ownKey.FindStringSubmatch(line); m != nil {
			backend = m[1]
		}
		if text, ok := strings.CutPrefix(line, "# Default: "); ok {
			stated = text
			continue
		}
		m := activeKey.FindStringSubmatch(line)
		if m == nil || stated == "" {
			continue
		}
		checkDefault(t, table, backend, m[1], m[2], stated)
		stated = ""
		checked++
	}
	if checked < 50 {
		t.Errorf("%d defaults were checked, want 50 at least", checked)
	}
}

func checkDefault(t *testing.T, table, backend, key, shown, stated string) {
	t.Helper()
	switch stated {
	case "the daemon's own group", "none", "the system's", "the host of the address", "the flavour's", "all engines", "that of [policy]",
		"everyone", "no limit", "scans_per_second, rounded up":
		return // has no value that can be written
	}
	for _, prefix := range []string{"the preset's, else ", "the protocol's: ", "half of the memory"} {
		if strings.HasPrefix(stated, prefix) {
			return
		}
	}
	onUnix, onTCP := stated, stated
	if m := onSockets.FindStringSubmatch(stated); m != nil {
		onUnix, onTCP = m[1], m[2]
	}
	if m := forGeneric.FindStringSubmatch(stated); m != nil {
		onUnix, onTCP = m[1], m[1]
	}
	if shown != onUnix {
		t.Errorf("%s %s: shown is %s, the default is %s", table, key, shown, onUnix)
	}
	for address, value := range map[string]string{"unix:/run/x.sock": onUnix, "tcp:127.0.0.1:3310": onTCP} {
		if key == "mode" && value == onTCP && strings.HasPrefix(address, "tcp") {
			continue // TCP listeners have no mode
		}
		without, with := documents(table, address, backend, key, value)
		if a, b := effectOf(t, without), effectOf(t, with); !reflect.DeepEqual(a, b) {
			t.Errorf("%s %s = %s is not the default on %s:\n%+v\n%+v", table, key, value, address, a, b)
		}
	}
}
