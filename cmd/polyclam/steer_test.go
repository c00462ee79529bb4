package main

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"polyclam/backends"
	"polyclam/test/testkit"
)

func TestSteerCommands(t *testing.T) {
	const status = `{"Engines":[{"name":"clamav","nodes":[{"address":"unix:/a"}]},{"name":"inspect","nodes":[{"address":""}]}]}`
	for _, c := range []struct {
		name, args, path, answer string
		status                   int
		body, stdout, stderr     string
	}{
		{"drain", "node drain clamav unix:/a", "/node/drain", `{"engine":"clamav","nodes":[{"address":"unix:/a","before":"up","after":"drained"}]}`, 0,
			`{"engine":"clamav","force":false,"node":"unix:/a"}`, "clamav unix:/a is drained (it was up)\n", ""},
		{"resume by force", "node resume --force inspect", "/node/resume", `{"engine":"inspect","nodes":[{"address":"","before":"drained","after":"up"}]}`, 0,
			`{"engine":"inspect","force":true,"node":""}`, "inspect is up (it was drained)\n", ""},
		{"JSON", "node drain --json clamav", "/node/drain", `{"engine":"clamav","nodes":[{"address":"unix:/a","before":"up","after":"drained"}]}`, 0,
			`"clamav"`, `{"engine":"clamav","nodes":[{"address":"unix:/a","before":"up","after":"drained"}]}` + "\n", ""},
		{"refused", "engine off clamav", "/engine/mode", `{"error":"no engine would be on: bad; with force it is done nevertheless","force":true}`, 1,
			`{"engine":"clamav","force":false,"mode":"off"}`, "", "polyclam: no engine would be on: bad; --force does it nevertheless\n"},
		{"mode", "engine observe clamav", "/engine/mode", `{"engine":"clamav","before":"on","after":"observe"}`, 0, `"mode":"observe"`, "clamav is observed (it was on)\n", ""},
		{"level", "log debug", "/log", `{"before":"info","after":"debug"}`, 0, `{"level":"debug"}`, "the level of the log is debug (it was info)\n", ""},
		{"reload", "reload", "/reload", `{"changes":["engine clamav: timeout: 1m -> 30s","engine x added"],"warnings":["f:3: old"]}`, 0, `{}`,
			"engine clamav: timeout: 1m -> 30s\nengine x added\n", "warning: f:3: old\n"},
		{"reload refused", "reload", "/reload", `{"error":"f:1: a: bad\nf:2: b: bad"}`, 1, `{}`, "", "polyclam: f:1: a: bad\nf:2: b: bad\n"},
		{"hostile answer", "reload", "/reload", `{"changes":["\u001b[31m\u202e"]}`, 0, `{}`, `\x1b[31m\u202e` + "\n", ""},
		{"health", "health clamav", "/health", `{"name":"clamav","nodes":[{"address":"unix:/a","state":"up","canary":{"clean":"ok","eicar":"virus"}},{"address":"unix:/b","state":"down","reason":"gone","canary":{}}]}`, 1,
			`{"engine":"clamav"}`, "ENGINE  NODE     STATE  CLEAN  EICAR  ENCRYPTED  MAIL  VERSION\nclamav  unix:/a  up     ok     virus  -          -     -\nclamav  unix:/b  down   -      -      -          -     -\nclamav unix:/b is down: gone\n", ""},
		{"healthy", "health clamav", "/health", `{"name":"clamav","nodes":[{"address":"unix:/a","state":"up","canary":{"clean":"ok","eicar":"virus"}}]}`, 0, ``, "up     ok", ""},
		{"healthy, drained", "health clamav", "/health", `{"name":"clamav","nodes":[{"address":"unix:/a","state":"up","drained":true,"canary":{"clean":"ok","eicar":"virus"}}]}`, 1, ``, "up, drained  ok", ""},
		{"unfinished", "health clamav", "/health", `{"name":"clamav","nodes":[],"unfinished":true}`, 0, ``, "the check has not ended yet", ""},
		{"flush", "cache flush", "/cache/flush", `{"entries":1,"shared":false,"kept":false}`, 0, `{"force":false,"shared":false}`, "the memory is flushed (it had 1 result)\n", ""},
		{"flush memory only", "cache flush", "/cache/flush", `{"entries":7,"kept":true}`, 0, ``, "the memory is flushed (it had 7 results); the shared store keeps its results, --shared flushes it too\n", ""},
		{"flush all", "cache flush --shared --force", "/cache/flush", `{"entries":7,"shared":true}`, 0, `{"force":true,"shared":true}`, "the shared store is flushed too, and the other hosts", ""},
		{"flush not confirmed", "cache flush --shared", "/cache/flush", `{"error":"every host would; with force it is done nevertheless","force":true}`, 1, `{"force":false,"shared":true}`, "", "polyclam: every host would; --force does it nevertheless\n"},
		{"flush, cache off", "cache flush", "/cache/flush", `{"error":"the cache is off"}`, 1, ``, "", "polyclam: the cache is off\n"},
		{"not an answer", "log debug", "/log", `PONG`, 2, ``, "", "polyclam: unix:ADMIN: the answer is not that of polyclamd's admin socket; is this the socket of [admin] in its configuration?\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newFakeAdmin(t, map[string]string{c.path: c.answer, "/status": status})
			words := strings.Fields(c.args)
			r := polyclam(t, "", append([]string{words[0], "--admin", "unix:" + a.path}, words[1:]...)...)
			r.wantStatus(t, c.status)
			got := strings.ReplaceAll(r.stderr, a.path, "ADMIN")
			if !strings.Contains(r.stdout, c.stdout) || c.stdout == "" && r.stdout != "" || got != c.stderr {
				t.Errorf("got\n%s%s\nwant\n%s%s", r.stdout, got, c.stdout, c.stderr)
			}
			if len(a.bodies) == 0 || !strings.Contains(a.bodies[0], c.body) {
				t.Errorf("the requests are %q, want %q", a.bodies, c.body)
			}
		})
	}
}

