package sssp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/internal/engineconn/linetest"
	"polyclam/backends/sssp/ssspfake"
)

// eventually waits until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in a minute: %s", what)
		}
	}
}

func scanOK(t *testing.T, b *Backend) {
	t.Helper()
	if r, err := b.Scan(testContext(t), x(t)); err != nil || !reflect.DeepEqual(r, backends.Clean(0)) {
		t.Fatalf("got %+v, %v", r, err)
	}
}

func wantFailure(t *testing.T, b *Backend, o backends.Object, want backends.Category, text string) {
	t.Helper()
	r, err := b.Scan(testContext(t), o)
	if err == nil || backends.CategoryOf(err) != want || !strings.Contains(err.Error(), text) || r.Category != "" {
		t.Fatalf("got %+v, %v (%v), want %v with %q", r, err, backends.CategoryOf(err), want, text)
	}
}

func TestSessionIsKept(t *testing.T) {
	backendtest.NoLeaks(t)
	s := ssspfake.Start(t, ssspfake.Options{})
	b := open(t, s.Address(), nil)
	for range 3 {
		scanOK(t, b)
		if r, err := b.Scan(testContext(t), backendtest.Bytes(t, backendtest.EncryptedZip())); err != nil || r.Category != backends.Encrypted {
			t.Fatalf("got %+v, %v", r, err)
		}
	}
	if v, err := b.Version(testContext(t)); err != nil || v != (backends.Version{Text: "Sophos SAVI 3.85.1/5.99", Engine: "Sophos SAVI 3.85.1", Database: "5.99"}) {
		t.Errorf("got %+v, %v", v, err)
	}
	if s.Connections() != 1 || s.Scans() != 6 {
		t.Errorf("%d connections, %d scans", s.Connections(), s.Scans())
	}
	b.Close()
	b.Close()
	eventually(t, "BYE", func() bool { return s.Byes() == 1 && s.Open() == 0 })
	scanOK(t, b) // late, on a connection of its own
	eventually(t, "BYE", func() bool { return s.Byes() == 2 && s.Open() == 0 })
}

func TestSessionIsNotKept(t *testing.T) {
	s := ssspfake.Start(t, ssspfake.Options{})
	b := open(t, s.Address(), func(c *Config) { c.Sessions = false })
	scanOK(t, b)
	scanOK(t, b)
	eventually(t, "two BYEs", func() bool { return s.Byes() == 2 && s.Open() == 0 })
}

func TestSessionEndsIdle(t *testing.T) {
	s := ssspfake.Start(t, ssspfake.Options{})
	b := open(t, s.Address(), func(c *Config) { c.IdleLimit = time.Millisecond })
	scanOK(t, b)
	eventually(t, "BYE", func() bool { return s.Byes() == 1 && s.Open() == 0 })
	scanOK(t, b)
}

// TestSessionClosedIdle: a connection that savdid closed while it was idle is
// replaced, and nobody notices.
func TestSessionClosedIdle(t *testing.T) {
	s := ssspfake.Start(t, ssspfake.Options{})
	b := open(t, s.Address(), nil)
	scanOK(t, b)
	s.CloseSessions()
	scanOK(t, b)
	if s.Connections() != 2 {
		t.Errorf("%d connections", s.Connections())
	}
}

// TestSessionDiesAtReuse: it is found out only when the request is there.
func TestSessionDiesAtReuse(t *testing.T) {
	first := asked(want("QUERY SERVER\r\n"), say(fenced(done, 4)), want("SCANDATA 1\r\n"), backendtest.Close())
	d := backendtest.StartDaemon(t, "unix", first, asked(say(fenced(done, 4)), backendtest.Drain()))
	b := open(t, d.Address(), nil)
	scanOK(t, b)
	scanOK(t, b)
	if d.Connections() != 2 {
		t.Errorf("%d connections", d.Connections())
	}
}

// TestSessionDiesTwice: once is enough.
func TestSessionDiesTwice(t *testing.T) {
	first := asked(want("QUERY SERVER\r\n"), say(fenced(done, 4)), want("SCANDATA 1\r\n"), backendtest.Close())
	d := backendtest.StartDaemon(t, "unix", first, prepared(want("SCANDATA 1\r\n"), backendtest.Close()), backendtest.Script{backendtest.Hang()})
	b := open(t, d.Address(), nil)
	scanOK(t, b)
	wantFailure(t, b, x(t), backends.CannotExecute, "without a reply")
	if d.Connections() != 2 {
		t.Errorf("%d connections", d.Connections())
	}
}

