package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"polyclam/backends/backendtest"
	"polyclam/backends/testfile"
	"polyclam/protocol"
	"polyclam/test/testkit"
)

// startClamd starts a fake clamd and returns its address. If encrypted is not empty, it is the
// result for the encrypted archive; if all is not empty, for everything else.
func startClamd(t *testing.T, encrypted, all string) string {
	unix, _ := play(t, func(verb protocol.Verb, content []byte) []byte {
		object := map[protocol.Verb]string{protocol.VerbInstream: "stream: ", protocol.VerbFildes: "fd[10]: "}[verb]
		switch {
		case object != "" && bytes.Equal(content, testfile.Encrypted()) && encrypted != "":
			return []byte(object + encrypted + "\x00")
		case object != "" && all != "":
			return []byte(object + all + "\x00")
		}
		return plainClamd(verb, content)
	})
	return unix
}

func engineTable(name, address, more string) string {
	return "[[engine]]\nname = \"" + name + "\"\nbackend = \"clamd\"\nsessions = false\naddress = \"" + address + "\"\n" + more + "\n"
}

const inspectTable = "[[engine]]\nname = \"inspect\"\nbackend = \"inspect\"\n"

const anyListener = "[[listener]]\naddress = \"tcp:127.0.0.1:3310\"\n"

func TestCheckBadConfiguration(t *testing.T) {
	dir := files(t, "bad.toml", "[[listener]]\nadress = \"unix:/run/x\"\n[limits]\nstream = \"lots\"\n")
	for _, args := range [][]string{{"check", "bad.toml"}, {"--config", "bad.toml", "check"}, {"check", "--config=bad.toml"}} {
		r := polyclam(t, dir, args...)
		r.wantStatus(t, exitFailed)
		wantParts(t, r.stdout)
		for _, want := range []string{"bad.toml:1: listener: ", "\nbad.toml:2: listener.adress: unknown key \"adress\"; did you mean \"address\"?\n", "\nbad.toml:4: limits.stream: ", "engine: there is no [[engine]]"} {
			wantParts(t, r.stderr, want)
		}
	}
	r := polyclam(t, dir, "check", "none.toml")
	r.wantStatus(t, exitFailed)
	wantParts(t, r.stderr, "open none.toml: no such file or directory")
}

func TestCheckText(t *testing.T) {
	good := startClamd(t, "Heuristics.Encrypted.Zip FOUND", "")
	missing := backendtest.Missing(t)
	dir := files(t, "c.toml", anyListener+inspectTable+
		strings.Replace(engineTable("clamav", good, ""), "address = \""+good+"\"", "addresses = [\""+good+"\", \""+missing+"\"]", 1))
	r := polyclam(t, dir, "check", "--size-check=false", "c.toml")
	r.wantStatus(t, exitFound)
	if r.stderr != "" && !strings.HasPrefix(r.stderr, "waiting, ") { // on a slow machine
		t.Errorf("got\n%s\nwant nothing", r.stderr)
	}
	// Addresses differ in length, and so do the blanks of the table.
	text := strings.NewReplacer(good, "unix:GOOD", missing, "unix:MISSING").Replace(r.stdout)
	var cells []string
	for line := range strings.Lines(text) {
		cells = append(cells, strings.Join(strings.Fields(elapsed.ReplaceAllString(line, "${1}#.###$2")), " "))
	}
	got := strings.Join(cells, "\n") + "\n"
	want := `c.toml: ok

ENGINE BACKEND NODE CLEAN EICAR ENCRYPTED SCANS UP TO TIME REPORTS CAN REPORT VERSION
inspect inspect - ok virus encrypted - #.### virus, encrypted virus, encrypted, partial -
clamav clamd unix:GOOD ok virus encrypted - #.### virus, encrypted virus, suspicious, encrypted, partial ClamAV 1.4.6/27500/Mon Nov 23 08:00:00 2026
clamav clamd unix:MISSING not-installed not-installed - - #.### nothing virus, suspicious, encrypted, partial -

clamav unix:MISSING: a clean text is not scanned: `
	if !strings.HasPrefix(got, want) || strings.Contains(got, "clamd unix:MISSING: ") || !strings.HasSuffix(got, "the socket does not exist. Is the engine running, and the key address right?\n") {
		t.Errorf("got\n%s\nwant\n%s...", got, want)
	}
}