func TestSteerUsage(t *testing.T) {
	for args, want := range map[string]string{
		"node":                        "no action; want one of drain, resume",
		"node drian clamav":           `unknown action "drian"; did you mean "drain"?`,
		"node drain":                  "no engine",
		"node drain clamav unix:/a b": `unexpected argument "b"`,
		"engine obsreve clamav":       `unknown mode "obsreve"; did you mean "observe"?`,
		"engine off":                  "no engine",
		"log":                         "no level; want one of",
		"log loud":                    "unknown level",
		"reload now":                  `unexpected argument "now"`,
		"health":                      "no engine",
		"cache":                       "no action; want one of stats, flush",
		"cache flsh":                  `unknown action "flsh"; did you mean "flush"?`,
		"cache flush a":               `unexpected argument "a"`,
		"cache stats --shared":        "--shared and --force are for cache flush",
		"health a b":                  `unexpected argument "b"`,
		"reload --admin tcp:a:1":      "the admin socket is a Unix socket; write unix:/path",
	} {
		r := polyclam(t, "", strings.Fields(args)...)
		r.wantStatus(t, exitFailed)
		wantParts(t, r.stderr, want)
	}
}

// TestAdminSocket has the ways in which the admin socket may be missing.
func TestAdminSocket(t *testing.T) {
	const listener = "[[listener]]\naddress = \"unix:/nonexistent/s\"\n[[engine]]\nname = \"inspect\"\nbackend = \"inspect\"\n"
	dir := files(t, "none.toml", listener, "admin.toml", listener+"[admin]\naddress = \"unix:/nonexistent/admin.sock\"\n", "bad.toml", "x = 1\n")
	closed := filepath.Join(dir, "closed")
	ln, err := net.Listen("unix", closed)
	if err != nil {
		t.Fatal(err)
	}
	ln.(*net.UnixListener).SetUnlinkOnClose(false)
	ln.Close()
	clamd := serve(t, nil, reports("e", backends.Clean(0)))
	if _, err := os.Stat("/run/polyclam/admin.sock"); err == nil {
		t.Skip("a polyclamd runs on this machine")
	}
	for _, c := range []struct{ name, args, want string }{
		{"no [admin]", "--config none.toml log debug", "polyclamd has no admin socket: none.toml has no [admin]; add\n  [admin]\n  address = \"unix:/run/polyclam/admin.sock\"\nto its configuration, and reload polyclamd"},
		{"no socket", "--config admin.toml log debug", "unix:/nonexistent/admin.sock: the socket does not exist; is polyclamd running, and was it reloaded since"},
		{"configuration refused", "--config bad.toml log debug", "unix:/run/polyclam/admin.sock: the socket does not exist"},
		{"no configuration", "--config missing.toml log debug", "missing.toml: no such file"},
		{"no daemon", "log --admin " + closed + " debug", "no polyclamd listens there; is it running?"},
		{"another socket", "log --admin " + clamd.unix + " debug", "the answer is not that of polyclamd's admin socket"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := polyclam(t, dir, strings.Fields(c.args)...)
			r.wantStatus(t, exitFailed)
			wantParts(t, r.stderr, c.want)
		})
	}
	t.Run("permission", func(t *testing.T) {
		a := newFakeAdmin(t, map[string]string{"/log": `{}`})
		if err := os.Chmod(a.path, 0o600); err != nil {
			t.Fatal(err)
		}
		if os.Geteuid() != 0 {
			t.Skip("only root has a socket that others may not open")
		}
		r := finish(t, unprivileged(t, toolCommand(t, "/", "log", "--admin", a.path, "debug")))
		r.wantStatus(t, exitFailed)
		wantParts(t, r.stderr, "permission denied; run polyclam as root\n")
	})
}

