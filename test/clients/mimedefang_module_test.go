package clients

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"polyclam/test/clamdtest"
)

// Replies of polyclamd to XINSTREAM.
const (
	moduleOK = "stream: OK\n" +
		"stream: engine=clamav category=ok action=ok code=0 elapsed=0.004 ENGINE\n" +
		"stream: category=ok action=ok code=0 engine=clamav engines=1 failed=0 version=1 SUMMARY\nEND\n"
	moduleEncrypted = "stream: OK\n" +
		"stream: engine=clamav category=ok action=ok code=0 elapsed=0.004 ENGINE\n" +
		`stream: engine=sophos category=encrypted action=ok code=2 elapsed=0.1 name=Heuristics.Encrypted.Zip msg="Password \"protected\" \\ \x0a: x=y file foo.zip/foo.txt" ENGINE` + "\n" +
		"stream: category=encrypted action=ok code=2 engine=sophos engines=2 failed=0 version=1 SUMMARY\nEND\n"
	moduleVirus = "stream: Win.Test.EICAR FOUND\n" +
		"stream: engine=clamav category=virus action=quarantine code=1 elapsed=0.004 name=Win.Test.EICAR ENGINE\n" +
		"stream: category=virus action=quarantine code=1 engine=clamav engines=1 failed=0 version=1 SUMMARY\nEND\n"
	moduleFailed = "stream: clamav scan failed ERROR\n" +
		`stream: engine=clamav category=interrupted action=tempfail code=999 elapsed=2.0 msg="no answer" ENGINE` + "\n" +
		"stream: category=interrupted action=tempfail code=999 engine=clamav engines=1 failed=1 version=1 SUMMARY\nEND\n"
)

const (
	messageScan = "message_contains_virus_polyclam"
	entityScan  = "entity_contains_virus_polyclam"
)

func TestPolyclamModuleIsClean(t *testing.T) {
	t.Parallel()
	clamdtest.RequireProgram(t, "mimedefang")
	perlCheck(t, modules+"/Mail/MIMEDefang/Polyclam.pm")
	perlCheck(t, filterExample)
	out, status := run(t, nil, "perl", "-MPod::Checker", "-e", `exit podchecker(shift, \*STDOUT, -warnings => 2)`, modules+"/Mail/MIMEDefang/Polyclam.pm")
	if status != 0 || strings.Contains(out, "WARNING") {
		t.Errorf("podchecker: exit %d: %s", status, out)
	}
}

