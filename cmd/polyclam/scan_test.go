package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/testfile"
	"polyclam/proxy"
	"polyclam/proxy/policy"
)

// sophos is an engine that reports everything as encrypted, with the message of Sweep in 2003.
func sophos() testEngine {
	return reports("sophos", backends.Result{
		Category: backends.Encrypted, Code: 2, Detail: "Password protected file foo.zip/foo.txt",
		Findings: []backends.Finding{{Name: "Encrypted", Category: backends.Encrypted}},
	})
}

func TestScanText(t *testing.T) {
	broken := fails("broken", backends.SWErr, "out of memory")
	broken.optional = true
	s := serve(t, nil, marked(), sophos(), broken)
	dir := files(t, "a/clean.txt", "harmless", "a/eicar.com", string(testfile.EICAR()), "a/b/macro.doc", backendtest.MarkSuspicious, "z", "")
	r := polyclam(t, dir, "--address", s.unix, "scan", "z", "a")
	r.wantStatus(t, exitFound)
	wantParts(t, r.stderr)
	wantText(t, strings.ReplaceAll(r.stdout, s.unix, "SERVER"), `z: encrypted (ok): Encrypted
  ENGINE  CATEGORY   ACTION    CODE  TIME   NAME       MESSAGE
  marked  ok         ok        0     #.###  -          -
  sophos  encrypted  ok        2     #.###  Encrypted  Password protected file foo.zip/foo.txt
  broken  swerr      tempfail  -     #.###  -          out of memory (does not count: optional)
a/b/macro.doc: suspicious (quarantine): Heuristics.OLE2.ContainsMacros
  ENGINE  CATEGORY    ACTION      CODE  TIME   NAME                            MESSAGE
  marked  suspicious  quarantine  1     #.###  Heuristics.OLE2.ContainsMacros  -
  sophos  encrypted   ok          2     #.###  Encrypted                       Password protected file foo.zip/foo.txt
  broken  swerr       tempfail    -     #.###  -                               out of memory (does not count: optional)
a/clean.txt: encrypted (ok): Encrypted
  ENGINE  CATEGORY   ACTION    CODE  TIME   NAME       MESSAGE
  marked  ok         ok        0     #.###  -          -
  sophos  encrypted  ok        2     #.###  Encrypted  Password protected file foo.zip/foo.txt
  broken  swerr      tempfail  -     #.###  -          out of memory (does not count: optional)
a/eicar.com: virus (quarantine): Eicar-Test-Signature
  ENGINE  CATEGORY   ACTION      CODE  TIME   NAME                  MESSAGE
  marked  virus      quarantine  1     #.###  Eicar-Test-Signature  -
  sophos  encrypted  ok          2     #.###  Encrypted             Password protected file foo.zip/foo.txt
  broken  swerr      tempfail    -     #.###  -                     out of memory (does not count: optional)
4 files, 93 bytes, #.### s, by SERVER: 1 virus, 1 suspicious, 2 encrypted
`)
}

func TestScanJSON(t *testing.T) {
	node := sophos()
	node.address = "unix:/run/sophos"
	s := serve(t, nil, marked(), node)
	dir := files(t, "f", "harmless")
	for _, more := range [][]string{{"--address", s.unix}, {"--address", s.unix, "--stream"}, {"--address", s.tcp}} {
		r := polyclam(t, dir, append([]string{"scan", "--json", "f", "none"}, more...)...)
		r.wantStatus(t, exitFailed)
		wantText(t, strings.ReplaceAll(r.stdout, more[1], "SERVER"), `{"type":"file","file":"f","size":8,"category":"encrypted","action":"ok","code":2,"engine":"sophos","name":"Encrypted","elapsed":#.###,"engines":[`+
			`{"engine":"marked","category":"ok","action":"ok","code":0,"elapsed":#.###,"names":[],"name_count":0,"required":true,"counts":true,"cancelled":false},`+
			`{"engine":"sophos","category":"encrypted","action":"ok","code":2,"elapsed":#.###,"names":["Encrypted"],"name_count":1,"node":"unix:/run/sophos","message":"Password protected file foo.zip/foo.txt","required":true,"counts":true,"cancelled":false}]}
{"type":"file","file":"none","size":0,"category":"cannot-execute","action":"tempfail","code":999,"error":"no such file or directory","elapsed":#.###,"engines":[]}
{"type":"summary","server":"SERVER","extended":true,"files":2,"bytes":8,"not_scanned":1,"categories":{"cannot-execute":1,"encrypted":1},"skipped":{"links":0,"special":0,"mounts":0},"elapsed":#.###,"exit":2}
`)
	}
}