// TestCheckHints has an engine for every mistake that check explains.
func TestCheckHints(t *testing.T) {
	for _, c := range []struct {
		name, tables string
		status       int
		want         []string
	}{
		{"usable", engineTable("a", startClamd(t, "Heuristics.Encrypted.Zip FOUND", ""), ""), 0, []string{"virus, encrypted"}},
		{"does not report encryption", engineTable("a", startClamd(t, "OK", ""), ""), 0,
			[]string{"an encrypted archive is ok: the engine does not report encryption; AlertEncrypted yes in clamd.conf enables that\n", "no engine reports encrypted archives; an [[engine]] with backend = \"inspect\" does\n"}},
		{"another reports encryption", inspectTable + engineTable("a", startClamd(t, "OK", ""), ""), 0,
			[]string{"enables that (inspect does, so the verdict is right)\n"}},
		{"blind", engineTable("a", startClamd(t, "", "OK"), ""), 1,
			[]string{"no virus", "the EICAR test file is ok: are the signatures loaded"}},
		{"finds everything", engineTable("a", startClamd(t, "", "Worm FOUND"), ""), 1,
			[]string{"nothing reliable", "a clean text is virus (Worm): the engine or a [[rule]] reports this for everything"}},
		{"fails on everything", engineTable("a", startClamd(t, "", "Can't allocate memory ERROR"), ""), 1,
			[]string{"nothing", "a clean text is not scanned: ", "Can't allocate memory"}},
		{"fails on encrypted", engineTable("a", startClamd(t, "Password protected ERROR", ""), ""), 0,
			[]string{"an encrypted archive is swerr (", "Password protected", "mail with one is deferred again and again; map the engine's answer to encrypted"}},
		{"encrypted is a virus", engineTable("a", startClamd(t, "Locked FOUND", ""), ""), 0,
			[]string{"an encrypted archive is virus (Locked); a [[rule]] with this name and category = \"encrypted\""}},
		{"encrypted by a rule", engineTable("a", startClamd(t, "Locked FOUND", ""), "[[rule]]\nname = \"^Locked$\"\ncategory = \"encrypted\""), 0,
			[]string{"virus, encrypted"}},
		{"refused", engineTable("a", backendtest.Refusing(t, "tcp"), ""), 1, []string{"cannot-execute", "connection refused: nothing listens on this port"}},
		{"optional too", engineTable("a", backendtest.Missing(t), "required = false"), 1, []string{"not-installed"}},
		{"hangs up", engineTable("a", silent(t, true), ""), 1, []string{"cannot-execute", "a clean text is not scanned"}},
		{"hangs up at EICAR", engineTable("a", blocks(t), ""), 1, []string{"the EICAR test file is not scanned: ", "; the clean text was scanned, so something on the way may block EICAR"}},
		{"silent", engineTable("a", silent(t, false), ""), 1, []string{"interrupted", "no answer within 100ms (--timeout); is the engine busy, or stuck?"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := polyclam(t, files(t, "c.toml", anyListener+c.tables), "check", "--size-check=false", "--timeout", checkTimeout(c.name), "c.toml")
			r.wantStatus(t, c.status)
			wantParts(t, r.stdout, c.want...)
			if strings.Contains(r.stdout, "virus, encrypted") && !strings.Contains(c.tables, "inspect") && strings.Count(r.stdout, "\n") != 4 {
				t.Errorf("a hint for a good engine\n%s", r.stdout)
			}
		})
	}
}