// TestPolyclamModule is the module's answer table.
func TestPolyclamModule(t *testing.T) {
	t.Parallel()
	perl, folder := startCaller(t, ""), mailFolder(t, map[string][]byte{"msg-1-1.txt": []byte("text")})
	edit := func(reply string, oldnew ...string) string { return strings.NewReplacer(oldnew...).Replace(reply) }
	const unknown = "UNKNOWN COMMAND\n"
	plain := func(reply string) answer {
		return func(command string, _ []byte, _ net.Conn) string {
			if strings.HasPrefix(command, "nX") {
				return unknown
			}
			return reply
		}
	}
	for _, tt := range []struct {
		name   string
		answer answer
		triple string
		virus  string // $VirusName
	}{
		{"ok", says(moduleOK), "0 ok ok", ""},
		{"encrypted", says(moduleEncrypted), "2 encrypted ok", "Heuristics.Encrypted.Zip"},
		{"encrypted, quarantine", says(edit(moduleEncrypted, "stream: OK", "stream: Heuristics.Encrypted.Zip FOUND", "encrypted action=ok", "encrypted action=quarantine")),
			"2 encrypted quarantine", "Heuristics.Encrypted.Zip"},
		{"annotated", says(edit(moduleEncrypted, "stream: OK", "stream: code=2/category=encrypted/action=ok/engine=sophos OK")), "2 encrypted ok", "Heuristics.Encrypted.Zip"},
		{"virus", says(moduleVirus), "1 virus quarantine", "Win.Test.EICAR"},
		{"virus, extended", says(edit(moduleVirus, "Win.Test.EICAR FOUND", "Win.Test.EICAR(code=1/category=virus/action=quarantine/engine=clamav) FOUND")), "1 virus quarantine", "Win.Test.EICAR"},
		{"virus let through by policy", says(edit(moduleVirus, "Win.Test.EICAR FOUND", "OK", "quarantine", "ok")), "1 virus ok", "Win.Test.EICAR"},
		{"interrupted", says(moduleFailed), "999 interrupted tempfail", ""},
		{"interrupted, told as found", says(edit(moduleFailed, "clamav scan failed ERROR", "Heuristics.Scan.Failed FOUND")), "999 interrupted tempfail", ""},
		{"optional engine failed", says(edit(moduleEncrypted, "category=ok action=ok code=0", "category=swerr action=tempfail code=999 required=no counts=no")), "2 encrypted ok", "Heuristics.Encrypted.Zip"},
		{"further keys", says(edit(moduleOK, "elapsed=", "new_key=\"a b\" elapsed=", "engines=", "more=1 engines=")), "0 ok ok", ""},
		{"name of hostile bytes", says(edit(moduleVirus, "name=Win.Test.EICAR", `name="A\" \x0aB$(x)"`, "quarantine", "ok", "Win.Test.EICAR FOUND", "OK")), "1 virus ok", "A___B__x_"},
		{"CATEGORY unknown", says(edit(moduleOK, "category=ok", "category=fine")), "999 swerr tempfail", ""},
		{"category empty", says(edit(moduleOK, "SUMMARY", "SUMMARY", "stream: category=ok ", "stream: ")), "999 swerr tempfail", ""},
		{"action unknown", says(edit(moduleOK, "action=ok", "action=pass")), "999 swerr tempfail", ""},
		{"code no number", says(edit(moduleOK, "code=0", "code=zero")), "999 swerr tempfail", ""},
		{"version 2", says(edit(moduleOK, "version=1", "version=2")), "999 swerr tempfail", ""},
		{"no version", says(edit(moduleOK, " version=1", "")), "999 swerr tempfail", ""},
		{"no engine looked", says("stream: OK\nstream: category=ok action=ok code=0 engines=0 failed=0 version=1 SUMMARY\nEND\n"), "999 swerr tempfail", ""},
		{"an engine's record missing", says(edit(moduleOK, "engines=1", "engines=2")), "999 swerr tempfail", ""},
		{"ok, but not of all engines", says(edit(moduleEncrypted, "stream: category=encrypted", "stream: category=ok")), "999 swerr tempfail", ""},
		{"OK for a virus", says(edit(moduleVirus, "Win.Test.EICAR FOUND", "OK")), "999 swerr tempfail", ""},
		{"OK for a tempfail", says(edit(moduleFailed, "clamav scan failed ERROR", "OK")), "999 swerr tempfail", ""},
		{"ERROR for ok", says(edit(moduleOK, "stream: OK", "stream: scan failed ERROR")), "999 swerr tempfail", ""},
		{"ok with quarantine", says(edit(moduleOK, "stream: OK", "stream: X FOUND", "action=ok", "action=quarantine")), "999 swerr tempfail", ""},
		{"two status lines", says("stream: OK\n" + moduleOK), "999 swerr tempfail", ""},
		{"two summaries", says(edit(moduleOK, "END", "stream: category=ok action=ok code=0 engine=clamav engines=1 failed=0 version=1 SUMMARY\nEND")), "999 swerr tempfail", ""},
		{"no summary", says("stream: OK\nEND\n"), "999 swerr tempfail", ""},
		{"summary alone", says(strings.SplitAfterN(moduleOK, "\n", 3)[2]), "999 swerr tempfail", ""},
		{"another object", says(edit(moduleOK, "stream:", "fd[10]:")), "999 swerr tempfail", ""},
		{"an unknown record", says(edit(moduleOK, "END", "stream: a=b NODE\nEND")), "999 swerr tempfail", ""},
		{"an unknown last word", says(edit(moduleOK, "stream: OK", "stream: FINE")), "999 swerr tempfail", ""},
		{"open quote", says(edit(moduleOK, "version=1", `version="1`)), "999 swerr tempfail", ""},
		{"carriage returns", says(edit(moduleOK, "\n", "\r\n")), "999 interrupted tempfail", ""},
		{"nothing", says(""), "999 interrupted tempfail", ""},
		{"END alone", says("END\n"), "999 swerr tempfail", ""},
		{"OK alone", says("stream: OK\n"), "999 interrupted tempfail", ""},
		{"PONG", says("PONG\n"), "999 swerr tempfail", ""},
		{"garbage", says("\x00\xff\x00: OK\n\nEND\nEND\n"), "999 swerr tempfail", ""},
		{"unavailable", says("COMMAND UNAVAILABLE\n"), "999 cannot-execute tempfail", ""},
		{"read timed out", says("COMMAND READ TIMED OUT\n"), "999 interrupted tempfail", ""},
		{"too large", says("INSTREAM size limit exceeded. ERROR\nEND\n"), "999 partial tempfail", ""},
		{"too large, for mimedefang", says("stream: INSTREAM size limit exceeded. ERROR\nEND\n"), "999 partial tempfail", ""},
		{"not kept", says("stream: Error writing to temporary file ERROR\nEND\n"), "999 swerr tempfail", ""},
		{"not kept, told as found", says("stream: Heuristics.Scan.Failed FOUND\nEND\n"), "999 swerr quarantine", "Heuristics.Scan.Failed"},

		{"clamd: ok", plain("stream: OK\n"), "0 ok ok", ""},
		{"clamd: virus", plain("stream: Win.Test.EICAR FOUND\n"), "1 virus quarantine", "Win.Test.EICAR"},
		{"clamd: encrypted", plain("stream: Heuristics.Encrypted.Zip FOUND\n"), "1 encrypted quarantine", "Heuristics.Encrypted.Zip"},
		{"clamd: limits", plain("stream: Heuristics.Limits.Exceeded.MaxFileSize FOUND\n"), "1 partial quarantine", "Heuristics.Limits.Exceeded.MaxFileSize"},
		{"clamd: macros", plain("stream: Heuristics.OLE2.ContainsMacros FOUND\n"), "1 suspicious quarantine", "Heuristics.OLE2.ContainsMacros"},
		{"clamd: nearly encrypted", plain("stream: Heuristics.EncryptedZip FOUND\n"), "1 virus quarantine", "Heuristics.EncryptedZip"},
		{"clamd: error", plain("stream: Can't allocate memory ERROR\n"), "999 swerr tempfail", ""},
		{"clamd: too large", plain("INSTREAM size limit exceeded. ERROR\n"), "999 partial tempfail", ""},
		{"clamd: unknown", plain(unknown), "999 swerr tempfail", ""},
		{"clamd: no newline", plain("stream: OK"), "999 interrupted tempfail", ""},
		{"clamd: carriage return", plain("stream: OK\r\n"), "999 swerr tempfail", ""},
		{"clamd: excluded", plain("stream: Excluded\n"), "999 swerr tempfail", ""},
		{"clamd: bare OK", plain("OK\n"), "999 swerr tempfail", ""},
		{"clamd: nothing", plain(""), "999 interrupted tempfail", ""},
		{"clamd: OK in an error", plain("stream: not OK ERROR\n"), "999 swerr tempfail", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := startModuleFake(t)
			f.do(tt.answer, false)
			got := perl.call(t, messageScan, folder, "'twice'", f.socket)
			if got.triple != tt.triple || got.name != tt.virus {
				t.Errorf("got %q, $VirusName %q; want %q, %q; messages %s, log %s", got.triple, got.name, tt.triple, tt.virus, got.messages, got.log)
			}
			code, rest, _ := strings.Cut(got.triple, " ")
			if zero := got.scalar == "0"; zero != (tt.triple == "0 ok ok") || !zero && code != "0" && got.scalar != code {
				t.Errorf("in scalar context %q, want the code of %q", got.scalar, got.triple)
			}
			if quiet := got.messages == ""; quiet != (rest == "ok ok") {
				t.Errorf("$VirusScannerMessages is %q", got.messages)
			}
			if strings.Count(got.messages, `\x0a`) > 1 {
				t.Errorf("more than a line in $VirusScannerMessages: %q", got.messages)
			}
			if logged := got.log != ""; logged != strings.HasSuffix(got.triple, "tempfail") {
				t.Errorf("logged %q for %q", got.log, got.triple)
			}
		})
	}
}