// TestByPath scans files that the server opens itself.
func TestByPath(t *testing.T) {
	allow := func(cfg *proxy.Config) { cfg.Listeners[0].PathCommands = true }
	s := serve(t, allow, reports("a", backends.Found(1, "Eicar")))
	dir := files(t, "f", "harmless")
	r := polyclam(t, dir, "scan", "--by-path", "f", "none", "--address", s.unix)
	r.wantStatus(t, exitFound)
	wantParts(t, r.stdout, "f: virus", "Eicar", "none: not scanned")
	for _, args := range [][]string{{"--by-path", "--stream", "f"}, {"--by-path", "-"}} {
		polyclam(t, dir, append([]string{"scan", "--address", s.unix}, args...)...).wantStatus(t, exitFailed)
	}
}

// TestExitStatus has an engine report each category.
func TestExitStatus(t *testing.T) {
	found := func(name string) testEngine { return reports("x", backends.Found(1, name)) }
	action := func(c backends.Category, a policy.Action) func(*proxy.Config) {
		return func(cfg *proxy.Config) {
			for i := range cfg.Listeners {
				cfg.Listeners[i].Policy = cfg.Listeners[i].Policy.WithActions(map[backends.Category]policy.Action{c: a})
			}
		}
	}
	for _, c := range []struct {
		name   string
		engine testEngine
		change func(*proxy.Config)
		status int
		text   string
	}{
		{"ok", reports("x", backends.Clean(0)), nil, 0, "f: ok\n"},
		{"virus", found("Win.Worm"), nil, 1, "f: virus (quarantine): Win.Worm\n"},
		{"suspicious", found("Heuristics.OLE2.ContainsMacros"), nil, 1, "f: suspicious (quarantine): Heuristics."},
		{"encrypted", found("Heuristics.Encrypted.Zip"), nil, 3, "f: encrypted (ok): Heuristics.Encrypted.Zip\n"},
		{"partial", found("Heuristics.Limits.Exceeded.MaxFiles"), nil, 4, "f: partial (ok): Heuristics."},
		{"swerr", fails("x", backends.SWErr, "broke"), nil, 2, "f: swerr (tempfail)\n"},
		{"interrupted", fails("x", backends.Interrupted, "slept"), nil, 2, "f: interrupted (tempfail)\n"},
		{"cannot-execute", fails("x", backends.CannotExecute, "refused"), nil, 2, "f: cannot-execute (tempfail)\n"},
		{"not-installed", fails("x", backends.NotInstalled, "missing"), nil, 2, "f: not-installed (tempfail)\n"},
		{"unknown category", reports("x", backends.Result{Category: "fine"}), nil, 2, "f: swerr (tempfail)\n"},
		{"panic", testEngine{name: "x", backend: &backendtest.Fake{Panic: "oh"}}, nil, 2, "f: swerr (tempfail)\n"},
		{"virus passed", found("Win.Worm"), action(backends.Virus, policy.OK), 1, "f: virus (ok): Win.Worm\n"},
		{"encrypted quarantined", found("Heuristics.Encrypted.Zip"), action(backends.Encrypted, policy.Quarantine), 1, "f: encrypted (quarantine): "},
		{"encrypted deferred", found("Heuristics.Encrypted.Zip"), action(backends.Encrypted, policy.Tempfail), 2, "f: encrypted (tempfail): "},
		{"partial deferred", found("Heuristics.Limits.Exceeded.MaxFiles"), action(backends.Partial, policy.Tempfail), 2, "f: partial (tempfail): "},
		{"failure passed", fails("x", backends.SWErr, "broke"), action(backends.SWErr, policy.OK), 2, "f: swerr (ok)\n"},
		{"failure quarantined", fails("x", backends.SWErr, "broke"), action(backends.SWErr, policy.Quarantine), 1, "f: swerr (quarantine)\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, c.change, c.engine)
			dir := files(t, "f", "text")
			for _, address := range []string{s.unix, s.tcp} {
				r := polyclam(t, dir, "--address", address, "scan", "f")
				r.wantStatus(t, c.status)
				wantParts(t, r.stdout, c.text)
			}
		})
	}
}

