package polyclam

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/proxy"
	"polyclam/proxy/policy"
)

var (
	missing = backendtest.Fails(&fs.PathError{Op: "connect", Path: "/x", Err: os.ErrNotExist})
	refused = backendtest.Fails(&net.OpError{Op: "dial", Err: errors.New("refused")})
	hangs   = &backendtest.Fake{Hang: true}
)

func pua(c *proxy.Config) {
	c.Listeners[0].Policy = policy.Default()
	c.Listeners[0].Policy.Rules = []policy.Rule{{Name: regexp.MustCompile(`^PUA\.`), Category: backends.Suspicious}, {Name: regexp.MustCompile(`^Fine\.`), Category: backends.OK}}
}

func strict(c *proxy.Config) {
	c.Listeners[0].Policy = policy.Default().WithActions(map[backends.Category]policy.Action{backends.Encrypted: policy.Tempfail, backends.Partial: policy.Quarantine})
}

func lax(c *proxy.Config) {
	c.Listeners[0].Policy = policy.Default().WithActions(map[backends.Category]policy.Action{backends.SWErr: policy.OK, backends.Interrupted: policy.OK})
}

func odd(c *proxy.Config) {
	c.Listeners[0].Policy = policy.Default()
	slices.Reverse(c.Listeners[0].Policy.Precedence[:8])
}

func wait(c *proxy.Config) {
	c.Listeners[0].Policy = policy.Default()
	c.Listeners[0].Policy.AnswerFirst = false
}

// merged lists engines of the other polyclam and the merged result here.
var merged = []struct {
	name    string
	change  func(*proxy.Config)
	engines []remoteEngine
	want    string // categories of what was found and what failed
	names   string
}{
	{"no engines", nil, nil, "swerr", ""},
	{"missing", nil, []remoteEngine{{backend: clean()}, {backend: missing}}, "not-installed", ""},
	{"refused", nil, []remoteEngine{{backend: clean()}, {backend: refused}}, "cannot-execute", ""},
	{"hangs", nil, []remoteEngine{{backend: clean()}, {backend: hangs, timeout: 20 * time.Millisecond}}, "interrupted", ""},
	{"optional", nil, []remoteEngine{{backend: clean()}, {backend: missing, optional: true}}, "ok", ""},
	{"optional, alone", nil, []remoteEngine{{backend: missing, optional: true}}, "not-installed", ""},
	{"virus, and failed", wait, []remoteEngine{{backend: missing}, {backend: finds(backends.Virus, 1, "A")}}, "virus not-installed", "A"},
	{"encrypted, and failed", nil, []remoteEngine{{backend: finds(backends.Encrypted, 2, "Heuristics.Encrypted.Zip")}, {backend: missing}}, "encrypted not-installed", "Heuristics.Encrypted.Zip"},
	{"partial, and failed", nil, []remoteEngine{{backend: finds(backends.Partial, 2)}, {backend: fails(backends.SWErr, 7)}}, "partial swerr", ""},
	{"encrypted, and optional failed", nil, []remoteEngine{{backend: finds(backends.Encrypted, 2, "Heuristics.Encrypted.Zip")}, {backend: missing, optional: true}}, "encrypted", "Heuristics.Encrypted.Zip"},
	{"all names", wait, []remoteEngine{{backend: finds(backends.Suspicious, 1, "B", "C")}, {backend: finds(backends.Virus, 1, "A b:c", "\x00\xff")}, {backend: clean()}}, "virus", "A b:c|\x00\xff|B|C"},
	{"no name", nil, []remoteEngine{{backend: finds(backends.Virus, 1)}}, "virus", ""},
	{"their rule", pua, []remoteEngine{{backend: finds(backends.Virus, 1, "PUA.X")}}, "suspicious", "PUA.X"},
	{"their rule to ok", pua, []remoteEngine{{backend: finds(backends.Virus, 1, "Fine.X")}}, "ok", ""},
	{"their tempfail", strict, []remoteEngine{{backend: finds(backends.Encrypted, 1, "Heuristics.Encrypted.Zip")}}, "encrypted", "Heuristics.Encrypted.Zip"},
	{"their quarantine", strict, []remoteEngine{{backend: finds(backends.Partial, 1)}}, "partial", ""},
	{"their ok", lax, []remoteEngine{{backend: fails(backends.SWErr, 1)}, {backend: clean()}}, "swerr", ""},
	{"their precedence", odd, []remoteEngine{{backend: finds(backends.Partial, 1)}, {backend: finds(backends.Virus, 1, "A")}}, "virus", "A|"},
	{"their precedence, failed", odd, []remoteEngine{{backend: fails(backends.SWErr, 1)}, {backend: finds(backends.Virus, 1, "A")}}, "virus swerr", "A"},
	{"called off", nil, []remoteEngine{{backend: finds(backends.Virus, 1, "A")}, {backend: hangs, timeout: patience}}, "virus", "A"},
}

func TestMerged(t *testing.T) {
	for _, tt := range merged {
		t.Run(tt.name, func(t *testing.T) {
			for i := range tt.engines {
				tt.engines[i].name = fmt.Sprintf("e%d", i)
			}
			r, err := open(t, serve(t, tt.change, tt.engines...), transportAuto).Scan(testContext(t), backendtest.CleanObject(t))
			var names []string
			for _, f := range r.Findings {
				names = append(names, f.Name)
			}
			if got := categories(r, err); got != tt.want || strings.Join(names, "|") != tt.names {
				t.Errorf("got %+v, %v, want %v, %q", r, err, tt.want, tt.names)
			}
			if problem := backendtest.Check(r); err == nil && problem != "" {
				t.Errorf("%+v: %s", r, problem)
			}
		})
	}
}
