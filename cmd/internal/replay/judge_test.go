package replay

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"polyclam/cmd/internal/config"
)

// hosts is a resolver.
type hosts map[string]netip.Addr

func (h hosts) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	if a, ok := h[host]; ok {
		return []netip.Addr{a}, nil
	}
	return nil, errors.New("no such host")
}

func judgeOf(t testing.TB, text string) *Judge {
	t.Helper()
	f, err := config.Parse("new.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return NewJudge(t.Context(), f, hosts{"mx": netip.MustParseAddr("192.0.2.1")})
}

const twoEngines = `
[[listener]]
address = "unix:/s"
[[listener]]
address = "tcp:mx:3310"
[[listener]]
address = "tcp:unknown:3310"
[[engine]]
name = "a"
backend = "inspect"
[[engine]]
name = "b"
backend = "inspect"
required = false
`

func TestJudge(t *testing.T) {
	long := strings.Repeat("V", maxLoggedName)
	for _, tt := range []struct {
		name, config string
		listener     string
		engines      string
		want         string // the verdict, or the reason
	}{
		{"ok", "", "unix:/s", `"a":{"category":"ok"},"b":{"category":"ok"}`, "ok/ok  "},
		{"by name", "", "tcp:192.0.2.1:3310", `"a":{"category":"virus","names":["V"]},"b":{"category":"ok"}`, "virus/quarantine a V"},
		{"action", "[policy.actions]\nencrypted = \"quarantine\"\n", "unix:/s", `"a":{"category":"encrypted","names":["E"]},"b":{"category":"ok"}`, "encrypted/quarantine a E"},
		{"rule", "[[rule]]\nname = '^PUA'\ncategory = \"ok\"\n", "unix:/s", `"a":{"category":"virus","names":["PUA.x"]},"b":{"category":"ok"}`, "ok/ok  "},
		{"rule by the raw name", "[[rule]]\nname = '^\\x07$'\ncategory = \"ok\"\n", "unix:/s", `"a":{"category":"virus","names":["\\x07"]},"b":{"category":"ok"}`, "ok/ok  "},
		{"rule undone", "", "unix:/s", `"a":{"category":"ok","passed":["V"],"rule":["^V"],"findings":[{"category":"virus","name":"V"}]},"b":{"category":"ok"}`, "virus/quarantine a V"},
		{"finding and failure", "", "unix:/s", `"a":{"category":"encrypted","failure":"interrupted"},"b":{"category":"ok"}`, "encrypted/tempfail a "},
		{"several failures", "[policy.actions]\ninterrupted = \"quarantine\"\n", "unix:/s", `"a":{"category":"swerr","failures":["swerr","interrupted"]},"b":{"category":"ok"}`, "swerr/quarantine a "},
		{"optional failure", "", "unix:/s", `"a":{"category":"ok"},"b":{"category":"swerr","counts":false}`, "ok/ok  "},
		{"another engine", "", "unix:/s", `"a":{"category":"ok"},"b":{"category":"ok"},"c":{"category":"virus"}`, "ok/ok  "},
		{"cancelled, still settled", "", "unix:/s", `"a":{"category":"virus","names":["V"]},"b":{"category":"interrupted","cancelled":true}`, "virus/quarantine a V"},
		{"cancelled, still settled for one that waits", "[policy]\nfirst_virus = \"wait\"\n", "unix:/s", `"a":{"category":"virus","names":["V"]},"b":{"category":"interrupted","cancelled":true}`, "virus/quarantine a V"},
		{"cancelled, no longer settled", "[[rule]]\nname = '^V'\ncategory = \"ok\"\n", "unix:/s", `"a":{"category":"virus","names":["V"]},"b":{"category":"interrupted","cancelled":true}`, cancelled + ": b"},
		{"a new engine", "", "unix:/s", `"a":{"category":"ok"}`, noResult + ": b"},
		{"a new engine, settled", "", "unix:/s", `"a":{"category":"virus"}`, "virus/quarantine a "},
		{"names left out, no rules", "", "unix:/s", `"a":{"category":"virus","findings":[{"category":"virus","name":"V"}],"findings_left_out":9},"b":{"category":"ok"}`, "virus/quarantine a V"},
		{"names left out", "[[rule]]\nname = 'x'\ncategory = \"ok\"\n", "unix:/s", `"a":{"category":"suspicious","findings":[{"category":"suspicious","name":"V"}],"findings_left_out":9},"b":{"category":"ok"}`, namesCut + ": a"},
		{"a name cut off", "[[rule]]\nengine = \"a\"\nname = 'x'\ncategory = \"ok\"\n", "unix:/s", `"a":{"category":"virus","names":["` + long + `..."]},"b":{"category":"ok"}`, namesCut + ": a"},
		{"a name with dots", "[[rule]]\nname = 'x'\ncategory = \"ok\"\n", "unix:/s", `"a":{"category":"virus","names":["V..."]},"b":{"category":"ok"}`, "virus/quarantine a V..."},
		{"a name cut off, rules of another engine", "[[rule]]\nengine = \"b\"\nname = 'x'\ncategory = \"ok\"\n", "unix:/s", `"a":{"category":"virus","names":["` + long + `..."]},"b":{"category":"ok"}`, "virus/quarantine a " + long + "..."},
		{"an observed engine", "[[engine]]\nname = \"c\"\nbackend = \"inspect\"\nmode = \"observe\"\n", "unix:/s", `"a":{"category":"ok"},"b":{"category":"ok"}`, "ok/ok  "},
		{"an engine that is off", "[[engine]]\nname = \"c\"\nbackend = \"inspect\"\nmode = \"off\"\n", "unix:/s", `"a":{"category":"ok"},"b":{"category":"ok"},"c":{"category":"virus"}`, "ok/ok  "},
		{"engines of the listener", "[[listener]]\naddress = \"unix:/b\"\nengines = [\"b\"]\n", "unix:/b", `"a":{"category":"virus"},"b":{"category":"ok"}`, "ok/ok  "},
		{"another engine of the listener", "[[listener]]\naddress = \"unix:/b\"\nengines = [\"b\"]\n", "unix:/b", `"a":{"category":"ok"}`, noResult + ": b"},
		{"precedence of the listener", "[[listener]]\naddress = \"unix:/b\"\nprecedence = [\"partial\", \"virus\", \"suspicious\", \"encrypted\", \"swerr\", \"interrupted\", \"cannot-execute\", \"not-installed\", \"ok\"]\n", "unix:/b", `"a":{"category":"virus"},"b":{"category":"partial"}`, "partial/quarantine b "},
		{"no listener", "", "unix:/other", `"a":{"category":"ok"},"b":{"category":"ok"}`, noListener + ": unix:/other"},
		{"observed", "mode = \"observe\"\n", "unix:/s", `"a":{"category":"ok"}`, "ok/ok  "},
		{"off", "mode = \"off\"\n", "unix:/s", `"a":{"category":"ok"},"b":{"category":"virus"}`, "ok/ok  "},
		{"not asked for the listener", "[[listener]]\naddress = \"unix:/one\"\nengines = [\"a\"]\n", "unix:/one", `"a":{"category":"ok"}`, "ok/ok  "},
		{"asked for another listener", "[[listener]]\naddress = \"unix:/one\"\nengines = [\"a\"]\n", "unix:/s", `"a":{"category":"ok"}`, noResult + ": b"},
		{"no engine", "", "unix:/s", ``, noEngines},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := Parse(fmt.Appendf(nil, `{"message":"scanned","category":"ok","action":"ok","listener":%q,"engines":{%s}}`, tt.listener, tt.engines))
			if err != nil {
				t.Fatal(err)
			}
			v, err := judgeOf(t, twoEngines+tt.config).Judge(s)
			got := fmt.Sprintf("%s/%s %s %s", v.Category, v.Action, strings.Repeat(v.Engine, min(1, len(strings.TrimPrefix(string(v.Category), "ok")))), v.Name)
			if err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestCompareBounds checks that a log with many listeners needs no more memory for reasons.
func TestCompareBounds(t *testing.T) {
	var log strings.Builder
	for i := range 3 * maxReasons {
		log.WriteString(strings.Replace(someLine, "unix:/s", fmt.Sprintf("unix:/%d", i), 1) + "\n")
	}
	log.WriteString(strings.Replace(someLine, `"ok"`, `"virus"`, 1) + "\nother\n" + someLine[:90] + "\n")
	r, err := NewReader(strings.NewReader(log.String()))
	if err != nil {
		t.Fatal(err)
	}
	s, err := Compare(r, judgeOf(t, strings.Replace(twoEngines, "[[engine]]\nname = \"b\"\nbackend = \"inspect\"\nrequired = false\n", "", 1)), 0)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.NotJudged) != maxReasons+1 || s.NotJudged[0] != (NotJudged{noListener, 2 * maxReasons}) {
		t.Errorf("%d reasons, the first is %+v", len(s.NotJudged), s.NotJudged[0])
	}
	if s.Judged != 1 || s.Different != 1 || len(s.Scans) != 0 || s.Other != 2 || s.Changes[0] != (Change{"virus/ok", "ok/ok", 1}) {
		t.Errorf("got %+v", s)
	}
}
