package config

import (
	"strings"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/proxy/policy"
	"polyclam/proxy/status"
)

func mustParse(t *testing.T, doc string) *File {
	t.Helper()
	f, err := Parse("doc", []byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

const (
	oneListener = "[[listener]]\naddress = \"unix:/run/polyclam/clamd.sock\"\n"
	oneEngine   = "[[engine]]\nname = \"clamav\"\nbackend = \"clamd\"\naddress = \"unix:/run/clamav/clamd.ctl\"\n"
)

// TestActionOrder checks that each layer overrides those before it.
func TestActionOrder(t *testing.T) {
	for _, test := range []struct {
		name, client, site, listener string
		want                         policy.Action // of encrypted
	}{
		{"default", "generic", "", "", policy.OK},
		{"preset", "rspamd", "", "", policy.Quarantine},
		{"site", "generic", "tempfail", "", policy.Tempfail},
		{"site over preset", "rspamd", "ok", "", policy.OK},
		{"listener over site", "generic", "ok", "quarantine", policy.Quarantine},
		{"listener over all", "rspamd", "ok", "tempfail", policy.Tempfail},
	} {
		t.Run(test.name, func(t *testing.T) {
			doc := oneListener + "client = \"" + test.client + "\"\n"
			if test.listener != "" {
				doc += "[listener.actions]\nencrypted = \"" + test.listener + "\"\n"
			}
			doc += oneEngine
			if test.site != "" {
				doc += "[policy.actions]\nencrypted = \"" + test.site + "\"\n"
			}
			f := mustParse(t, doc)
			p := f.policy(&f.Listeners[0])
			if got := p.Actions[backends.Encrypted]; got != test.want {
				t.Errorf("encrypted is %q, want %q", got, test.want)
			}
			if got := p.Actions[backends.Virus]; got != policy.Quarantine {
				t.Errorf("virus is %q", got)
			}
		})
	}
}

// TestProfileOverPreset has a listener whose keys override the preset of its client,
// before and after the key client.
func TestProfileOverPreset(t *testing.T) {
	f := mustParse(t, `[[listener]]
error_style = "limits"
status = "extended"
max_line = 200
max_path_line = 300
answer_within = "9s"
address = "tcp:127.0.0.1:3310"
client = "rspamd"
[[listener]]
address = "unix:/run/x"
client = "haraka"
`+oneEngine)
	p := f.Listeners[0].Profile()
	if p.Client != "rspamd" || p.ErrorStyle != status.StyleLimits || p.Form != status.Extended || p.MaxLine != 200 || p.AnswerWithin != 9*time.Second || p.MaxPathLine != 300 {
		t.Errorf("profile %+v", p)
	}
	preset, _ := status.Lookup("haraka")
	if got := f.Listeners[1].Profile(); got.EncryptedPrefix != preset.EncryptedPrefix || got.Client != "haraka" || got.Form != preset.Form {
		t.Errorf("profile %+v, want the preset", got)
	}
}

func TestDefaultsByKindOfAddress(t *testing.T) {
	f := mustParse(t, oneListener+`
[[listener]]
address = "tcp:127.0.0.1:3310"
[[listener]]
address = "tcp:127.0.0.1:3311"
path_commands = true
reload_command = true
[[listener]]
address = "unix:/run/x"
path_commands = false
reload_command = false
`+oneEngine)
	for i, want := range []bool{true, false, true, false} {
		if l := f.Listeners[i]; l.PathCommands != want || l.ReloadCommand != want || l.ShutdownCommand {
			t.Errorf("%s: path %v, reload %v, want %v", l.Address, l.PathCommands, l.ReloadCommand, want)
		}
	}
}

func TestPolicyKeys(t *testing.T) {
	f := mustParse(t, oneListener+oneEngine+`
[policy]
action = "category"
first_virus = "wait"
precedence = ["virus", "encrypted", "suspicious", "partial", "swerr", "interrupted", "cannot-execute", "not-installed", "ok"]
[[rule]]
engine = "clamav"
name = '^PUA\.'
category = "suspicious"
[[rule]]
name = 'x'
category = "ok"
`)
	p := f.policy(&f.Listeners[0])
	if p.Mode != policy.ByCategory || p.AnswerFirst || p.Precedence[1] != backends.Encrypted {
		t.Errorf("policy %+v", p)
	}
	if len(p.Rules) != 2 || p.Rules[0].Engine != "clamav" || !p.Rules[0].Name.MatchString("PUA.Win") || p.Rules[1].Category != backends.OK {
		t.Errorf("rules %+v", p.Rules)
	}
}

func TestWarnings(t *testing.T) {
	for _, test := range []struct{ name, doc, want string }{
		{"none", oneListener + oneEngine, ""},
		{"no listener", oneEngine, "doc:1: listener: "},
		{"timeout", oneListener + "answer_within = \"10s\"\n" + oneEngine + "timeout = \"20s\"\n", "doc:8: engine.timeout: "},
		{"timeout below", oneListener + "answer_within = \"10s\"\n" + oneEngine + "timeout = \"10s\"\n", ""},
		{"max_size", oneListener + oneEngine + "max_size = \"1MiB\"\n", "doc:7: engine.max_size: "},
		{"max_size of an optional one", oneListener + oneEngine + "max_size = \"1MiB\"\n" + strings.Replace(oneEngine, "clamav\"", "b\"\nrequired = false", 1), "doc:7: engine.max_size: "},
		{"no limit of the stream", oneListener + oneEngine + "max_size = 0\n[limits]\nstream = 0\n", "doc:9: limits.stream: "},
		{"no limit of the spool", oneListener + oneEngine + "[limits]\nspool_total = 0\n", "doc:8: limits.spool_total: "},
		{"none required", oneListener + oneEngine + "required = false\n", "doc:7: engine.required: "},
		{"no engine", oneListener + "[[engine]]\nname = \"a\"\nbackend = \"inspect\"\n", "doc:3: engine: "},
		{"shutdown over TCP", "[[listener]]\naddress = \"tcp:127.0.0.1:1\"\nshutdown_command = true\n" + oneEngine, "doc:3: listener.shutdown_command: "},
		{"paths over TCP", "[[listener]]\naddress = \"tcp:127.0.0.1:1\"\npath_commands = true\n" + oneEngine, "doc:3: listener.path_commands: "},
		{"paths over TCP below roots", "scan_paths = [\"/srv\"]\n[[listener]]\naddress = \"tcp:127.0.0.1:1\"\npath_commands = true\n" + oneEngine, ""},
		{"virus is ok", oneListener + oneEngine + "[policy.actions]\nvirus = \"ok\"\n", "doc:8: policy.actions.virus: "},
		{"virus is tempfail", oneListener + oneEngine + "[policy.actions]\nvirus = \"tempfail\"\n", "doc:8: policy.actions.virus: clients hear ERROR "},
		{"suspicious is ok", oneListener + oneEngine + "[policy.actions]\nsuspicious = \"ok\"\n", "doc:8: policy.actions.suspicious: clients hear OK "},
		{"swerr is ok", oneListener + oneEngine + "[policy.actions]\nswerr = \"ok\"\n", "doc:8: policy.actions.swerr: clients hear OK "},
		{"interrupted is ok", oneListener + oneEngine + "[policy.actions]\ninterrupted = \"ok\"\n", "doc:8: policy.actions.interrupted: clients hear OK "},
		{"cannot-execute is ok", oneListener + oneEngine + "[policy.actions]\ncannot-execute = \"ok\"\n", "doc:8: policy.actions.cannot-execute: clients hear OK "},
		{"not-installed is ok", oneListener + oneEngine + "[policy.actions]\nnot-installed = \"ok\"\n", "doc:8: policy.actions.not-installed: clients hear OK "},
		{"swerr is ok for some", oneListener + "actions = { swerr = \"ok\" }\n" + oneEngine, "doc:3: listener.actions.swerr: clients hear OK "},
		{"swerr is quarantined", oneListener + oneEngine + "[policy.actions]\nswerr = \"quarantine\"\n", ""},
		{"encrypted is ok, the default", oneListener + oneEngine + "[policy.actions]\nencrypted = \"ok\"\npartial = \"tempfail\"\n", ""},
		{"encrypted is FOUND", oneListener + "client = \"mimedefang\"\n" + oneEngine + "[policy.actions]\nencrypted = \"quarantine\"\n",
			"doc:9: policy.actions.encrypted: clients hear FOUND for encrypted objects, as for a virus. unix:/run/polyclam/clamd.sock, client = \"mimedefang\": the filter that Debian installs accepts the mail and discards it"},
		{"partial is FOUND for some", oneListener + "client = \"milter\"\nactions = { partial = \"quarantine\" }\n" + oneEngine,
			"doc:4: listener.actions.partial: clients hear FOUND for partial objects, as for a virus. unix:/run/polyclam/clamd.sock, client = \"milter\": clamav-milter follows OnInfected"},
		{"encrypted is FOUND, as the preset wants it", oneListener + "client = \"rspamd\"\n" + oneEngine + "[policy.actions]\nencrypted = \"quarantine\"\n", ""},
		{"encrypted is FOUND for some, site and listener", oneListener + "client = \"exim\"\nactions = { encrypted = \"ok\" }\n" + oneEngine + "[policy.actions]\nencrypted = \"quarantine\"\n", ""},
		{"a rule to ok", oneListener + oneEngine + "[[rule]]\nname = '^PUA'\ncategory = \"ok\"\n", "doc:9: rule.category: clients hear OK for everything that any engine finds under a name that matches '^PUA'"},
		{"a rule to ok for one engine", oneListener + oneEngine + "[[rule]]\nname = '^PUA'\nengine = \"clamav\"\ncategory = \"ok\"\n", "doc:10: rule.category: clients hear OK for everything that \"clamav\" finds"},
		{"a rule to encrypted", oneListener + oneEngine + "[[rule]]\nname = '^PUA'\ncategory = \"encrypted\"\n", ""},
		{"no health check", oneListener + oneEngine + "canary = false\n", "doc:7: engine.canary: "},
		{"the action of the category", oneListener + oneEngine + "[policy]\naction = \"category\"\n", "doc:8: policy.action: "},
		{"virus is ok for some", oneListener + "actions = { virus = \"ok\" }\n" + oneEngine, "doc:3: listener.actions.virus: "},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := mustParse(t, test.doc).Warnings
			switch {
			case test.want == "" && len(got) > 0:
				t.Errorf("warnings\n%v", got)
			case test.want != "" && (len(got) != 1 || !strings.HasPrefix(got.Error(), test.want)):
				t.Errorf("warnings\n%v\nwant one at %s", got, test.want)
			}
		})
	}
}
