package main

import (
	"context"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"polyclam/backends/backendtest"
	"polyclam/backends/testfile"
	"polyclam/protocol"
	"polyclam/test/testkit"
)

func TestPlainClamd(t *testing.T) {
	unix, tcp := play(t, plainClamd)
	dir := files(t, "clean", "x", "eicar", string(testfile.EICAR()), "enc", backendtest.MarkEncrypted, "err", backendtest.MarkError,
		"part", backendtest.MarkPartial, "susp", backendtest.MarkSuspicious)
	for _, args := range [][]string{{unix}, {unix, "--stream"}, {tcp}} {
		r := polyclam(t, dir, append([]string{"scan", ".", "--address"}, args...)...)
		r.wantStatus(t, exitFound)
		wantText(t, strings.ReplaceAll(r.stdout, args[0], "SERVER"), `clean: ok
eicar: virus (quarantine): Eicar-Test-Signature
enc: encrypted (quarantine): Heuristics.Encrypted.Zip
err: not scanned (swerr): the server answered: `+map[bool]string{true: "fd[10]", false: "stream"}[len(args) == 1 && args[0] == unix]+`: Can't allocate memory ERROR
part: partial (quarantine): Heuristics.Limits.Exceeded.MaxFiles
susp: suspicious (quarantine): Heuristics.OLE2.ContainsMacros
6 files, 128 bytes, #.### s, by SERVER: 1 virus, 1 suspicious, 1 encrypted, 1 partial, 1 swerr, 1 ok
not scanned: 1 file
`)
		wantParts(t, r.stderr, "polyclam: note: the server at "+args[0]+" is a plain clamd")
		if n := strings.Count(r.stderr, "\n"); n != 1 {
			t.Errorf("%d lines on stderr, want the note once\n%s", n, r.stderr)
		}
	}
	r := polyclam(t, dir, "--address", unix, "scan", "--json", "eicar")
	wantParts(t, r.stdout, `"category":"virus","action":"quarantine","code":1,"name":"Eicar-Test-Signature"`, `"engines":[]`, `"extended":false`)
}

// TestOldClamd asks a server that refuses VERSIONCOMMANDS.
func TestOldClamd(t *testing.T) {
	for _, refusal := range []string{"UNKNOWN COMMAND\x00", "COMMAND UNAVAILABLE\x00"} {
		unix, _ := play(t, func(verb protocol.Verb, content []byte) []byte {
			if verb == protocol.VerbVersionCommands {
				return []byte(refusal)
			}
			return plainClamd(verb, content)
		})
		r := polyclam(t, files(t, "f", "x"), "--address", unix, "scan", "f")
		r.wantStatus(t, exitOK)
		wantParts(t, r.stdout, "f: ok\n")
	}
}

func TestTooLargeForAStream(t *testing.T) {
	_, tcp := play(t, plainClamd)
	ours := serve(t, nil, marked())
	dir := files(t, "huge", "", "small", "x")
	if err := os.Truncate(dir+"/huge", 300<<20); err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{tcp, ours.tcp} {
		r := polyclam(t, dir, "--address", address, "scan", "huge", "small")
		r.wantStatus(t, exitFailed)
		wantParts(t, r.stdout, "huge: not scanned (partial): larger than the stream limit (polyclam: limits.stream, clamd: StreamMaxLength), which does not", "small: ok\n", "not scanned: 1 file\n")
	}
}

// TestTooLargeForAnEngine passes a file as a descriptor, for which the server has no limit.
func TestTooLargeForAnEngine(t *testing.T) {
	limited := marked()
	limited.maxSize = 100 << 20
	s := serve(t, nil, limited)
	dir := files(t, "huge", "")
	if err := os.Truncate(dir+"/huge", 300<<20); err != nil {
		t.Fatal(err)
	}
	r := polyclam(t, dir, "--address", s.unix, "scan", "huge")
	r.wantStatus(t, exitPartial)
	wantParts(t, r.stdout, "huge: partial (ok): Heuristics.Limits.Exceeded.MaxSize\n", "314572800 bytes exceed max_size, 104857600", "1 file, 300 MiB")
}