// TestCheckUnscanned has engines that report OK for objects that they did not scan.
func TestCheckUnscanned(t *testing.T) {
	const (
		ok        = "OK"
		encrypted = "Heuristics.Encrypted.Zip FOUND"
		limits    = "Heuristics.Limits.Exceeded.MaxFileSize FOUND"
	)
	zipped, locked, deep := testfile.ZippedEICAR(), testfile.LockedThenEICAR(), testfile.DeepThenEICAR()
	is := func(object []byte) func([]byte) bool { return func(b []byte) bool { return bytes.Equal(b, object) } }
	longer := func(n int) func([]byte) bool {
		return func(b []byte) bool { return len(b) > n && !bytes.Equal(b, deep) }
	}
	for _, c := range []struct {
		name   string
		odd    func([]byte) bool // selects the objects that get the answer
		answer string
		more   string // keys of the engine
		status int
		want   []string
	}{
		{"scans all", func([]byte) bool { return false }, "", "max_size = \"4KiB\"", exitOK, []string{" 4 KiB "}},
		{"stops at encrypted", is(locked), encrypted, "max_size = \"4KiB\"", exitOK, []string{"a: it stops at the first heuristic match: set HeuristicScanPrecedence no in clamd.conf; until then its encrypted and limits findings count as suspicious\n"}},
		{"stops at limits", is(deep), limits, "max_size = \"4KiB\"", exitOK, []string{"a: it stops at the first heuristic match"}},
		{"no archives", func(b []byte) bool { return bytes.HasPrefix(b, []byte("PK")) }, ok, "", exitPartial, []string{"a: EICAR in a ZIP archive is ok, and so is every virus in an archive: set ScanArchive yes"}},
		{"large ones are ok", longer(600), ok, "max_size = \"2MiB\"", exitPartial,
			[]string{" 512 bytes of 2 MiB ", "a: it reports OK for an object of 2 MiB without scanning it (one of 512 bytes is scanned): in clamd.conf, set MaxFileSize to at least 2M, MaxScanSize to more than that, and a sufficient MaxScanTime; or set AlertExceedsMax yes, which makes such objects partial; or give it a smaller max_size\n"}},
		{"larger than half is ok", longer(3 << 20), ok, "max_size = \"6MiB\"", exitPartial, []string{"(one of 1 MiB is scanned)", "or set max_size = \"1MiB\" here"}},
		{"large ones are partial", longer(600), limits, "max_size = \"4KiB\"", exitOK,
			[]string{" 512 bytes of 4 KiB ", "a: an object of 4 KiB is partial (Heuristics.Limits.Exceeded.MaxFileSize): raise MaxFileSize, MaxScanSize and StreamMaxLength in clamd.conf to have it scanned, or set the action of \"partial\" in [policy.actions]\n"}},
		{"large ones fail", longer(600), "Can't allocate memory ERROR", "max_size = \"4KiB\"", exitOK, []string{" swerr at 4 KiB ", "a: an object of 4 KiB is not scanned: ", "Can't allocate memory"}},
		{"no test of sizes", longer(600), ok, "max_size = \"2MiB\"", exitOK, []string{"  -            0."}},
	} {
		t.Run(c.name, func(t *testing.T) {
			unix, _ := play(t, func(verb protocol.Verb, content []byte) []byte {
				if verb == protocol.VerbFildes && c.odd(content) {
					return []byte("fd[10]: " + c.answer + "\x00")
				}
				return plainClamd(verb, content)
			})
			args := []string{"check", "c.toml"}
			if strings.HasPrefix(c.name, "no test") {
				args = append(args, "--size-check=false")
			}
			r := polyclam(t, files(t, "c.toml", anyListener+engineTable("a", unix, c.more)), args...)
			r.wantStatus(t, c.status)
			wantParts(t, strings.ReplaceAll(r.stdout, " "+unix+":", ":"), c.want...)
			if len(zipped) > 600 {
				t.Errorf("the small archive has %d bytes", len(zipped))
			}
		})
	}
}