// TestSessionIrregular: after each of these the next scan has a new connection.
func TestSessionIrregular(t *testing.T) {
	for name, reply := range map[string]string{
		"more than an answer":    fenced(done, 4) + "\r\n",
		"two answers":            done + done,
		"an answer nobody wants": fenced(done, 4) + "ACC 1/5\r\n" + done,
		"unknown line":           "VIRUS A \r\nPROGRESS\r\n" + doneVirus,
		"weak unknown line":      "FAIL 0212 \r\nPROGRESS\r\n" + done,
		"failure":                "DONE FAIL 0202 Sweep failure\r\n\r\n",
		"rejection":              "REJ 4\r\n",
		"no DONE":                "\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			d := backendtest.StartDaemon(t, "unix", asked(say(reply), backendtest.Drain()), asked(say(fenced(done, 4)), backendtest.Drain()))
			b := open(t, d.Address(), nil)
			b.Scan(testContext(t), x(t))
			scanOK(t, b)
			if d.Connections() != 2 {
				t.Errorf("%d connections", d.Connections())
			}
		})
	}
}

// TestLateAnswer: what comes while nothing is asked, or for an earlier request, is
// never taken for an answer: the object is scanned on a new connection.
func TestLateAnswer(t *testing.T) {
	for name, late := range map[string]backendtest.Script{
		"while idle":       {say("ACC 1/5\r\n" + done)},
		"in place of ACC":  {want("SCANDATA 1\r\n"), say(done)},
		"ACC of before":    {want("SCANDATA 1\r\n"), say("ACC 1/3\r\n")},
		"before the data":  {want("SCANDATA 1\r\n"), say("ACC 1/5\r\n" + done)},
		"after the data":   {want("SCANDATA 1\r\n"), say("ACC 1/5\r\n"), want("x"), say(done + "VIRUS C \r\n" + doneVirus)},
		"virus, then done": {want("SCANDATA 1\r\n"), say("ACC 1/5\r\n"), want("x"), say("VIRUS B \r\n" + doneVirus + done)},
	} {
		t.Run(name, func(t *testing.T) {
			idle, sent := make(chan struct{}), make(chan struct{})
			first := append(asked(want("QUERY SERVER\r\n"), say(fenced(done, 4)), backendtest.Wait(idle)), late[0])
			if name == "while idle" {
				first = append(first, closing(sent))
			} else {
				close(sent)
			}
			first = append(append(first, late[1:]...), backendtest.Drain())
			d := backendtest.StartDaemon(t, "unix", first, asked(say(fenced("VIRUS A \r\n"+doneVirus, 4)), backendtest.Drain()))
			b := open(t, d.Address(), nil)
			scanOK(t, b)
			close(idle)
			<-sent
			r, err := b.Scan(testContext(t), x(t))
			if err != nil || r.Category != backends.Virus || len(r.Findings) != 1 || r.Findings[0].Name != "A" || d.Connections() != 2 {
				t.Errorf("got %+v, %v, %d connections", r, err, d.Connections())
			}
		})
	}
}

// TestRepeated: savdid repeats its answers to scans and settings a while later, in the
// middle of later scans too.
func TestRepeated(t *testing.T) {
	g := backendtest.Together(t)
	defer g.Wait()
	for name, change := range map[string]func(*Config){"kept": nil, "once": once} {
		for _, slow := range []bool{false, true} {
			for _, repeat := range []time.Duration{5, 30, 60} {
				s := ssspfake.Start(t, ssspfake.Options{Slow: slow, Misbehaviour: backendtest.Misbehaviour{Repeat: repeat * time.Millisecond}})
				b := open(t, s.Address(), change)
				g.Go(func() {
					verdicts := linetest.Alternate(t, b, 10)
					t.Logf("%s, slow %v, after %d ms: %d of 300 with a verdict, %d connections", name, slow, repeat, verdicts, s.Connections())
				})
			}
		}
	}
}

func closing(c chan struct{}) backendtest.Step {
	return func(*backendtest.Session) error { close(c); return nil }
}