// TestReplies checks that no broken reply counts as ok.
func TestReplies(t *testing.T) {
	const summary = "OBJECT: category=ok action=ok code=0 engine=a engines=1 failed=0 version=1 SUMMARY\x00"
	for _, c := range []struct {
		name, reply string
		status      int
		text        string
	}{
		{"good", "OBJECT: OK\x00OBJECT: engine=a category=ok action=ok code=0 ENGINE\x00" + summary + "END\x00", 0, "f: ok\n"},
		{"more than known", "OBJECT: OK\x00OBJECT: engine=a category=ok action=ok code=0 mood=good ENGINE\x00OBJECT: x=y NEWS\x00" + summary + "END\x00", 0, "f: ok\n"},
		{"hangs up", "", 2, "f: not scanned (interrupted): the server closed the connection before the verdict"},
		{"no end", "OBJECT: OK\x00" + summary, 2, "f: not scanned (interrupted): the server closed the connection before the verdict"},
		{"half a line", "OBJECT: O", 2, "f: not scanned (interrupted): the server closed the connection before the verdict"},
		{"no summary", "OBJECT: OK\x00END\x00", 2, "f: not scanned (swerr): the reply has no summary"},
		{"plain", "OBJECT: OK\x00", 2, "f: not scanned (interrupted)"},
		{"garbage", "\xff\x1b[2J\x00", 2, "f: not scanned (swerr)"},
		{"about another", "other: OK\x00" + summary + "END\x00", 2, "f: not scanned (swerr)"},
		{"error", "OBJECT: Can't read file ERROR\x00END\x00", 2, "f: not scanned (swerr): the server answered: "},
		{"unknown command", "UNKNOWN COMMAND\x00", 2, "f: not scanned (swerr): the server answered: UNKNOWN COMMAND"},
		{"timed out", "COMMAND READ TIMED OUT\n", 2, "f: not scanned (interrupted): the server answered: COMMAND READ TIMED OUT"},
		{"version", "OBJECT: OK\x00OBJECT: category=ok action=ok version=2 SUMMARY\x00END\x00", 2, "f: not scanned (swerr): the reply has version 2"},
		{"ok, but a failure", "OBJECT: OK\x00OBJECT: category=swerr action=tempfail version=1 SUMMARY\x00END\x00", 2, "f: not scanned (swerr): the reply contradicts itself"},
		{"ok, but a virus", "OBJECT: OK\x00OBJECT: category=virus action=quarantine version=1 SUMMARY\x00END\x00", 1, "f: suspicious (quarantine): the reply contradicts itself"},
		{"a virus, but ok", "OBJECT: X FOUND\x00OBJECT: category=ok action=ok version=1 SUMMARY\x00END\x00", 1, "f: suspicious (quarantine): the reply contradicts itself"},
		{"error, but ok", "OBJECT: no ERROR\x00OBJECT: category=ok action=ok version=1 SUMMARY\x00END\x00", 2, "f: not scanned (swerr): the reply contradicts itself"},
		{"unknown category", "OBJECT: OK\x00OBJECT: category=fine action=ok version=1 SUMMARY\x00END\x00", 2, "f: not scanned (swerr): the reply contradicts itself"},
		{"unknown action", "OBJECT: OK\x00OBJECT: category=ok action=fine version=1 SUMMARY\x00END\x00", 2, "f: not scanned (swerr): the reply contradicts itself"},
		{"nothing known", "OBJECT: OK\x00OBJECT: version=1 SUMMARY\x00END\x00", 2, "f: not scanned (swerr): the reply contradicts itself"},
		{"found for a failure", "OBJECT: Heuristics.Scan.Failed FOUND\x00OBJECT: category=swerr action=tempfail version=1 SUMMARY\x00END\x00", 2, "f: swerr (tempfail)\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			unix, tcp := play(t, fakePolyclamd(c.reply))
			for _, address := range []string{unix, tcp} {
				r := polyclam(t, files(t, "f", "x"), "--address", address, "scan", "f")
				r.wantStatus(t, c.status)
				wantParts(t, r.stdout, c.text)
				if printableLines(r.stdout) != r.stdout {
					t.Errorf("stdout is not printable: %q", r.stdout)
				}
			}
		})
	}
}

// TestServerGone removes the server's socket while many files are scanned.
func TestServerGone(t *testing.T) {
	gone := make(chan struct{})
	engine := marked()
	fake := &backendtest.Fake{Until: gone}
	engine.backend = fake
	s := serve(t, nil, engine)
	var names []string
	for i := range 500 {
		names = append(names, "d/"+strconv.Itoa(1000+i), "x")
	}
	go func() {
		defer close(gone)
		testkit.Eventually(t, "the first scans", func() bool { return fake.Running() > 0 })
		os.Remove(strings.TrimPrefix(s.unix, "unix:"))
	}()
	r := polyclam(t, files(t, names...), "--address", s.unix, "scan", "--json", "d")
	r.wantStatus(t, exitFailed)
	wantParts(t, r.stderr, "polyclam: stopped, not everything was scanned: the server is gone from "+s.unix+": no such file or directory\n")
	wantParts(t, r.stdout, `"stopped":"the server is gone from`, `"error":"the server is gone from`, `"exit":2}`)
	if lines := strings.Count(r.stdout, "\n"); lines > 200 {
		t.Errorf("%d lines: the walk went on without a server", lines)
	}
}

func TestSilentServer(t *testing.T) {
	engine := marked()
	awake := make(chan struct{})
	engine.backend = &backendtest.Fake{Until: awake}
	s := serve(t, nil, engine)
	defer close(awake)
	for _, address := range []string{s.unix, s.tcp} {
		r := polyclam(t, files(t, "f", "x"), "--address", address, "scan", "--timeout", "50ms", "f")
		r.wantStatus(t, exitFailed)
		wantParts(t, r.stdout, "f: not scanned (interrupted): ", "the server does not answer within 50ms")
	}
}

// TestSlowInput has an input that takes longer than the server may for its answer.
func TestSlowInput(t *testing.T) {
	d := (&scanner{timeout: hang}).startDeadline(t.Context())
	defer d.end()
	const timeout = time.Millisecond
	d.timeout = timeout
	r, in := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		time.Sleep(50 * timeout) // the slow input itself, not a wait
		ended <- d.ctx.Err()
		in.Write([]byte("x"))
	}()
	if n, err := (&pausingReader{r, d}).Read(make([]byte, 8)); n != 1 || err != nil {
		t.Fatalf("Read = %d, %v", n, err)
	}
	if err := <-ended; err != nil {
		t.Errorf("ended while waiting for input: %v", err)
	}
	<-d.ctx.Done()
	if err := context.Cause(d.ctx); !errors.Is(err, errTimeout) {
		t.Errorf("ended by %v, want %v", err, errTimeout)
	}
}

func TestFullDisk(t *testing.T) {
	s := serve(t, nil, marked())
	var names []string
	for i := range 300 {
		names = append(names, "d/"+strconv.Itoa(i), "x")
	}
	dir := files(t, names...)
	for _, args := range [][]string{{"scan", "d"}, {"status"}, {"ping"}} {
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		c := toolCommand(t, dir, append([]string{"--address", s.unix}, args...)...)
		c.Stdout = full
		r := finish(t, c)
		full.Close()
		r.wantStatus(t, exitFailed)
		wantParts(t, r.stderr, "no space left on device")
	}
}