// The module remembers that a daemon is a clamd for the rest of the mail. If a
// polyclamd takes its place, the next mail gets the category.
func TestPolyclamModuleRemembers(t *testing.T) {
	t.Parallel()
	perl, folder := startCaller(t, ""), mailFolder(t, map[string][]byte{"a": []byte("1"), "b": []byte("2")})
	f := startModuleFake(t)
	f.do(func(command string, _ []byte, _ net.Conn) string {
		if strings.HasPrefix(command, "nX") {
			return "UNKNOWN COMMAND\n"
		}
		return "stream: OK\n"
	}, false)
	if got := perl.call(t, messageScan, folder, "", f.socket); got.triple != "0 ok ok" {
		t.Fatalf("got %s, %s", got.triple, got.messages)
	}
	if commands, _ := f.came(); strings.Join(commands, " ") != "nXINSTREAM nINSTREAM nINSTREAM" {
		t.Errorf("sent %q", commands)
	}
	f.do(says(moduleEncrypted), false)
	if got := perl.call(t, messageScan, folder, "", f.socket); got.triple != "2 encrypted ok" {
		t.Errorf("got %s, %s", got.triple, got.messages)
	}
}

// TestPolyclamModuleTag checks that the module hands over the queue id, and that it asks a
// daemon that does not know XTAG only once with it.
func TestPolyclamModuleTag(t *testing.T) {
	t.Parallel()
	folder := mailFolder(t, map[string][]byte{"a": []byte("1"), "b": make([]byte, 1<<20)})
	const scan = "nXINSTREAM"
	long := strings.Repeat("q", 129)
	perl, f := startCaller(t, ""), startModuleFake(t)
	for _, tt := range []struct{ name, settings, want string }{
		{"queue id", "$QueueID = '4dLk2x0Cj9z1x'; $MsgID = 'm'", "nXTAG 4dLk2x0Cj9z1x " + scan},
		{"another mail", "$QueueID = '5ASH9m1x012345'", "nXTAG 5ASH9m1x012345 " + scan},
		{"none", "$QueueID = $MsgID = 'NOQUEUE'", scan},
		{"not set", "$QueueID = $MsgID = undef", scan},
		{"message id", "$QueueID = 'NOQUEUE'; $MsgID = '<a@b>'", "nXTAG <a@b> " + scan},
		{"a line break", `$QueueID = "q\n"; $MsgID = "a b"`, scan},
		{"too long", "$QueueID = '" + long + "'; $MsgID = ''", scan},
		{"by path", "$QueueID = 'q1'; $PolyclamPaths = 1", "nXTAG q1 nXSCAN " + folder + "/Work"},
	} {
		f.do(func(command string, _ []byte, _ net.Conn) string {
			if path, ok := strings.CutPrefix(command, "nXSCAN "); ok {
				return strings.ReplaceAll(moduleOK, "stream:", path+"/a:")
			}
			return moduleOK
		}, false)
		got := perl.call(t, messageScan, folder, tt.settings, f.socket)
		want := tt.want
		if !strings.Contains(want, "nXSCAN") { // one command for each part
			want += " " + tt.want
		}
		if commands, _ := f.came(); got.triple != "0 ok ok" || strings.Join(commands, " ") != want {
			t.Errorf("%s: %s, sent %q, want %q", tt.name, got.triple, commands, want)
		}
	}
	f.untagged = true
	for _, want := range []string{"nXTAG q1 " + scan + " " + scan, scan + " " + scan} {
		f.do(says(moduleOK), false)
		got := perl.call(t, messageScan, folder, "$QueueID = 'q1'", f.socket)
		if commands, _ := f.came(); got.triple != "0 ok ok" || strings.Join(commands, " ") != want {
			t.Errorf("without XTAG: %s, sent %q, want %q", got.triple, commands, want)
		}
	}
	clamd := startModuleFake(t)
	clamd.untagged = true
	clamd.do(func(command string, _ []byte, _ net.Conn) string {
		if strings.HasPrefix(command, "nX") {
			return "UNKNOWN COMMAND\n"
		}
		return "stream: OK\n"
	}, false)
	got := perl.call(t, messageScan, folder, "$QueueID = 'q1'", clamd.socket)
	if commands, _ := clamd.came(); got.triple != "0 ok ok" || strings.Join(commands, " ") != "nXTAG q1 nXINSTREAM nINSTREAM nINSTREAM" {
		t.Errorf("clamd: %s, sent %q", got.triple, commands)
	}
}

