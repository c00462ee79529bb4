package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const policyConfig = `
[[listener]]
address = "unix:/s"
[[engine]]
name = "a"
backend = "inspect"
`

// policyLog are the lines of three scans: ok, a virus whose name has an escape sequence, and
// one of another listener.
const policyLog = `{"level":"info","id":"d1","listener":"unix:/s","object":"stream","category":"ok","action":"ok","engines":{"a":{"category":"ok"}},"time":"2026-11-28T09:00:00Z","message":"scanned"}
{"level":"info","id":"d2","listener":"unix:/s","object":"/x\\x1b[31m","category":"virus","action":"quarantine","engine":"a","names":["PUA.\\x1b[0m"],"engines":{"a":{"category":"virus","names":["PUA.\\x1b[0m"]}},"time":"2026-11-28T09:00:01Z","message":"scanned"}
{"level":"info","id":"d3","listener":"tcp:127.0.0.1:1","object":"stream","category":"ok","action":"ok","engines":{"a":{"category":"ok"}},"message":"scanned"}
{"level":"info","message":"node up"}
`

func TestPolicy(t *testing.T) {
	t.Setenv("TZ", "UTC")
	dir := t.TempDir()
	log, same, other := filepath.Join(dir, "log"), filepath.Join(dir, "same.toml"), filepath.Join(dir, "new.toml")
	for name, text := range map[string]string{log: policyLog, same: policyConfig, other: policyConfig + "[[rule]]\nname = '^PUA\\.\\x1b'\ncategory = \"suspicious\"\n[policy.actions]\nsuspicious = \"ok\"\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rest := `
1 scan not judged: the configuration has no such listener: tcp:127.0.0.1:1
1 line not about scans
`
	for _, tt := range []struct {
		name, stdin string
		args        []string
		status      int
		want        string
	}{
		{"same", "", []string{"--config", same, "policy", "--log", log}, exitOK, "2 scans judged by CONFIG: 0 would get another verdict\n" + rest},
		{"other", "", []string{"policy", "--config", other, "--log", log}, exitFound, `2 scans judged by CONFIG: 1 would get another verdict

SCANS  LOGGED            WOULD BE
1      virus/quarantine  suspicious/ok

ID  TIME                 LOGGED            WOULD BE       ENGINE  NAME          OBJECT
d2  2026-11-28 09:00:01  virus/quarantine  suspicious/ok  a       PUA.\x1b[0m  /x\x1b[31m
` + rest},
		{"standard input", policyLog, []string{"policy", "--config", same, "--log=-"}, exitOK, "2 scans judged by CONFIG: 0 would get another verdict\n" + rest},
		{"JSON", "", []string{"policy", "--config", other, "--log", log, "--json", "--limit=0"}, exitFound,
			`{"judged":2,"different":1,"changes":[{"from":"virus/quarantine","to":"suspicious/ok","count":1}],"scans":[],"not_judged":[{"reason":"the configuration has no such listener: tcp:127.0.0.1:1","count":1}],"other_lines":1,"long_lines":0}` + "\n"},
		{"nothing to judge", "text\n", []string{"policy", "--config", same, "--log=-"}, exitFailed, "0 scans judged by CONFIG: 0 would get another verdict\n\n1 line not about scans\n"},
		{"no log", "", []string{"policy", "--config", same}, exitFailed, ""},
		{"missing log", "", []string{"policy", "--config", same, "--log", log + "x"}, exitFailed, ""},
		{"directory", "", []string{"policy", "--config", same, "--log", dir}, exitFailed, ""},
		{"negative limit", "", []string{"policy", "--config", same, "--log", log, "--limit=-1"}, exitFailed, ""},
		{"bad configuration", "", []string{"policy", "--config", log, "--log", log}, exitFailed, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := finish(t, input(toolCommand(t, "", tt.args...), strings.NewReader(tt.stdin)))
			r.wantStatus(t, tt.status)
			got := strings.NewReplacer(same, "CONFIG", other, "CONFIG").Replace(r.stdout)
			got, want := strings.ReplaceAll(got, "  ", " "), strings.ReplaceAll(tt.want, "  ", " ")
			for strings.Contains(got+want, "  ") {
				got, want = strings.ReplaceAll(got, "  ", " "), strings.ReplaceAll(want, "  ", " ")
			}
			if got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			if tt.want == "" && r.stderr == "" {
				t.Error("no message")
			}
		})
	}
}
