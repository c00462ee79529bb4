package main

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"polyclam/backends/access"
	"polyclam/cmd/internal/config"
	"polyclam/cmd/internal/migrate"
	"polyclam/protocol"
	"polyclam/protocol/extended"
	"polyclam/proxy/status"
	"polyclam/test/testkit"
)

// parse returns a configuration that must be good.
func parse(t *testing.T, text string) *config.File {
	t.Helper()
	f, err := config.Parse("c.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// wantFindings compares findings with the beginnings of their texts and their exit
// statuses.
func wantFindings(t *testing.T, got []finding, want ...finding) {
	t.Helper()
	for i, f := range got {
		if i >= len(want) || !strings.HasPrefix(f.text, want[i].text) || f.exit != want[i].exit {
			t.Errorf("finding %d is %d: %s", i, f.exit, f.text)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d findings, want %d", len(got), len(want))
	}
}

// usableTrial is a trial of an engine without fault.
func usableTrial(engine, backend, node string) trial {
	tr := trial{engine: engine, backend: backend, node: node}
	for i := range tr.answers {
		tr.answers[i].category = "virus"
	}
	tr.answers[sampleClean].category, tr.answers[sampleEncrypted].category = "ok", "encrypted"
	return tr
}

func failedTrial(engine, backend, node string, err error) trial {
	tr := trial{engine: engine, backend: backend, node: node}
	tr.answers[sampleClean] = trialAnswer{category: "cannot-execute", err: err}
	return tr
}

func TestViews(t *testing.T) {
	daemon := &serverStatus{Address: "unix:/run/p", Server: extended.Server{About: extended.About{User: "polyclam", Groups: "polyclam", UID: 7, GIDs: "7"}}}
	node := func(name, state, reason string) {
		daemon.Nodes = append(daemon.Nodes, nodeStatus{Node: extended.Node{Engine: name, State: state, Reason: reason}})
	}
	node("both", "up", "")
	node("tool", "down", "permission denied")
	node("daemon", "up", "")
	node("neither", "down", "hung")
	node("starting", "unknown", "")
	trials := []trial{
		usableTrial("both", "clamd", ""), usableTrial("tool", "clamd", ""), failedTrial("daemon", "clamd", "", syscall.EACCES),
		failedTrial("neither", "clamd", "", syscall.ECONNREFUSED), failedTrial("starting", "clamd", "", syscall.EACCES), usableTrial("other", "clamd", ""),
	}
	in := &inspection{daemon: daemon}
	self := "this tool (" + access.UserName(os.Geteuid()) + ")"
	wantFindings(t, in.views(trials),
		finding{"tool: " + self + " can use it, but for polyclamd (polyclam, group polyclam) at unix:/run/p it is down: permission denied", exitFound},
		finding{"daemon: " + self + " cannot use it, but polyclamd (polyclam, group polyclam) at unix:/run/p can", exitOK},
		finding{"neither: for polyclamd (polyclam, group polyclam) at unix:/run/p, too, it is down: hung", exitFound},
		finding{"other: polyclamd (polyclam, group polyclam) at unix:/run/p does not use it yet: reload it", exitOK})
	// Without polyclamd's word for it, a trial that failed counts, for whatever reason.
	for i, want := range []int{exitOK, exitOK, exitOK, exitFound, exitFound, exitOK} {
		if got := in.exitOf(&trials[i]); got != want {
			t.Errorf("%s: exit %d, want %d", trials[i].engine, got, want)
		}
	}
	broken := failedTrial("daemon", "clamd", "", syscall.ECONNREFUSED)
	if got := in.exitOf(&broken); got != exitFound {
		t.Errorf("more than rights is missing: exit %d", got)
	}
	if got := (&inspection{}).exitOf(&trials[2]); got != exitFound {
		t.Errorf("without a daemon: exit %d", got)
	}
}

func TestAges(t *testing.T) {
	in := &inspection{file: parse(t, `
[[engine]]
name = "a"
backend = "clamd"
addresses = ["unix:/1", "unix:/2"]
[[engine]]
name = "b"
backend = "clamd"
address = "unix:/3"
max_signature_age = "never"
`)}
	aged := func(engine, node string, d time.Duration) trial {
		tr := usableTrial(engine, "clamd", node)
		tr.database = time.Now().Add(-d - time.Minute)
		return tr
	}
	day := 24 * time.Hour
	wantFindings(t, in.ages([]trial{aged("a", "unix:/1", 1061*day), aged("a", "unix:/2", day), aged("b", "unix:/3", 1061*day), usableTrial("a", "clamd", "unix:/4")}),
		finding{"a unix:/1: its signatures are 1061 days old (max_signature_age is 7 days): does its updater run", exitFound},
		finding{"a unix:/1: its signatures are 1060 days older than those of unix:/2", exitOK})
}

func TestLoops(t *testing.T) {
	dir := testkit.SocketDir(t)
	if err := os.Mkdir(filepath.Join(dir, "run"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("run", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	other, _ := play(t, fakePolyclamd("OK\x00"))
	clamd, _ := play(t, plainClamd)
	file := parse(t, "[[listener]]\naddress = \"unix:"+dir+"/run/s\"\n"+inspectTable)
	trials := []trial{usableTrial("a", "clamd", "unix:"+dir+"/link/s"), usableTrial("b", "clamd", other), usableTrial("c", "clamd", clamd), usableTrial("d", "inspect", "")}
	in := &inspection{file: file}
	wantFindings(t, in.loops(trials),
		finding{"a unix:" + dir + "/link/s: this is a listener of polyclamd, so it would ask itself", exitFound},
		finding{"b " + other + ": a polyclamd answers there, not a clamd", exitOK})

	in.daemon = &serverStatus{Nodes: []nodeStatus{
		{Node: extended.Node{Engine: "b", Address: other, State: "up"}},
		{Node: extended.Node{Engine: "a", Address: trials[0].node, State: "down", Reason: "asks polyclam itself, through the listener x"}},
	}}
	wantFindings(t, in.loops(trials)) // polyclamd knows
	wantFindings(t, in.views(trials[:1]), finding{"a unix:" + dir + "/link/s: this tool (", exitFound})
}

func TestProfileFinding(t *testing.T) {
	listener := func(keys string) *config.Listener {
		return &parse(t, "[[listener]]\naddress = \"unix:/run/s\"\n"+keys+inspectTable).Listeners[0]
	}
	rspamd := migrate.Client{Name: "rspamd", Profile: "rspamd", Where: "/etc/rspamd/x:3"}
	preset, _ := status.Lookup("rspamd")
	for _, c := range []struct {
		name string
		c    migrate.Client
		keys string
		want bool
	}{
		{"generic", rspamd, "", true},
		{"another client's", rspamd, "client = \"mimedefang\"\n", true},
		{"its own", rspamd, "client = \"rspamd\"\n", false},
		{"the same by keys", rspamd, "error_style = \"" + string(preset.ErrorStyle) + "\"\nanswer_within = \"" + preset.AnswerWithin.String() + "\"\nencrypted_prefix = \"" + preset.EncryptedPrefix + "\"\n", false},
		{"a longer answer_within of its own", rspamd, "error_style = \"limits\"\nanswer_within = \"20s\"\n", false},
		{"the usual answer_within", rspamd, "error_style = \"limits\"\n", true},
		{"takes unknown replies for clean", migrate.Client{Name: "MIMEDefang", Profile: "mimedefang"}, "", true},
		{"takes a limit for clean", migrate.Client{Name: "Haraka", Profile: "haraka"}, "encrypted_prefix = \"Encrypted.\"\nanswer_within = \"20s\"\n", true},
		{"nothing special", migrate.Client{Name: "amavis", Profile: "amavis"}, "", false},
		{"any will do", migrate.Client{Name: "Samba", Profile: "generic"}, "client = \"rspamd\"\n", false},
		{"unknown profile", migrate.Client{Name: "x", Profile: "new"}, "", false},
	} {
		f := profileFinding(c.c, listener(c.keys), false)
		if (f != nil) != c.want {
			t.Errorf("%s: %v", c.name, f)
		}
	}
	if f := profileFinding(rspamd, listener(""), false); f == nil || f.exit != exitFound ||
		!strings.HasPrefix(f.text, `rspamd uses unix:/run/s (/etc/rspamd/x:3), whose profile is "generic": set client = "rspamd" in that [[listener]]`) {
		t.Errorf("got %v", f)
	}
	closes := listener("error_style = \"close\"\n")
	if f := profileFinding(rspamd, closes, true); f == nil || !strings.Contains(f.text, `give this one a [[listener]] of its own with client = "rspamd"`) {
		t.Errorf("got %v", f)
	}
	amavis := migrate.Client{Name: "amavis", Profile: "amavis"}
	if f := profileFinding(amavis, closes, true); f != nil {
		t.Errorf("shared with rspamd: %v", f)
	}
	if f := profileFinding(amavis, closes, false); f == nil {
		t.Error("nothing about a listener that closes without need")
	}
}

func TestClientFiles(t *testing.T) {
	dir := testkit.SocketDir(t)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	files := migrate.Client{Name: "amavis", Profile: "amavis", Where: "/etc/amavis/x:1", Owner: "daemon", Dir: "/", Mode: 0o640}
	uid, gid, ok := numbers("daemon", "")
	if !ok {
		t.Skip("no user daemon")
	}
	daemon := &serverStatus{Server: extended.Server{About: extended.About{User: "polyclam", Groups: "polyclam"}}}
	in := func(known bool, id access.Identity) *inspection {
		return &inspection{root: dir, daemon: daemon, known: known, identity: id, file: parse(t, inspectTable)}
	}
	group := access.GroupName(gid)
	f := in(true, access.Identity{UID: uid + 1999999, GIDs: []int{gid + 1999999}}).fileFinding(files)
	if want := "amavis (/etc/amavis/x:1) has files in / scanned by their path, and polyclamd (polyclam, group polyclam) cannot read them: the file " + dir +
		"/* is 0640 daemon:" + group + ": add SupplementaryGroups=" + group + " to polyclamd's unit"; f == nil || !strings.HasPrefix(f.text, want) || f.exit != exitFound {
		t.Errorf("got %+v\nwant %s", f, want)
	}
	streams := files
	streams.Owner = ""
	for name, f := range map[string]*finding{
		"a member":         in(true, access.Identity{UID: 1999999, GIDs: []int{gid}}).fileFinding(files),
		"unknown identity": in(false, access.Identity{UID: 1999999}).fileFinding(files),
		"streams":          in(true, access.Identity{UID: 1999999}).fileFinding(streams),
	} {
		if f != nil {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

func TestPathFinding(t *testing.T) {
	c := migrate.Client{Name: "amavis", Where: "w", Owner: "amavis", Dir: "/var/spool/amavis"}
	for _, tt := range []struct{ keys, scanPaths, want string }{
		{"", "", ""},
		{"path_commands = false\n", "", "amavis (w) names files by their path, and unix:/run/s refuses that"},
		{"", "scan_paths = [\"/srv\", \"/var/spool\"]\n", ""},
		{"", "scan_paths = [\"/srv\", \"/var/spool/amavis-old\"]\n", "amavis (w) has files in /var/spool/amavis scanned by their path, outside scan_paths"},
	} {
		file := parse(t, tt.scanPaths+"[[listener]]\naddress = \"unix:/run/s\"\n"+tt.keys+inspectTable)
		f := (&inspection{file: file}).pathFinding(c, &file.Listeners[0])
		if (f == nil) != (tt.want == "") || f != nil && !strings.HasPrefix(f.text, tt.want) {
			t.Errorf("%q %q: %v", tt.keys, tt.scanPaths, f)
		}
	}
}

func TestSpoolFindings(t *testing.T) {
	dir := testkit.SocketDir(t)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	stranger := access.Identity{UID: 1999999, GIDs: []int{1999999}}
	daemon := &serverStatus{Server: extended.Server{About: extended.About{User: "polyclam", Groups: "polyclam"}}}
	for _, c := range []struct {
		name, dir string
		known     bool
		id        access.Identity
		want      []finding
	}{
		{"none", "", true, stranger, nil},
		{"missing, no daemon", dir + "/a/b", false, stranger, []finding{{"the spool directory " + dir + "/a/b does not exist: polyclamd makes it if its user may write to " + dir, exitOK}}},
		{"missing, and cannot be made", dir + "/a/b", true, stranger, []finding{{"the spool directory " + dir + "/a/b does not exist, and polyclamd (polyclam, group polyclam) cannot make it: the directory " + dir + " is 0755 ", exitFound}}},
		{"missing, in polyclamd's own directory", dir + "/a/b", true, access.Identity{UID: os.Geteuid()}, nil},
		{"a file", file, true, stranger, []finding{{"the spool directory " + file + " is not a directory", exitFound}}},
		{"another user's", dir, true, stranger, []finding{{"polyclamd (polyclam, group polyclam) cannot write to the spool directory: the directory " + dir + " is 0755 ", exitFound}}},
		{"usable", dir, true, access.Identity{}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := inspectTable
			if c.dir != "" {
				text += "[spool]\ndirectory = \"" + c.dir + "\"\n"
			}
			in := &inspection{file: parse(t, text), daemon: daemon, known: c.known, identity: c.id}
			wantFindings(t, in.spool(), c.want...)
		})
	}
}

func TestMemoryFinding(t *testing.T) {
	for _, c := range []struct {
		needed, limit int64
		want          []finding
	}{
		{300 << 20, 256 << 20, []finding{{"polyclamd may need 300 MiB of memory, but memory.max of /x is 256 MiB", exitFound}}},
		{200 << 20, 256 << 20, nil},
		{300 << 20, 0, nil},
	} {
		in := &inspection{daemon: &serverStatus{Server: extended.Server{About: extended.About{MemoryNeeded: c.needed, MemoryLimit: c.limit, MemoryLimitFrom: "memory.max of /x"}}}}
		wantFindings(t, in.memory(), c.want...)
	}
	wantFindings(t, (&inspection{}).memory())
}

func TestSettings(t *testing.T) {
	const at = "a unix:/s: /etc/clamd.conf:"
	for _, c := range []struct {
		name, conf, keys string
		address          string
		tried            bool // sizes
		want             []finding
	}{
		{"defaults", "", "", "", false, nil},
		{"all is well", "MaxFileSize 500M\nMaxScanSize 0\nMaxThreads 10\nMaxQueue 200\n", "", "", false, nil},
		{"heuristics", "HeuristicScanPrecedence yes\n", "", "", false, []finding{{at + "3: HeuristicScanPrecedence yes: it stops at the first heuristic match", exitOK}}},
		{"small files", "MaxFileSize 25M\n", "", "", false, []finding{{at + "3: MaxFileSize 25M: clamd reports OK for larger objects without scanning them, and polyclam sends it up to 100 MiB", exitPartial}}},
		{"small files, shown by the trial", "MaxFileSize 25M\n", "", "", true, nil},
		{"small files, alerted", "MaxFileSize 25M\nAlertExceedsMax yes\n", "", "", false, nil},
		{"the default is too small", "", "max_size = \"1GiB\"\n", "", false,
			[]finding{{"a unix:/s: /etc/clamd.conf without MaxFileSize, whose default is 100M; /etc/clamd.conf without MaxScanSize, whose default is 400M: clamd reports OK", exitPartial}}},
		{"short streams to a descriptor", "StreamMaxLength 5M\n", "", "", false, nil},
		{"short streams", "StreamMaxLength 5M\n", "", "tcp:127.0.0.1:3310", false, []finding{{"a tcp:127.0.0.1:3310: /etc/clamd.conf:3: StreamMaxLength 5M: clamd refuses longer streams", exitOK}}},
		{"few threads", "MaxThreads 5\n", "", "", false, []finding{{at + "3: MaxThreads 5: max_scans is 10, so scans wait inside clamd while their timeout runs: set max_scans = 5", exitOK}}},
		{"default threads", "", "max_scans = 12\n", "", false, []finding{{"a unix:/s: /etc/clamd.conf without MaxThreads, whose default is 10: max_scans is 12", exitOK}}},
		{"short queue", "MaxThreads 4\nMaxQueue 8\n", "", "", false, []finding{{at + "3: MaxThreads 4", exitOK}, {at + "4: MaxQueue 8: max_scans is 10, and a clamd whose queue is full accepts no connections", exitOK}}},
		{"excluded paths", "ExcludePath ^/proc\nExcludePath ^/sys\n", "", "", false, []finding{{at + "3: ExcludePath ^/proc; /etc/clamd.conf:4: ExcludePath ^/sys: this has no effect", exitOK}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := files(t, "etc/clamd.conf", "LocalSocket /s\nTCPSocket 3310\n"+c.conf)
			if c.address == "" {
				c.address = "unix:/s"
			}
			tr := usableTrial("a", "clamd", c.address)
			if c.tried {
				tr.size.tried = 1
			}
			in := &inspection{root: root, file: parse(t, engineTable("a", c.address, c.keys))}
			wantFindings(t, in.settings([]trial{tr, usableTrial("a", "clamd", "unix:/another"), usableTrial("b", "inspect", "")}), c.want...)
		})
	}
}

// strangerGroup is a group that no user of the tests is in.
const strangerGroup = 1999999

// TestCheckWithDaemon checks the whole command with a running daemon that may not use the
// engine's socket, and the machine's clamd.conf.
func TestCheckWithDaemon(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files to another group")
	}
	engine := startClamd(t, "Heuristics.Encrypted.Zip FOUND", "")
	path := strings.TrimPrefix(engine, "unix:")
	if err := os.Chown(path, 0, strangerGroup); err != nil {
		t.Fatal(err)
	}
	for p, mode := range map[string]fs.FileMode{path: 0o660, filepath.Dir(path): 0o755} {
		if err := os.Chmod(p, mode); err != nil {
			t.Fatal(err)
		}
	}
	const reason = "cannot connect: permission denied: the socket is 0660 root:1999999, and polyclamd runs as polyclam (groups polyclam)"
	record := extended.Server{Version: "1", About: extended.About{User: "polyclam", UID: 1999998, Groups: "polyclam", GIDs: "1999998"}}.Record().String()
	daemon, _ := play(t, func(verb protocol.Verb, _ []byte) []byte {
		if verb != protocol.VerbXStatus {
			return []byte("UNKNOWN COMMAND\x00")
		}
		return []byte(record + "\x00status: engine=a backend=clamd address=\"" + engine + "\" state=down reason=\"" + reason + "\" NODE\x00END\x00")
	})
	dir := files(t, "c.toml", "[[listener]]\naddress = \""+daemon+"\"\n"+engineTable("a", engine, ""), "root/etc/clamd.conf", "LocalSocket "+path+"\nMaxThreads 5\n")
	var stdout, stderr bytes.Buffer
	tool := &tool{stdout: &stdout, stderr: &stderr, root: filepath.Join(dir, "root")}
	if got := tool.run([]string{"check", "--size-check=false", filepath.Join(dir, "c.toml")}); got != exitFound {
		t.Errorf("exit %d, want %d", got, exitFound)
	}
	text := stdout.String()
	wantParts(t, text, "\na "+engine+": this tool (root) can use it, but for polyclamd (polyclam, group polyclam) at "+daemon+
		" it is down: "+reason,
		"\na "+engine+": /etc/clamd.conf:2: MaxThreads 5: max_scans is 10")
	if got := slices.Collect(strings.SplitSeq(text, "\n\n")); len(got) < 4 {
		t.Errorf("%d paragraphs:\n%s", len(got), text)
	}
	wantParts(t, stderr.String())
}

// TestCheckTemporarySpool checks that an engine that reads files is tried although the
// spool directory does not exist yet, and that no files are left.
func TestCheckTemporarySpool(t *testing.T) {
	tmp := testkit.SocketDir(t)
	dir := t.TempDir()
	program := filepath.Join(dir, "scanner")
	testkit.WriteProgram(t, program, []byte("#!/bin/sh\nif grep -q EICAR \"$1\"; then echo \"VIRUS: Eicar\"; exit 1; fi\nexit 0\n"))
	conf := filepath.Join(dir, "c.toml")
	text := anyListener + "[spool]\ndirectory = \"" + dir + "/none\"\n[[engine]]\nname = \"p\"\nbackend = \"command\"\nargv = [\"" + program + "\", \"{path}\"]\n" +
		"exit = { 0 = \"ok\", 1 = \"virus\" }\nvirus_regex = \"^VIRUS: (.*)$\"\n"
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	c := toolCommand(t, dir, "check", "--size-check=false", "c.toml")
	c.Env = append(c.Env, "TMPDIR="+tmp)
	r := finish(t, c)
	r.wantStatus(t, exitOK)
	wantParts(t, r.stderr, "warning: the spool directory "+dir+"/none does not exist; the engines are tried with a temporary one\n")
	wantParts(t, r.stdout, "the spool directory "+dir+"/none does not exist: polyclamd makes it if its user may write to "+dir)
	if strings.Contains(r.stdout+r.stderr, "no directory is configured") {
		t.Errorf("got\n%s%s", r.stdout, r.stderr)
	}
	if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
