package command

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"

	"polyclam/backends"
)

// TestBadKeys checks that every mistake is reported with its key and the remedy.
func TestBadKeys(t *testing.T) {
	const good = `argv = ["/bin/x", "{path}"]` + "\n" + `exit = { "0" = "?ok" }` + "\n"
	for _, c := range []struct{ doc, want string }{
		{``, `the engine has no program; write preset = "...", one of arcavir, avast-scan`},
		{`preset = "sophos-swep"`, `preset: "sophos-swep" is unknown; write one of arcavir, avast-scan`},
		{`preset = "clamscan"` + "\nprogram = \"bin/clamscan\"", `program: "bin/clamscan" must be an absolute path`},
		{`argv = ["/bin/x"]` + "\nexit = { \"0\" = \"?ok\" }", `argv: must have an argument with {path}`},
		{`argv = ["{path}", "{path}"]` + "\nexit = { \"0\" = \"?ok\" }", `argv: "{path}" is not a program`},
		{`argv = ["", "{path}"]` + "\nexit = { \"0\" = \"?ok\" }", `argv: "" is not a program`},
		{`argv = ["./x", "{path}"]` + "\nexit = { \"0\" = \"?ok\" }", `argv: "./x" must be an absolute path`},
		{`argv = ["/bin/x", "{file}", "{path}"]` + "\nexit = { \"0\" = \"?ok\" }", `argv: "{file}": {file} is unknown; write {path}`},
		{`argv = ["/bin/x", "\u0000", "{path}"]` + "\nexit = { \"0\" = \"?ok\" }", `argv: "\x00" contains a NUL`},
		{`argv = ["/bin/x", "{path}"]`, `exit: must be a table`},
		{good + `extra_args = ["{path}"]`, `extra_args: {path} belongs in argv`},
		{`argv = ["/bin/x", "{path}"]` + "\nexit = { \"0\" = \"?okay\" }", `exit.0: "okay" is unknown; write one of virus, suspicious,`},
		{`argv = ["/bin/x", "{path}"]` + "\nexit = { \"0\" = \"clean and fine\" }", `exit.0: "clean and fine" is unknown; write one of virus, suspicious, encrypted, partial`},
		{`argv = ["/bin/x", "{path}"]` + "\nexit = { \"256\" = \"ok\" }", `exit: "256" is not an exit status`},
		{`argv = ["/bin/x", "{path}"]` + "\nexit = { \"01\" = \"ok\" }", `exit: "01" is not an exit status`},
		{`argv = ["/bin/x", "{path}"]` + "\nexit = { \"+1\" = \"ok\" }", `exit: "+1" is not an exit status`},
		{`argv = ["/bin/x", "{path}"]` + "\nexit = { \"*\" = \"?ok\" }", `exit.*: must not be "?ok": an unknown status does not mean clean`},
		{good + `mask = [{ bit = 3, category = "virus" }]`, `mask[0].bit: 3 is not a bit`},
		{good + `mask = [{ bit = 256, category = "virus" }]`, `mask[0].bit: 256 is not a bit`},
		{good + `mask = [{ bit = 1, category = "viurs" }]`, `mask[0].category: "viurs" is unknown; write one of virus,`},
		{good + `mask = [{ bit = 1, category = "virus" }, { bit = 1, category = "swerr" }]`, `mask[1].bit: 1 is there twice`},
		{good + `mask = [{ bit = 1, category = "?ok" }]`, `mask[0].category: must not be "?ok": bits that mean nothing belong in exit`},
		{good + `virus_regex = '(FOUND'`, `virus_regex: error parsing regexp: missing closing )`},
		{good + `virus_regex = '(?=x)'`, `write a regular expression of RE2`},
		{good + `virus_regex = 'a)|(b'`, `virus_regex`},
		{good + `ok_regex = '.*'`, `matches any output, even none`},
		{good + `ok_regex = '.+'`, `matches any output, even none`},
		{good + `ignore_regex = 'Scanning|.+'`, `ignore_regex: "Scanning|.+" matches any output`},
		{good + `encrypted_regex = '^'`, `matches any output, even none`},
		{good + `name_rules = [{ name = '(', category = "virus" }]`, `name_rules[0].name: error parsing regexp`},
		{good + `name_rules = [{ name = 'x', category = "ok" }]`, `name_rules[0].category: must be "virus", "suspicious"`},
		{good + `env = { "A=B" = "x" }`, `env: "A=B" = "x" cannot be a variable`},
		{good + `version_argv = ["/bin/x", "{path}"]`, `version_argv: delete {path}: there is no file when the version is asked`},
		{good + `version_argv = ["x/y"]`, `version_argv: "x/y" must be an absolute path`},
		{good + `per = "message"`, `per: "message" is unknown; write one of file, directory`},
		{good + `copy = "yes"`, `copy: "yes" is unknown; write one of none, link, copy`},
		{good + "per = \"directory\"\ncopy = \"none\"", `copy: must be "link" or "copy", not "none"`},
		{good + `max_output = 1024`, `max_output: must be between "4KiB" and "16MiB", not 1024`},
		{good + `max_output = 1073741824`, `max_output: must be between "4KiB" and "16MiB"`},
	} {
		config := NewConfig().(*Config)
		if _, err := toml.Decode(c.doc, config); err != nil {
			t.Errorf("%s: %v", c.doc, err)
			continue
		}
		_, err := config.Open("")
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s\n%v\nwant %s", c.doc, err, c.want)
		}
	}
	if _, err := NewConfig().Open("tcp:127.0.0.1:1"); err == nil || !strings.Contains(err.Error(), "a program has no address") {
		t.Error(err)
	}
}