// TestSteerCompletion completes the names of engines and nodes.
func TestSteerCompletion(t *testing.T) {
	one, two := reports("clamav", backends.Clean(0)), reports("inspect", backends.Clean(0))
	one.address = "unix:/run/a"
	s := serve(t, nil, one, two)
	for words, want := range map[string]string{
		"node|":                 "drain resume :4",
		"node|drain|":           "clamav inspect :4",
		"node|drain|i":          "inspect :4",
		"node|drain|clamav|":    "unix:/run/a :4",
		"node|drain|clamav|x|":  ":4",
		"engine|o":              "on observe off :4",
		"engine|off|c":          "clamav :4",
		"health|":               "clamav inspect :4",
		"log|d":                 "debug :4",
		"reload|":               ":4",
		"top|--interval|":       ":4",
		"reload|--admin|":       "unix:/ :2",
		"engine|off|clamav|":    ":4",
		"node|drain|inspect|":   ":4",
		"node|drain|nobody|":    ":4",
		"node|drain|clamav|unx": ":4",
	} {
		r := polyclam(t, "", append([]string{"__complete", "--address", s.unix}, strings.Split(words, "|")...)...)
		r.wantStatus(t, exitOK)
		if got := strings.Join(strings.Fields(r.stdout), " "); got != want {
			t.Errorf("%q completes to %q, want %q", words, got, want)
		}
	}
	polyclam(t, "", "__complete", "--address", "unix:/nonexistent", "node", "drain", "").wantStatus(t, exitOK)
}

// TestSteerDaemon steers a real polyclamd.
func TestSteerDaemon(t *testing.T) {
	program := filepath.Join(testkit.SocketDir(t), "polyclamd")
	buildDaemon(t, program)
	dir := testkit.SocketDir(t)
	admin, conf := filepath.Join(dir, "a"), filepath.Join(dir, "config.toml")
	text := "[[listener]]\naddress = \"unix:" + filepath.Join(dir, "s") + "\"\n[admin]\naddress = \"unix:" + admin + "\"\n" +
		"[[engine]]\nname = \"one\"\nbackend = \"inspect\"\n[[engine]]\nname = \"two\"\nbackend = \"inspect\"\nrequired = false\n[log]\nformat = \"json\"\n"
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	log := startDaemon(t, program, conf)
	run := func(status int, part string, args ...string) {
		t.Helper()
		r := polyclam(t, "", append([]string{"--config", conf}, args...)...)
		r.wantStatus(t, status)
		wantParts(t, r.stdout+r.stderr, part)
	}
	testkit.Eventually(t, "both engines are up", func() bool {
		return polyclam(t, "", "--config", conf, "health", "one").status == 0 && polyclam(t, "", "--config", conf, "health", "two").status == 0
	})
	run(1, "one, which is required, would have no usable node: every scan would be answered with ERROR, and every mail would be tempfailed; --force", "node", "drain", "one")
	run(0, "two is drained (it was up)", "node", "drain", "two")
	run(0, "two is up (it was drained)", "node", "resume", "two")
	run(0, "one is observed (it was on)", "engine", "observe", "one")
	run(1, "no engine would be on", "engine", "off", "two")
	run(0, "two is off (it was on)", "engine", "off", "--force", "two")
	run(0, "one is on (it was observed)", "engine", "on", "one")
	run(1, `unknown engine "tw"; did you mean "two"?`, "engine", "on", "tw")
	run(1, `has no nodes with addresses`, "node", "drain", "one", "unix:/x")
	run(0, "the level of the log is error (it was info)", "log", "error")
	run(0, "nothing changed", "reload")
	if err := os.WriteFile(conf, []byte(strings.Replace(text, "required = false", "timeout = \"30s\"", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	run(0, "engine two: required: false -> true\nengine two: timeout: 1m -> 30s", "reload")
	run(0, "ENGINE", "top", "--interval", "100ms", "--count", "1")
	for _, part := range []string{`"command":"node drain","engine":"two","before":"up","after":"drained"`, `"command":"engine mode","engine":"two","wanted":"off","force":true,"before":"on","after":"off"`, `"user":"uid=` + strconv.Itoa(os.Getuid())} {
		if !strings.Contains(log.String(), part) {
			t.Errorf("the log has no %s:\n%s", part, log.String())
		}
	}
}