// TestFindingAndFailure has an engine that in one answer finds something, has a finding passed
// by a rule, and fails.
func TestFindingAndFailure(t *testing.T) {
	engine := `OBJECT: engine=sophos category=encrypted action=tempfail code=2 elapsed=0.001 name=Encrypted failure=swerr passed=PUA.X rule="^PUA\\." msg="Password protected; virus data missing" ENGINE` + "\x00"
	for _, c := range []struct {
		name, reply string
		status      int
		want        []string
	}{
		{"deferred", "OBJECT: Encrypted content, sophos scan failed ERROR\x00OBJECT: engine=clamav category=ok action=ok code=0 elapsed=0.001 ENGINE\x00" + engine +
			"OBJECT: category=encrypted action=tempfail code=2 engine=clamav engines=2 failed=1 version=1 action_by=sophos SUMMARY\x00END\x00", exitFailed,
			[]string{"f: encrypted (tempfail by sophos)\n", "  sophos  encrypted, swerr  tempfail  2 ", "Password protected; virus data missing (PUA.X passes by the rule '^PUA\\.')\n"}},
		{"passed", "OBJECT: OK\x00" + engine + "OBJECT: category=encrypted action=ok code=2 engine=sophos engines=1 failed=1 version=1 SUMMARY\x00END\x00", exitFailed,
			[]string{"f: encrypted (ok): Encrypted\n"}},
		{"passed, and does not count", "OBJECT: OK\x00" + strings.Replace(engine, " ENGINE", " counts=no ENGINE", 1) + "OBJECT: category=encrypted action=ok code=2 engine=sophos engines=1 failed=1 version=1 SUMMARY\x00END\x00", exitEncrypted,
			[]string{"f: encrypted (ok): Encrypted\n"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			unix, _ := play(t, fakePolyclamd(c.reply))
			r := polyclam(t, files(t, "f", "text"), "--address", unix, "scan", "f")
			r.wantStatus(t, c.status)
			wantParts(t, r.stdout, c.want...)
			r = polyclam(t, files(t, "f", "text"), "--address", unix, "scan", "--json", "f")
			r.wantStatus(t, c.status)
			wantParts(t, r.stdout, `"category":"encrypted","failure":"swerr"`, `"passed":[{"name":"PUA.X","rule":"^PUA\\."}]`)
		})
	}
}

func TestWorse(t *testing.T) {
	order := []int{exitFound, exitFailed, exitEncrypted, exitPartial, exitOK}
	for i, a := range order {
		for j, b := range order {
			if got, want := worse(a, b), order[min(i, j)]; got != want {
				t.Errorf("worse(%d, %d) = %d, want %d", a, b, got, want)
			}
		}
	}
}

// TestWorstWins scans objects with different exit statuses.
func TestWorstWins(t *testing.T) {
	s := serve(t, nil, marked())
	dir := files(t, "ok", "x", "virus", string(testfile.EICAR()), "enc", backendtest.MarkEncrypted, "part", backendtest.MarkPartial, "err", backendtest.MarkError)
	for args, want := range map[string]int{
		"ok": 0, "ok part": 4, "part enc ok": 3, "enc err": 2, "none enc": 2, "none virus": 1, "virus err part enc ok": 1,
	} {
		r := polyclam(t, dir, append([]string{"--address", s.unix, "scan", "--jobs=1"}, strings.Fields(args)...)...)
		if r.status != want {
			t.Errorf("scan %s: exit status %d, want %d\n%s", args, r.status, want, r.stdout)
		}
	}
}