// TestAllErrors checks that all mistakes are reported together.
func TestAllErrors(t *testing.T) {
	c := &Config{Argv: []string{"x/y"}, Exit: map[string]string{"a": "b"}, VirusRegex: "(", Per: "x", Copy: "y", MaxOutput: 1}
	_, err := c.Open("unix:/x")
	if err == nil {
		t.Fatal("no error")
	}
	for _, key := range []string{"address", "argv", "exit", "virus_regex", "per", "copy", "max_output"} {
		if !strings.Contains(err.Error(), key) {
			t.Errorf("nothing of %s in: %v", key, err)
		}
	}
}

// TestOverlay checks that the table's keys override the preset one by one.
func TestOverlay(t *testing.T) {
	const doc = `
preset = "sophos-sweep"
program = "/opt/sophos/bin/sweep"
extra_args = ["-rec", "--no-follow-symlinks"]
exit = { "2" = "encrypted", "7" = "partial" }
partial_regex = '^Skipped'
env = { SAV = "1" }
copy = "link"
`
	config := NewConfig().(*Config)
	if _, err := toml.Decode(doc, config); err != nil {
		t.Fatal(err)
	}
	before := *config
	b, err := config.Open("")
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(before, *config) {
		t.Errorf("Open changed %+v to %+v", before, *config)
	}
	v := b.(*versioned)
	if got := strings.Join(v.argv, " "); got != "/opt/sophos/bin/sweep -f -mime -all -archive -ss -rec --no-follow-symlinks {path}" {
		t.Error(got)
	}
	if got := strings.Join(v.version, " "); got != "/opt/sophos/bin/sweep -v" {
		t.Error(got)
	}
	if !slices.Equal(v.env, []string{"LANG=C", "LC_ALL=C", "PATH=" + defaultPath, "SAV=1"}) || v.copy != copyLink {
		t.Errorf("%q, %s", v.env, v.copy)
	}
	for _, c := range []struct {
		output string
		code   int
		want   backends.Category
	}{
		{"", 2, backends.Encrypted}, {"", 7, backends.Partial}, {"", 0, backends.OK}, {"", 3, backends.Virus},
		{"Skipped x\n", 0, backends.Partial}, {"Password protected file x\n", 0, backends.Encrypted},
		{"Could not check a (corrupt)\n", 0, backends.SWErr},
	} {
		r, err := v.table.evaluate(t.Context(), runResult{output: []byte(c.output), code: c.code})
		if got := outcomeOf(r, err); got != c.want {
			t.Errorf("%q and %d: %v, want %v", c.output, c.code, got, c.want)
		}
	}
	if again := open(t, preset("sophos-sweep", "")).(*versioned); len(again.table.exit) != 4 || again.argv[0] != "sweep" {
		t.Errorf("the preset itself has changed: %+v", again)
	}
}

// TestPresets checks that every preset is complete, opens, and is printed as an equivalent
// configuration.
func TestPresets(t *testing.T) {
	all := Presets()
	if len(all) != 45 {
		t.Errorf("%d presets, want 45", len(all))
	}
	for _, p := range all {
		data, err := presetFiles.ReadFile("presets/" + p.Name + ".json")
		if err != nil {
			t.Errorf("%s: %v", p.Name, err)
			continue
		}
		d := json.NewDecoder(bytes.NewReader(data))
		d.DisallowUnknownFields()
		if err := d.Decode(new(Preset)); err != nil {
			t.Errorf("%s: %v", p.Name, err)
		}
		if p.Status == "" || p.Source == "" || p.Confidence == "" || p.Tested == "" {
			t.Errorf("%s: %+v", p.Name, p)
		}
		wantEvidence(t, &p)
		for code, text := range p.Exit {
			if o, err := parseOutcome("exit", text); err != nil || o.category == backends.OK && !o.asks {
				t.Errorf("%s: status %s is %q whatever is printed", p.Name, code, text)
			}
		}
		open(t, preset(p.Name, ""))
		checkTOML(t, &p)
	}
}