func TestPolyclamModuleSendsObject(t *testing.T) {
	t.Parallel()
	perl := startCaller(t, "")
	f := startModuleFake(t)
	for _, size := range []int{0, 1, 65535, 65536, 65537, 5 << 20} {
		content := make([]byte, size)
		for i := range content {
			content[i] = byte(i * i >> 8)
		}
		f.do(says(moduleOK), false)
		got := perl.call(t, messageScan, mailFolder(t, map[string][]byte{"a": content}), "", f.socket)
		if _, contents := f.came(); got.triple != "0 ok ok" || len(contents) != 1 || !bytes.Equal(contents[0], content) {
			t.Errorf("%d bytes: %s, %d contents", size, got.triple, len(contents))
		}
	}
}

func TestPolyclamModuleCannotConnect(t *testing.T) {
	t.Parallel()
	perl, dir := startCaller(t, ""), clamdtest.Dir(t, "")
	folder := mailFolder(t, map[string][]byte{"a": []byte("text")})
	stale := filepath.Join(dir, "stale.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	for address, triple := range map[string]string{
		filepath.Join(dir, "none.sock"):           "999 not-installed tempfail",
		"unix:" + filepath.Join(dir, "none.sock"): "999 not-installed tempfail",
		stale:                               "999 cannot-execute tempfail",
		"127.0.0.1:" + clamdtest.Port(t):    "999 cannot-execute tempfail",
		"tcp:[::1]:" + clamdtest.Port(t):    "999 cannot-execute tempfail",
		"clamd.sock":                        "999 swerr tempfail",
		"host:port":                         "999 swerr tempfail",
		"127.0.0.1:99999":                   "999 swerr tempfail",
		"/" + strings.Repeat("long/", 1000): "999 swerr tempfail",
	} {
		if got := perl.call(t, messageScan, folder, "$PolyclamTimeout = 20", address); got.triple != triple || got.log == "" {
			t.Errorf("%.60s: %s, %s", address, got.triple, got.messages)
		}
	}
}

// TestPolyclamModuleAddress checks the order: the argument, $PolyclamSock, $ClamdSock
// if the filter changed it, the default.
func TestPolyclamModuleAddress(t *testing.T) {
	t.Parallel()
	perl, folder := startCaller(t, ""), mailFolder(t, map[string][]byte{"a": []byte("text")})
	for settings, want := range map[string]string{
		"":                          "polyclam at /run/polyclam/clamd.sock: ",
		"$ClamdSock = '/nowhere/c'": "polyclam at /nowhere/c: not-installed",
		"$ClamdSock = '/nowhere/c'; $PolyclamSock = '/nowhere/p'": "polyclam at /nowhere/p: not-installed",
	} {
		if _, err := os.Stat("/run/polyclam/clamd.sock"); err == nil && settings == "" {
			continue
		}
		if got := perl.call(t, messageScan, folder, settings); !strings.Contains(got.log, want) {
			t.Errorf("%q: log %q, want %q", settings, got.log, want)
		}
	}
}