func TestQuietAndInfected(t *testing.T) {
	s := serve(t, nil, marked())
	dir := files(t, "enc", backendtest.MarkEncrypted, "ok", "x", "virus", string(testfile.EICAR()))
	for _, c := range []struct {
		args   []string
		status int
		want   []string // prefixes of the lines
	}{
		{[]string{"-q", "ok"}, 0, nil},
		{[]string{"--quiet", "--json", "ok"}, 0, nil},
		{[]string{"-q", "."}, 1, []string{"enc: encrypted", "  ENGINE", "  marked", "virus: virus", "  ENGINE", "  marked"}},
		{[]string{"-i", "."}, 1, []string{"virus: virus", "  ENGINE", "  marked", "3 files"}},
		{[]string{"-q", "-i", "."}, 1, []string{"virus: virus", "  ENGINE", "  marked"}},
		{[]string{"--json", "-i", "enc"}, 3, []string{`{"type":"summary"`}},
		{[]string{"--json", "-q", "enc"}, 3, []string{`{"type":"file","file":"enc"`}},
	} {
		r := polyclam(t, dir, append([]string{"--address", s.unix, "scan"}, c.args...)...)
		r.wantStatus(t, c.status)
		var lines []string
		if r.stdout != "" {
			lines = strings.Split(strings.TrimSuffix(r.stdout, "\n"), "\n")
		}
		if len(lines) != len(c.want) {
			t.Errorf("scan %v prints\n%s", c.args, r.stdout)
			continue
		}
		for i, l := range lines {
			if !strings.HasPrefix(l, c.want[i]) {
				t.Errorf("scan %v: line %q, want %q", c.args, l, c.want[i])
			}
		}
	}
}

func TestStandardInput(t *testing.T) {
	s := serve(t, nil, marked())
	for _, address := range []string{s.unix, s.tcp} {
		for content, status := range map[string]int{
			"": 0, "harmless": 0, string(testfile.EICAR()): 1, strings.Repeat("x", 1<<20): 0, strings.Repeat("x", 1<<20+1): 2,
		} {
			r := finish(t, input(toolCommand(t, "", "--address", address, "scan", "--json", "-"), strings.NewReader(content)))
			r.wantStatus(t, status)
			var o outcome
			if err := json.Unmarshal([]byte(strings.SplitAfter(r.stdout, "\n")[0]), &o); err != nil {
				t.Fatal(err)
			}
			if o.File != "-" || status != 2 && o.Size != int64(len(content)) {
				t.Errorf("%d bytes on stdin: %+v", len(content), o)
			}
		}
	}
}

// TestUnscannable scans files that can be scanned, and files that cannot.
func TestUnscannable(t *testing.T) {
	s := serve(t, nil, marked())
	dir := files(t, "d/ok", "x", "d/secret", "y", "d/locked/inside", "z", "virus", string(testfile.EICAR()))
	for path, mode := range map[string]os.FileMode{"d/secret": 0, "d/locked": 0} {
		path = filepath.Join(dir, path)
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Chmod(path, 0o700) })
	}
	c := unprivileged(t, toolCommand(t, dir, "--address", s.unix, "scan", "d", "none", "/dev/null", "virus/below", "d/ok"))
	r := finish(t, c)
	r.wantStatus(t, exitFailed)
	wantText(t, strings.ReplaceAll(r.stdout, s.unix, "SERVER"), `d/locked: not scanned (cannot-execute): permission denied
d/ok: ok
  ENGINE  CATEGORY  ACTION  CODE  TIME   NAME  MESSAGE
  marked  ok        ok      0     #.###  -     -
d/secret: not scanned (cannot-execute): permission denied
none: not scanned (cannot-execute): no such file or directory
/dev/null: not scanned (cannot-execute): a device, not a regular file
virus/below: not scanned (cannot-execute): not a directory
d/ok: ok
  ENGINE  CATEGORY  ACTION  CODE  TIME   NAME  MESSAGE
  marked  ok        ok      0     #.###  -     -
7 files, 2 bytes, #.### s, by SERVER: 5 cannot-execute, 2 ok
not scanned: 5 files
`)
}