func TestHandshake(t *testing.T) {
	for _, c := range []struct {
		name   string
		script backendtest.Script
		want   backends.Category
		text   string
	}{
		{"greeting of another", backendtest.Script{say("220 mail ESMTP\r\n"), backendtest.Drain()}, backends.SWErr, "is it a savdid"},
		{"greeting of another version", backendtest.Script{say("OK SSSP/2.0\r\n"), backendtest.Drain()}, backends.SWErr, "is it a savdid"},
		{"longer greeting", backendtest.Script{say("OK SSSP/1.0 \r\n"), backendtest.Drain()}, backends.SWErr, "is it a savdid"},
		{"half a greeting", backendtest.Script{say("OK SSSP/1.0"), backendtest.Close()}, backends.SWErr, "in the middle"},
		{"closed at once", backendtest.Script{backendtest.Close()}, backends.CannotExecute, "threadcount"},
		{"rejected greeting", backendtest.Script{say("REJ 2\r\n"), backendtest.Drain()}, backends.SWErr, "is it a savdid"},
		{"rejected version", backendtest.Script{say("OK SSSP/1.0\r\n"), want("SSSP/1.0\r\n"), say("REJ 2\r\n"), backendtest.Drain()}, backends.SWErr, "version was incorrect"},
		{"closed for no version", backendtest.Script{say("OK SSSP/1.0\r\n"), want("SSSP/1.0\r\n"), backendtest.Close()}, backends.CannotExecute, "without a reply"},
		{"nothing accepted", backendtest.Script{say("OK SSSP/1.0\r\n"), want("SSSP/1.0\r\n"), say("ACC \r\n"), backendtest.Drain()}, backends.SWErr, "unexpected answer"},
		{"ACC twice", append(prepared()[:2:2], say("ACC 1/1\r\n"), want("OPTIONS\r\nsavigrp: GrpArchiveUnpack 1\r\n\r\n"), say("ACC 1/1\r\n"), backendtest.Drain()), backends.SWErr, "unexpected answer"},
		{"another session", append(prepared()[:4:4], say("ACC 2/2\r\n"), backendtest.Drain()), backends.SWErr, "unexpected answer"},
		{"options in part", append(prepared()[:4:4], say("ACC 1/2\r\nDONE FAIL 0202 x\r\n\r\n"), backendtest.Drain()), backends.SWErr, "OPTIONS"},
		{"options rejected late", append(prepared()[:4:4], say("ACC 1/2\r\nREJ 3\r\n"), backendtest.Drain()), backends.SWErr, "options = []"},
	} {
		t.Run(c.name, func(t *testing.T) {
			backendtest.NoLeaks(t)
			d := backendtest.StartDaemon(t, "unix", c.script)
			wantFailure(t, open(t, d.Address(), nil), x(t), c.want, c.text)
		})
	}
}

func TestServerSettings(t *testing.T) {
	eicar := backendtest.Bytes(t, backendtest.EICAR())
	for _, c := range []struct {
		name   string
		fake   ssspfake.Options
		change func(*Config)
		want   backends.Category
		code   int
		text   string
		scans  int
	}{
		{"no QUERY SERVER", ssspfake.Options{NoQuery: true}, nil, backends.Virus, 0x203, "", 1},
		{"as large as may be", ssspfake.Options{MaxScanData: 68}, nil, backends.Virus, 0x203, "", 1},
		{"too large", ssspfake.Options{MaxScanData: 67}, nil, backends.Partial, 4, "REJ 4", 0},
		{"no limit for files", ssspfake.Options{MaxScanData: 67, ScanFile: true}, byFile, backends.Virus, 0x203, "", 1},
		{"options rejected", ssspfake.Options{RejectOptions: true}, nil, backends.SWErr, 3, "options = []", 0},
		{"no options", ssspfake.Options{RejectOptions: true}, func(c *Config) { c.Options = nil }, backends.Virus, 0x203, "", 1},
		{"no SCANDATA", ssspfake.Options{NoScanData: true}, nil, backends.SWErr, 5, "allowscandata: YES", 0},
		{"no SCANFILE", ssspfake.Options{}, byFile, backends.SWErr, 5, "allowscanfile", 0},
		{"rejected", ssspfake.Options{RejectScans: 1}, nil, backends.SWErr, 1, "not recognised", 0},
		{"reports", ssspfake.Options{}, func(c *Config) { c.Options = append(c.Options, "report: all") }, backends.Virus, 0x203, "", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := ssspfake.Start(t, c.fake)
			r, err := open(t, s.Address(), c.change).Scan(testContext(t), eicar)
			category, code, text := r.Category, r.Code, r.Detail
			if err != nil {
				category, code, text = backends.CategoryOf(err), failureCode(err), err.Error()
			}
			if category != c.want || code != c.code || !strings.Contains(text, c.text) || s.Scans() != c.scans {
				t.Errorf("got %v %d %q, %d scans", category, code, text, s.Scans())
			}
		})
	}
}