// wantEvidence checks that a preset describes correctly what its ok rests on, and why the
// program cannot alter the file that other engines share.
func wantEvidence(t *testing.T, p *Preset) {
	t.Helper()
	switch p.OKRestsOn {
	case okSummary, okEither, okLine:
		if p.OKRegex == "" {
			t.Errorf("%s: an ok rests on %q, but there is no ok_regex", p.Name, p.OKRestsOn)
		}
	case okDocumented, okBelieved:
		if p.OKRegex != "" {
			t.Errorf("%s: an ok rests on %q, but there is an ok_regex", p.Name, p.OKRestsOn)
		}
	default:
		t.Errorf("%s: an ok rests on %q", p.Name, p.OKRestsOn)
	}
	if p.FileSafe == "" || (p.FileSafe == privateCopy) != (p.Copy == copyFull) {
		t.Errorf("%s: it leaves the file alone because of %q, and copy = %q", p.Name, p.FileSafe, p.Copy)
	}
	if argument, ok := strings.CutPrefix(p.FileSafe, "argument "); ok && !strings.Contains(strings.Join(p.Argv, " "), argument) {
		t.Errorf("%s: %q is not in its arguments", p.Name, argument)
	}
}

// checkTOML parses the printed configuration, unchanged and with every key uncommented.
func checkTOML(t *testing.T, p *Preset) {
	t.Helper()
	type file struct {
		Engine []struct {
			Name, Backend string
			Config
		}
	}
	text := p.TOML()
	var lines []string
	for line := range strings.Lines(text) {
		if key, ok := strings.CutPrefix(line, "#"); ok && !strings.HasPrefix(key, " ") {
			line = key
		}
		lines = append(lines, line)
	}
	for _, doc := range []string{text, strings.Join(lines, "")} {
		var f file
		md, err := toml.Decode(doc, &f)
		if err != nil || len(md.Undecoded()) > 0 || len(f.Engine) != 1 {
			t.Fatalf("%s: %v, %v\n%s", p.Name, err, md.Undecoded(), doc)
		}
		u := f.Engine[0]
		if u.Name != p.Name || u.Backend != "command" || u.Preset != p.Name {
			t.Errorf("%s: %+v", p.Name, u)
		}
		if doc == text {
			continue
		}
		u.Preset, u.Program = "", ""
		if !reflect.DeepEqual(u.Config, p.Config) {
			t.Errorf("%s: %+v\nwant %+v\n%s", p.Name, u.Config, p.Config, doc)
		}
	}
}

func TestQuote(t *testing.T) {
	for _, s := range []string{"", "plain", `back\slash`, `"`, "'", `\'`, `a''\b`, `x\'`, "tab\t\\", "nl\n", "\x01", `'"\`, "ü"} {
		var v struct{ K string }
		if _, err := toml.Decode("K = "+quote(s), &v); err != nil || v.K != s {
			t.Errorf("%q: %s, %q, %v", s, quote(s), v.K, err)
		}
	}
}

func TestWritePresets(t *testing.T) {
	var b strings.Builder
	if err := WritePresets(&b); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(b.String(), "\n"); n != 46 || !strings.Contains(b.String(), "sophos-sweep") || !strings.Contains(b.String(), okDocumented) {
		t.Errorf("%d lines:\n%s", n, b.String())
	}
	b.Reset()
	if err := WritePreset(&b, "sophos-sweep"); err != nil || !strings.Contains(b.String(), "\npreset = \"sophos-sweep\"\n") ||
		!strings.Contains(b.String(), "# An ok rests on: "+okDocumented+"\n") {
		t.Errorf("%v\n%s", err, b.String())
	}
	if err := WritePreset(&b, "sweep"); err == nil || !strings.Contains(err.Error(), `preset: "sweep" is unknown; write one of`) {
		t.Error(err)
	}
}

func TestAbilities(t *testing.T) {
	for name, want := range map[string]string{
		"sophos-sweep":   "virus,encrypted,partial,names,version",
		"clamscan":       "virus,suspicious,encrypted,partial,names,version",
		"eset-odscan":    "virus,partial,names",
		"comodo-cmdscan": "virus,names",
		"yara":           "virus,suspicious,encrypted,partial,names,version",
		"f-prot-fpscan":  "virus,suspicious,encrypted,partial,names,version",
	} {
		p, err := presetNamed(name)
		if err != nil || abilityList(p.Abilities()) != want {
			t.Errorf("%s: %s, %v, want %s", name, abilityList(p.Abilities()), err, want)
		}
	}
	p, _ := presetNamed("clamscan")
	if !p.Abilities().DatabaseAge {
		t.Error("clamscan reports when its signatures were made")
	}
}

// TestMarshal checks that the configuration can be marshalled, which the daemon does to
// list the keys of a backend.
func TestMarshal(t *testing.T) {
	if _, err := toml.Marshal(NewConfig()); err != nil {
		t.Error(err)
	}
}