// TestCheckAsksDaemon checks that the result includes the nodes that the running polyclamd does
// not use.
func TestCheckAsksDaemon(t *testing.T) {
	engine := startClamd(t, "", "")
	daemon, _ := play(t, func(verb protocol.Verb, _ []byte) []byte {
		if verb != protocol.VerbXStatus {
			return []byte("UNKNOWN COMMAND\x00")
		}
		return []byte("polyclamd: version=1 uptime=5 SERVER\x00polyclamd: engine=a backend=clamd address=\"" + engine + "\" state=down reason=\"asks polyclam itself through unix:/run/s\" NODE\x00" +
			"polyclamd: engine=other backend=clamd address=\"unix:/x\" state=down reason=\"not in this file\" NODE\x00END\x00")
	})
	dir := files(t, "c.toml", "[[listener]]\naddress = \""+daemon+"\"\n"+engineTable("a", engine, ""))
	r := polyclam(t, dir, "check", "--size-check=false", "c.toml")
	r.wantStatus(t, exitFound)
	wantParts(t, r.stdout, "  POLYCLAMD\n", "2026  down\n", "\na "+engine+": this tool (", ") can use it, but for polyclamd at "+daemon+" it is down: asks polyclam itself through unix:/run/s; its own configuration")
	if strings.Contains(r.stdout, "not in this file") {
		t.Errorf("got\n%s", r.stdout)
	}
}

// checkTimeout returns a short timeout only for an engine that never answers.
func checkTimeout(name string) string {
	if name == "silent" {
		return "100ms"
	}
	return "1m"
}

// blocks starts a clamd behind something that closes the connection when it sees EICAR.
func blocks(t *testing.T) string {
	unix, _ := play(t, func(verb protocol.Verb, content []byte) []byte {
		if bytes.Equal(content, testfile.EICAR()) {
			return nil
		}
		return plainClamd(verb, content)
	})
	return unix
}

// silent starts an engine that never answers, or closes the connection, and returns its address.
func silent(t *testing.T, hangUp bool) string {
	script := backendtest.Script{backendtest.Drain(), backendtest.Hang()}
	if hangUp {
		script = backendtest.Script{backendtest.Discard(1), backendtest.Close()}
	}
	return backendtest.StartDaemon(t, "unix", script).Address()
}

func TestCheckPermission(t *testing.T) {
	address := startClamd(t, "", "")
	mode := os.FileMode(0o600)
	if os.Geteuid() != 0 {
		mode = 0
	}
	if err := os.Chmod(strings.TrimPrefix(address, "unix:"), mode); err != nil {
		t.Fatal(err)
	}
	dir := files(t, "c.toml", anyListener+engineTable("a", address, ""))
	r := finish(t, unprivileged(t, toolCommand(t, dir, "check", "c.toml")))
	r.wantStatus(t, exitFound)
	wantParts(t, r.stdout, "cannot-execute", "permission denied: the socket is 0", " runs as ", "it belongs to root's group: the program that made it must give it another group, with the right (chmod g+w)")
}

// TestCheckSpool checks that check leaves nothing in a daemon's spool directory.
func TestCheckSpool(t *testing.T) {
	for _, exists := range []bool{false, true} {
		dir := testkit.SocketDir(t)
		spoolDir := filepath.Join(dir, "spool")
		if exists {
			if err := os.Mkdir(spoolDir, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		conf := "[spool]\ndirectory = \"" + spoolDir + "\"\n"
		if err := os.WriteFile(filepath.Join(dir, "c.toml"), []byte(anyListener+inspectTable+conf), 0o644); err != nil {
			t.Fatal(err)
		}
		r := polyclam(t, dir, "check", "c.toml")
		r.wantStatus(t, exitOK)
		left, err := os.ReadDir(spoolDir)
		if exists && (err != nil || len(left) > 0) || !exists && !os.IsNotExist(err) {
			t.Errorf("in the spool: %v, %v", left, err)
		}
		if r = finish(t, unprivileged(t, toolCommand(t, dir, "check", "c.toml"))); os.Geteuid() == 0 && exists {
			r.wantStatus(t, exitOK)
			wantParts(t, r.stderr, "warning: this user cannot use the spool directory")
		}
	}
}
