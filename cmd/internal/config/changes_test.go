package config

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"polyclam/backends/registry"
)

func parsed(t *testing.T, text string) *File {
	t.Helper()
	f, err := Parse("test.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestChanges(t *testing.T) {
	const listener = "[[listener]]\naddress = \"unix:/s\"\n"
	engine := func(name, more string) string { return "[[engine]]\nname = \"" + name + "\"\n" + more + "\n" }
	clamd := func(more string) string {
		return listener + engine("clamav", "backend = \"clamd\"\naddress = \"unix:/c\"\n"+more)
	}
	icap := func(more string) string {
		return listener + engine("i", "backend = \"icap\"\naddress = \"tcp:host:1344\"\n"+more)
	}
	rules := func(more string) string { return clamd(more) }
	long := strings.Repeat("x", 300)
	for _, c := range []struct{ name, before, after, want string }{
		{"nothing", clamd(""), clamd(""), ""},
		{"a default that is written", clamd(""), clamd("required = true"), ""},
		{"duration", clamd(`timeout = "60s"`), clamd(`timeout = "30s"`), "engine clamav: timeout: 1m -> 30s\nengine clamav: max_delay: 6s -> 3s"},
		{"size", clamd("[limits]\nstream = \"100MiB\""), clamd("[limits]\nstream = \"100000001\""), "limits.stream: 100MiB -> 100000001"},
		{"age", clamd(`max_signature_age = "7d"`), clamd(`max_signature_age = "never"`), "engine clamav: max_signature_age: 7d -> never"},
		{"mode", clamd(""), clamd("[[listener]]\naddress = \"unix:/t\"\nmode = \"0600\""), "listener unix:/t added"},
		{"mode of a socket", listener + engine("e", `backend = "inspect"`), "[[listener]]\naddress = \"unix:/s\"\nmode = \"0600\"\n" + engine("e", `backend = "inspect"`), "listener unix:/s: mode: 0666 -> 0600"},
		{"agent check", clamd(""), clamd("[[listener]]\naddress = \"tcp:127.0.0.1:3311\"\nagent_check = true\n[http]\naddress = \"unix:/h\""), "http.address: \"\" -> \"unix:/h\"\nlistener tcp:127.0.0.1:3311 added"},
		{"removed", clamd(engine("inspect", `backend = "inspect"`)), clamd(""), "engine inspect removed"},
		{"order", clamd(engine("inspect", `backend = "inspect"`)), listener + engine("inspect", `backend = "inspect"`) + engine("clamav", "backend = \"clamd\"\naddress = \"unix:/c\""), "the order of the engines changed"},
		{"backend", listener + engine("e", "backend = \"clamd\"\naddress = \"tcp:a:1\""), listener + engine("e", "backend = \"sssp\"\naddress = \"tcp:a:1\""),
			"engine e: backend: \"clamd\" -> \"sssp\"\nengine e: transport: \"auto\" -> \"data\"\nengine e: options added\nengine e: idle_limit added: 25s"},
		{"node", clamd(""), strings.Replace(clamd(""), `address = "unix:/c"`, `addresses = ["unix:/c", "unix:/d"]`, 1), `engine clamav: addresses: ["unix:/c"] -> ["unix:/c", "unix:/d"]`},
		{"category of a rule", rules("[[rule]]\nname = 'PUA'\ncategory = \"suspicious\""), rules("[[rule]]\nname = 'PUA'\ncategory = \"ok\""), `rule "PUA": category: "suspicious" -> "ok"`},
		{"rule in the middle", rules("[[rule]]\nname = 'A'\ncategory = \"ok\"\n[[rule]]\nname = 'B'\ncategory = \"ok\""),
			rules("[[rule]]\nname = 'A'\ncategory = \"ok\"\n[[rule]]\nname = 'C'\nengine = \"clamav\"\ncategory = \"ok\"\n[[rule]]\nname = 'B'\ncategory = \"ok\""), `rule "C" for clamav added`},
		{"order of rules", rules("[[rule]]\nname = 'A'\ncategory = \"ok\"\n[[rule]]\nname = 'B'\ncategory = \"ok\""),
			rules("[[rule]]\nname = 'B'\ncategory = \"ok\"\n[[rule]]\nname = 'A'\ncategory = \"ok\""), "the order of the rules changed"},
		{"the same rule twice", rules("[[rule]]\nname = 'A'\ncategory = \"ok\""), rules("[[rule]]\nname = 'A'\ncategory = \"ok\"\n[[rule]]\nname = 'A'\ncategory = \"virus\""), `rule "A" (2) added`},
		{"action added", clamd(""), clamd("[policy.actions]\nencrypted = \"quarantine\""), `policy.actions.encrypted added: "quarantine"`},
		{"action removed", clamd("[policy.actions]\nencrypted = \"quarantine\""), clamd(""), `policy.actions.encrypted removed (it was "quarantine")`},
		{"secret", icap("headers = { Authorization = \"Bearer hush\" }"), icap("headers = { Authorization = \"Bearer hush2\" }"), "engine i: headers.Authorization: changed (such values are not shown)"},
		{"secret added", icap(""), icap("headers = { Authorization = \"Bearer hush\" }"), "engine i: headers.Authorization added"},
		{"secret removed", icap("headers = { Authorization = \"Bearer hush\" }"), icap(""), "engine i: headers.Authorization removed"},
		{"token in a URL", icap(`url = "http://a/{name}?key=hush"`), icap(`url = "http://a/{name}"`), "engine i: url: changed (such values are not shown)"},
		{"control characters", rules("[[rule]]\nname = 'A'\ncategory = \"ok\""), rules("[[rule]]\nname = \"A\\u202e\\n\"\ncategory = \"ok\""), `rule "A" removed` + "\n" + `rule "A\u202e\n" added`},
		{"long", icap(`service = "` + long + `a"`), icap(`service = "` + long + `b"`), "engine i: service: changed"},
	} {
		before, after := parsed(t, c.before).Settings(), parsed(t, c.after).Settings()
		got := before.Changes(after)
		if strings.Join(got, "\n") != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.name, strings.Join(got, "\n"), c.want)
		}
		if strings.Contains(strings.Join(got, "\n"), "hush") {
			t.Errorf("%s: a secret is shown", c.name)
		}
	}
}