// TestFull: a savdid without a thread to spare cannot be reached.
func TestFull(t *testing.T) {
	for _, closes := range []bool{false, true} {
		s := ssspfake.Start(t, ssspfake.Options{Threads: 1, CloseFull: closes})
		holds := open(t, s.Address(), nil)
		scanOK(t, holds)
		other := open(t, s.Address(), func(c *Config) { c.ConnectTimeout = 50 * time.Millisecond })
		wantFailure(t, other, x(t), backends.CannotExecute, "threadcount")
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		if _, err := open(t, s.Address(), nil).Scan(ctx, x(t)); err == nil || !strings.Contains(err.Error(), "threadcount") {
			t.Errorf("got %v", err)
		}
		cancel()
		holds.Close()
		eventually(t, "a free thread", func() bool { return s.Open() == 0 })
		scanOK(t, other)
	}
}

// TestContextEnds: at whatever point savdid falls silent.
func TestContextEnds(t *testing.T) {
	reached := func(c chan struct{}) backendtest.Step {
		return func(*backendtest.Session) error { close(c); return nil }
	}
	steps := asked(say("VIRUS A \r\n"))
	for n := range len(steps) + 1 {
		silent := make(chan struct{})
		script := append(append(backendtest.Script{}, steps[:n]...), reached(silent), backendtest.Hang())
		d := backendtest.StartDaemon(t, "tcp", script)
		broken := errors.New("broken off")
		ctx, cancel := context.WithCancelCause(t.Context())
		go func() {
			<-silent
			cancel(broken)
		}()
		r, err := open(t, d.Address(), nil).Scan(ctx, x(t))
		if backends.CategoryOf(err) != backends.Interrupted || !errors.Is(err, broken) || r.Category == backends.OK {
			t.Errorf("step %d: got %+v, %v", n, r, err)
		}
		cancel(nil)
	}
}

// TestACCAfterData: data is never sent before it is accepted, come what may.
func TestACCAfterData(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	d := backendtest.StartDaemon(t, "unix", prepared(want("SCANDATA 1\r\n"), func(*backendtest.Session) error {
		time.AfterFunc(50*time.Millisecond, cancel) // time enough for what must not come
		return nil
	}, backendtest.Drain()))
	if r, err := open(t, d.Address(), nil).Scan(ctx, x(t)); backends.CategoryOf(err) != backends.Interrupted {
		t.Errorf("got %+v, %v", r, err)
	}
	if got := d.Received(0); !bytes.HasSuffix(got, []byte("SCANDATA 1\r\n")) {
		t.Errorf("sent %q", got)
	}
	// Nothing has to be waited for where there is no data.
	s := ssspfake.Start(t, ssspfake.Options{ACCAfterData: true})
	if r, err := open(t, s.Address(), nil).Scan(testContext(t), backendtest.Bytes(t, nil)); err != nil || r.Category != backends.OK {
		t.Errorf("got %+v, %v", r, err)
	}
}

// TestEarlyAnswer: an answer to a part of the content is none, but for a virus.
func TestEarlyAnswer(t *testing.T) {
	large := backendtest.LargeObject(t, 8<<20)
	for _, c := range []struct {
		reply string
		want  backends.Category
	}{
		{done, backends.SWErr},
		{"FAIL 0212 \r\n" + done, backends.SWErr},
		{"DONE FAIL 060F Scan terminated due to timeout\r\n\r\n", backends.Interrupted}, // its own failure, early or not
		{"VIRUS A \r\n" + doneVirus, backends.Virus},
		{"FAIL 0212 \r\nDONE FAIL 0212 File was encrypted\r\n\r\n", backends.SWErr},
		{"REJ 1\r\n", backends.SWErr},
		{"REJ 4\r\n", backends.Partial},
	} {
		for name, end := range map[string]backendtest.Step{"stays": backendtest.Hang(), "says no more": backendtest.CloseWrite()} {
			t.Run(fmt.Sprintf("%q, %s", c.reply, name), func(t *testing.T) {
				t.Parallel()
				steps := prepared(want("SCANDATA 8388608\r\n"), say("ACC 1/3\r\n"), backendtest.Discard(1000), say(c.reply), end, backendtest.Hang())
				d := backendtest.StartDaemon(t, "unix", steps)
				r, err := open(t, d.Address(), nil).Scan(testContext(t), large)
				got := r.Category
				if err != nil {
					got = backends.CategoryOf(err)
				}
				if got != c.want && !(c.want.IsFailure() && got.IsFailure() && r.Category == "") {
					t.Errorf("got %+v, %v", r, err)
				}
			})
		}
	}
}

