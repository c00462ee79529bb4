package status

import (
	"slices"
	"strings"
	"testing"

	"polyclam/backends"
	"polyclam/proxy/policy"
)

func TestLookup(t *testing.T) {
	want := []string{"amavis", "exim", "generic", "haraka", "http-gateway", "milter", "mimedefang", "rspamd"}
	if !slices.Equal(Names(), want) {
		t.Errorf("names: %v", Names())
	}
	for _, n := range Names() {
		p, ok := Lookup(n)
		if !ok || p.Client != n || p.Form != Plain || p.MaxLine != 128 || p.MaxPathLine != 256 {
			t.Errorf("%s: %+v", n, p)
		}
		if err := p.Validate(); err != nil {
			t.Errorf("%s: %v", n, err)
		}
		if err := policy.Default().WithActions(p.Actions).Validate(); err != nil {
			t.Errorf("%s: %v", n, err)
		}
		if About(n) == "" || OnFound(n) == "" {
			t.Errorf("%s: about %q, on FOUND %q", n, About(n), OnFound(n))
		}
	}
	if p, ok := Lookup("sendmail"); ok || p.Client != "" {
		t.Errorf("an unknown client: %+v", p)
	}
}

func TestLookupIsACopy(t *testing.T) {
	p, _ := Lookup("rspamd")
	p.Actions[backends.Encrypted] = policy.OK
	if q, _ := Lookup("rspamd"); q.Actions[backends.Encrypted] != policy.Quarantine {
		t.Error("a caller changed the preset")
	}
}

func TestPresets(t *testing.T) {
	get := func(n string) Profile {
		p, _ := Lookup(n)
		return p
	}
	for _, n := range Names() {
		style := StyleError
		switch n {
		case "rspamd":
			style = StyleLimits
		case "http-gateway":
			style = StyleFound
		}
		if p := get(n); p.ErrorStyle != style || p.WorstFirst != (n == "mimedefang") || p.UnknownIsClean != (n == "mimedefang") {
			t.Errorf("%s: %+v", n, p)
		}
	}
	if p := get("haraka"); p.EncryptedPrefix != "Encrypted." {
		t.Errorf("haraka: %+v", p)
	}
	if p := get("generic"); p.EncryptedPrefix != "Heuristics.Encrypted." {
		t.Errorf("generic: %+v", p)
	}
}

// TestPresetsFitTheirClients checks that a client with its own preset never passes an object
// that must be stopped, even on an error without a verdict.
func TestPresetsFitTheirClients(t *testing.T) {
	for _, c := range clients {
		name, ok := preset[c.name]
		if !ok {
			continue
		}
		p, _ := Lookup(name)
		replies := []Reply{p.SizeLimit(), p.Error("stream", "spool full"), p.Error("", ""),
			p.ClamdError("stream", "Access denied. ERROR"), p.ProtocolError("UNKNOWN COMMAND"), p.ProtocolError("COMMAND READ TIMED OUT")}
		for _, category := range backends.Categories() {
			for _, action := range []policy.Action{policy.Quarantine, policy.Tempfail} {
				replies = append(replies, p.Line("stream", policy.Verdict{Category: category, Action: action}))
			}
		}
		for _, r := range replies {
			if r.Close {
				continue
			}
			if got := c.read(r.Text); got != readInfected && got != readError {
				t.Errorf("%s reads %q in %q", c.name, got, r.Text)
			}
		}
	}
}

func TestProfileValidate(t *testing.T) {
	cases := []struct {
		name   string
		client string
		change func(*Profile)
		want   string // a part of the problem; empty: valid
	}{
		{"annotated generic", "generic", func(p *Profile) { p.Form = Annotated }, ""},
		{"annotated mimedefang", "mimedefang", func(p *Profile) { p.Form = Annotated }, ""},
		{"annotated amavis", "amavis", func(p *Profile) { p.Form = Annotated }, ""},
		{"annotated exim", "exim", func(p *Profile) { p.Form = Annotated }, ""},
		{"annotated milter", "milter", func(p *Profile) { p.Form = Annotated }, "defers all mail"},
		{"annotated rspamd", "rspamd", func(p *Profile) { p.Form = Annotated }, "mail passes unscanned"},
		{"annotated haraka", "haraka", func(p *Profile) { p.Form = Annotated }, "DENYSOFT"},
		{"annotated http-gateway", "http-gateway", func(p *Profile) { p.Form = Annotated }, "c-icap"},
		{"extended rspamd", "rspamd", func(p *Profile) { p.Form = Extended }, ""},
		{"rspamd with errors", "rspamd", func(p *Profile) { p.ErrorStyle = StyleError }, `error_style: "error" is not for client "rspamd": mail passes on every ERROR line; write "close" or "limits"`},
		{"rspamd with the default style", "rspamd", func(p *Profile) { p.ErrorStyle = "" }, "mail passes on every ERROR line"},
		{"rspamd with limits", "rspamd", func(p *Profile) { p.ErrorStyle = StyleLimits }, ""},
		{"unknown client", "generic", func(p *Profile) { p.Client = "sendmail" }, `client: "sendmail" is unknown; write one of amavis, exim,`},
		{"unknown form", "generic", func(p *Profile) { p.Form = "json" }, `status: "json" is unknown`},
		{"unknown style", "generic", func(p *Profile) { p.ErrorStyle = "hang" }, `error_style: "hang" is unknown`},
		{"unknown prefix", "generic", func(p *Profile) { p.EncryptedPrefix = "Locked." }, `encrypted_prefix: no client knows "Locked."`},
		{"short line", "generic", func(p *Profile) { p.MaxLine = 20 }, "max_line: must be between 64 and 1023, not 20"},
		{"long line", "generic", func(p *Profile) { p.MaxPathLine = 4096 }, "max_path_line: must be between 64 and 1023, not 4096"},
		{"unknown category", "generic", func(p *Profile) { p.Actions = map[backends.Category]policy.Action{"pua": policy.OK} }, `actions: "pua" is unknown`},
		{"unknown action", "generic", func(p *Profile) { p.Actions = map[backends.Category]policy.Action{backends.Virus: "delete"} }, `actions.virus: "delete" is unknown`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p, _ := Lookup(c.client)
			c.change(&p)
			err := p.Validate()
			switch {
			case c.want == "" && err != nil:
				t.Errorf("not valid: %v", err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
	two := Profile{Client: "x", Form: "y"}
	if err := two.Validate(); err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("not all problems are reported: %v", err)
	}
}