func TestIsSecret(t *testing.T) {
	for _, c := range []struct {
		key, value string
		want       bool
	}{
		{"url", `"http://user:hush@a/b"`, true}, {"addresses", `["https://a/?key=hush"]`, true}, {"url", `"http://a/b"`, false},
		{"env.LICENCE", `"hush"`, true}, {"argv", `["scan", "--password=hush"]`, true}, {"on_find.arguments", `["hush"]`, true},
		{"http.token", `"hush"`, true}, {"http.token_file", `"/etc/token"`, false}, {"API_Key", `"hush"`, true}, {"virus_regex", `"a?@"`, false},
	} {
		if got := isSecret(c.key, c.value); got != c.want {
			t.Errorf("isSecret(%q, %s) = %v", c.key, c.value, got)
		}
	}
}

// TestChangesInFiles changes a file that a key names.
func TestChangesInFiles(t *testing.T) {
	hashes := filepath.Join(t.TempDir(), "hashes")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(hashes+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(hashes+".new", hashes); err != nil {
			t.Fatal(err)
		}
	}
	text := "[[listener]]\naddress = \"unix:/s\"\n[[engine]]\nname = \"inspect\"\nbackend = \"inspect\"\nhashes = [\"" + hashes + "\"]\n"
	write(strings.Repeat("a", 64) + "\n")
	before, same := parsed(t, text).Settings(), parsed(t, text).Settings()
	write(strings.Repeat("b", 64) + "\n")
	after := parsed(t, text).Settings()
	if got := before.Changes(same); got != nil {
		t.Errorf("nothing changed, but got %q", got)
	}
	if got, want := strings.Join(before.Changes(after), "\n"), "engine inspect: hashes: the file "+hashes+" changed"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// everything returns a file with a listener, an engine of each backend, and a rule.
func everything() *File {
	f := newFile("test.toml")
	f.Listeners = []Listener{NewListener("unix:/s")}
	for _, row := range registry.Rows() {
		f.Engines = append(f.Engines, newEngine(row.Key, row.Key))
	}
	f.Rules = []Rule{{Name: Pattern{regexp.MustCompile("a")}, Category: "ok"}}
	return f
}

// TestEveryKeyIsCompared changes each key of the configuration, and of the backends, and
// looks for it in the changes.
func TestEveryKeyIsCompared(t *testing.T) {
	f := everything()
	before := f.Settings()
	count := 0
	check := func(table, key string, v reflect.Value) {
		count++
		old := reflect.ValueOf(v.Interface())
		change(t, key, v)
		lines := before.Changes(f.Settings())
		v.Set(old)
		found := false
		for _, line := range lines {
			inKey := strings.HasPrefix(line, strings.TrimPrefix(table+": ", ": ")+key)
			found = found || inKey || line == table+" removed" // a key that identifies its table
		}
		if !found {
			t.Errorf("the change of %s %s is not reported: %q", table, key, lines)
		}
	}
	walkKeys("", "", reflect.ValueOf(f).Elem(), check)
	for i := range f.Engines {
		walkKeys("engine "+f.Engines[i].Name, "", reflect.ValueOf(f.Engines[i].config).Elem(), check)
	}
	if lines := before.Changes(f.Settings()); lines != nil {
		t.Errorf("not everything was undone: %q", lines)
	}
	if count < 300 {
		t.Errorf("changed %d keys only", count)
	}
}

// walkKeys calls visit for each key with a toml tag.
func walkKeys(table, prefix string, v reflect.Value, visit func(table, key string, v reflect.Value)) {
	for i := range v.NumField() {
		field, value := v.Type().Field(i), v.Field(i)
		name := field.Tag.Get("toml")
		switch {
		case field.Anonymous && name == "":
			walkKeys(table, prefix, value, visit)
		case name == "":
		case table == "" && value.Kind() == reflect.Slice && value.Type().Elem().Kind() == reflect.Struct:
			for j := range value.Len() {
				title := map[string]string{"listener": "listener unix:/s", "rule": `rule "a"`}[name]
				if e, ok := value.Index(j).Addr().Interface().(*Engine); ok {
					title = "engine " + e.Name
				}
				walkKeys(title, "", value.Index(j), visit)
			}
		case value.Kind() == reflect.Struct && value.Type() != reflect.TypeFor[Pattern]() && value.Type() != reflect.TypeFor[Ports]():
			walkKeys(table, prefix+name+".", value, visit)
		default:
			visit(table, prefix+name, value)
		}
	}
}

// change gives a key another value.
func change(t *testing.T, key string, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int, reflect.Int64:
		v.SetInt(v.Int() + 1)
	case reflect.Float64:
		v.SetFloat(v.Float() + 1)
	case reflect.Uint32: // a mode
		v.SetUint(v.Uint() ^ 1)
	case reflect.Slice:
		v.Set(reflect.Append(reflect.ValueOf(v.Interface()), reflect.Zero(v.Type().Elem())))
	case reflect.Map:
		m := reflect.MakeMap(v.Type())
		for _, k := range v.MapKeys() {
			m.SetMapIndex(k, v.MapIndex(k))
		}
		m.SetMapIndex(reflect.ValueOf("new").Convert(v.Type().Key()), reflect.Zero(v.Type().Elem()))
		v.Set(m)
	default:
		switch v.Interface().(type) {
		case Pattern:
			v.Set(reflect.ValueOf(Pattern{regexp.MustCompile("b")}))
		case Ports:
			v.Set(reflect.ValueOf(Ports{First: 1, Last: 2}))
		default:
			t.Fatalf("%s has the type %v", key, v.Type())
		}
	}
}