// TestExactBytes: what savdid reads is the content, and what follows is a request.
func TestExactBytes(t *testing.T) {
	content := bytes.Repeat([]byte("SCANDATA 5\r\nBYE\r\n\x00"), 20_000)
	d := backendtest.StartDaemon(t, "tcp", prepared(
		want("SCANDATA 360000\r\n"), say("ACC 1/3\r\n"), want(string(content)), say(done), want("QUERY SERVER\r\n"), say(fenced("", 4)),
		want("SCANDATA 0\r\n"), say("ACC 1/5\r\n"), want("QUERY SERVER\r\n"), say(fenced(done, 6)), want("BYE\r\n"), backendtest.Drain()))
	b := open(t, d.Address(), nil)
	for _, o := range []backends.Object{backendtest.Bytes(t, content), backendtest.Bytes(t, nil)} {
		if r, err := b.Scan(testContext(t), o); err != nil || r.Category != backends.OK {
			t.Fatalf("got %+v, %v", r, err)
		}
	}
	b.Close()
	eventually(t, "BYE", func() bool { return bytes.HasSuffix(d.Received(0), []byte("BYE\r\n")) })
}

// shrunk is a content that has become shorter than it says.
type shrunk struct{ *backendtest.Object }

func (shrunk) Size() int64 { return 100_000 }

func TestObjectIsShorter(t *testing.T) {
	s := ssspfake.Start(t, ssspfake.Options{})
	wantFailure(t, open(t, s.Address(), nil), shrunk{backendtest.LargeObject(t, 70_000)}, backends.SWErr, "ends after 70000 of 100000 bytes")
	s = ssspfake.Start(t, ssspfake.Options{ScanFile: true})
	wantFailure(t, open(t, s.Address(), byFile), shrunk{backendtest.LargeObject(t, 70_000)}, backends.SWErr, "the object has 100000")
}

// named is a content with a path of its own.
type named struct {
	*backendtest.Object
	path string
}

func (n named) Path() (string, error) { return n.path, nil }

func TestHostilePath(t *testing.T) {
	dir := t.TempDir()
	path := dir + "/a b\r\nBYE\r\n%41+é"
	if err := os.WriteFile(path, backendtest.EICAR(), 0o600); err != nil {
		t.Fatal(err)
	}
	s := ssspfake.Start(t, ssspfake.Options{ScanFile: true})
	b := open(t, s.Address(), byFile)
	o := backendtest.Bytes(t, backendtest.EICAR())
	r, err := b.Scan(testContext(t), named{o, path})
	if err != nil || r.Category != backends.Virus || len(r.Findings) != 1 || r.Findings[0].Name != "EICAR-AV-Test" {
		t.Errorf("got %+v, %v", r, err)
	}
	for _, bad := range []string{dir, dir + "/missing", "/dev/null", ""} {
		wantFailure(t, b, named{o, bad}, backends.SWErr, "path of the object")
	}
}

// TestUnreadableFile: savdid says so, and we say what to do.
func TestUnreadableFile(t *testing.T) {
	d := backendtest.StartDaemon(t, "unix", prepared(backendtest.WantUntil('\n', 1000, nil),
		say("ACC 1/3\r\nFAIL 0210 /path\r\nDONE FAIL 0210 Could not open item passed to SAVI for scanning\r\n\r\n"), backendtest.Drain()))
	wantFailure(t, open(t, d.Address(), byFile), x(t), backends.SWErr, "its user needs access")
}

func TestVersionFails(t *testing.T) {
	for _, reply := range []string{"REJ 1\r\n", "ACC 1/3\r\n\r\n", "ACC 1/3\r\nengineversion: \x1b[2J\r\n\r\n", "ACC 1/3\r\nengineversion: 3\r\n", "ACC 1/2\r\nengineversion: 3\r\n\r\n", "",
		"ACC 1/3\r\n" + strings.Repeat("x: y\r\n", maxSettings+1) + "\r\n"} {
		d := backendtest.StartDaemon(t, "unix", prepared(want("QUERY ENGINE\r\n"), say(reply), backendtest.CloseWrite(), backendtest.Drain()))
		if v, err := open(t, d.Address(), nil).Version(testContext(t)); err == nil || v != (backends.Version{}) {
			t.Errorf("%q: got %+v, %v", reply, v, err)
		}
	}
}
