package sssp

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/sssp/ssspfake"
	"polyclam/backends/testfile"
	"polyclam/test/testkit"
)

func scanOK(t *testing.T, b *Backend) {
	t.Helper()
	if r, err := b.Scan(backendtest.Context(t), x(t)); err != nil || !reflect.DeepEqual(r, backends.Clean(0)) {
		t.Fatalf("got %+v, %v", r, err)
	}
}

func wantFailure(t *testing.T, b *Backend, o backends.Object, want backends.Category, text string) {
	t.Helper()
	r, err := b.Scan(backendtest.Context(t), o)
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
		if r, err := b.Scan(backendtest.Context(t), backendtest.Bytes(t, testfile.Encrypted())); err != nil || r.Category != backends.Encrypted {
			t.Fatalf("got %+v, %v", r, err)
		}
	}
	if v, err := b.Version(backendtest.Context(t)); err != nil || v != (backends.Version{Text: "Sophos SAVI 3.85.1/5.99", Engine: "Sophos SAVI 3.85.1", Database: "5.99"}) {
		t.Errorf("got %+v, %v", v, err)
	}
	if s.Connections() != 1 || s.Scans() != 6 {
		t.Errorf("%d connections, %d scans", s.Connections(), s.Scans())
	}
	b.Close()
	b.Close()
	testkit.Eventually(t, "BYE", func() bool { return s.Byes() == 1 && s.Open() == 0 })
	scanOK(t, b) // on a new connection
	testkit.Eventually(t, "BYE", func() bool { return s.Byes() == 2 && s.Open() == 0 })
}

func TestSessionIsNotKept(t *testing.T) {
	s := ssspfake.Start(t, ssspfake.Options{})
	b := open(t, s.Address(), func(c *Config) { c.Sessions = false })
	scanOK(t, b)
	scanOK(t, b)
	testkit.Eventually(t, "two BYEs", func() bool { return s.Byes() == 2 && s.Open() == 0 })
}

func TestSessionEndsIdle(t *testing.T) {
	s := ssspfake.Start(t, ssspfake.Options{})
	b := open(t, s.Address(), func(c *Config) { c.IdleLimit = time.Millisecond })
	scanOK(t, b)
	testkit.Eventually(t, "BYE", func() bool { return s.Byes() == 1 && s.Open() == 0 })
	scanOK(t, b)
}

// TestSessionClosedIdle checks that a scan succeeds after savdid has closed an idle
// connection.
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

// TestSessionDiesAtReuse closes a kept connection when the next request arrives.
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

// TestSessionDiesTwice checks that a scan uses only one new connection.
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

// TestSessionGivenUp checks that the next scan uses a new connection after each of these
// answers.
func TestSessionGivenUp(t *testing.T) {
	for name, reply := range map[string]string{
		"more than an answer":    fenced(done, 4) + "\r\n",
		"two answers":            done + done,
		"answer without request": fenced(done, 4) + "ACC 1/5\r\n" + done,
		"unknown line":           "VIRUS A \r\nPROGRESS\r\n" + doneVirus,
		"weak unknown line":      "FAIL 0212 \r\nPROGRESS\r\n" + done,
		"failure":                "DONE FAIL 0202 Sweep failure\r\n\r\n",
		"rejection":              "REJ 4\r\n",
		"no DONE":                "\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			d := backendtest.StartDaemon(t, "unix", asked(say(reply), backendtest.Drain()), asked(say(fenced(done, 4)), backendtest.Drain()))
			b := open(t, d.Address(), nil)
			b.Scan(backendtest.Context(t), x(t))
			scanOK(t, b)
			if d.Connections() != 2 {
				t.Errorf("%d connections", d.Connections())
			}
		})
	}
}

func TestHandshake(t *testing.T) {
	for _, c := range []struct {
		name   string
		script backendtest.Script
		want   backends.Category
		text   string
	}{
		{"another greeting", backendtest.Script{say("220 mail ESMTP\r\n"), backendtest.Drain()}, backends.SWErr, "is it a savdid"},
		{"another version", backendtest.Script{say("OK SSSP/2.0\r\n"), backendtest.Drain()}, backends.SWErr, "is it a savdid"},
		{"longer greeting", backendtest.Script{say("OK SSSP/1.0 \r\n"), backendtest.Drain()}, backends.SWErr, "is it a savdid"},
		{"partial greeting", backendtest.Script{say("OK SSSP/1.0"), backendtest.Close()}, backends.SWErr, "in the middle"},
		{"closed immediately", backendtest.Script{backendtest.Close()}, backends.CannotExecute, "threadcount"},
		{"rejected greeting", backendtest.Script{say("REJ 2\r\n"), backendtest.Drain()}, backends.SWErr, "is it a savdid"},
		{"rejected version", backendtest.Script{say("OK SSSP/1.0\r\n"), want("SSSP/1.0\r\n"), say("REJ 2\r\n"), backendtest.Drain()}, backends.SWErr, "version was incorrect"},
		{"closed at the version", backendtest.Script{say("OK SSSP/1.0\r\n"), want("SSSP/1.0\r\n"), backendtest.Close()}, backends.CannotExecute, "without a reply"},
		{"ACC without token", backendtest.Script{say("OK SSSP/1.0\r\n"), want("SSSP/1.0\r\n"), say("ACC \r\n"), backendtest.Drain()}, backends.SWErr, "unexpected answer"},
		{"ACC twice", append(prepared()[:2:2], say("ACC 1/1\r\n"), want("OPTIONS\r\nsavigrp: GrpArchiveUnpack 1\r\n\r\n"), say("ACC 1/1\r\n"), backendtest.Drain()), backends.SWErr, "unexpected answer"},
		{"another session", append(prepared()[:4:4], say("ACC 2/2\r\n"), backendtest.Drain()), backends.SWErr, "unexpected answer"},
		{"options failed", append(prepared()[:4:4], say("ACC 1/2\r\nDONE FAIL 0202 x\r\n\r\n"), backendtest.Drain()), backends.SWErr, "OPTIONS"},
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
	eicar := backendtest.Bytes(t, testfile.EICAR())
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
		{"largest object", ssspfake.Options{MaxScanData: 68}, nil, backends.Virus, 0x203, "", 1},
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
			r, err := open(t, s.Address(), c.change).Scan(backendtest.Context(t), eicar)
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

// TestFull checks that a savdid whose threads are all busy is unreachable.
func TestFull(t *testing.T) {
	for _, closes := range []bool{false, true} {
		s := ssspfake.Start(t, ssspfake.Options{Threads: 1, CloseFull: closes})
		holds := open(t, s.Address(), nil)
		scanOK(t, holds)
		other := open(t, s.Address(), func(c *Config) { c.ConnectTimeout = time.Second })
		wantFailure(t, other, x(t), backends.CannotExecute, "threadcount")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		if _, err := open(t, s.Address(), nil).Scan(ctx, x(t)); err == nil || !strings.Contains(err.Error(), "threadcount") {
			t.Errorf("got %v", err)
		}
		cancel()
		holds.Close()
		testkit.Eventually(t, "a free thread", func() bool { return s.Open() == 0 })
		scanOK(t, open(t, s.Address(), nil))
	}
}

// TestContextEnds ends the context after savdid has become silent at each step.
func TestContextEnds(t *testing.T) {
	reached := func(c chan struct{}) backendtest.Step {
		return func(*backendtest.Session) error { close(c); return nil }
	}
	steps := asked(say("VIRUS A \r\n"))
	for n := range len(steps) + 1 {
		silent := make(chan struct{})
		script := append(append(backendtest.Script{}, steps[:n]...), reached(silent), backendtest.Hang())
		d := backendtest.StartDaemon(t, "tcp", script)
		broken := errors.New("cancelled by the test")
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

func TestVersionFails(t *testing.T) {
	for _, reply := range []string{"REJ 1\r\n", "ACC 1/3\r\n\r\n", "ACC 1/3\r\nengineversion: \x1b[2J\r\n\r\n", "ACC 1/3\r\nengineversion: 3\r\n", "ACC 1/2\r\nengineversion: 3\r\n\r\n", "",
		"ACC 1/3\r\n" + strings.Repeat("x: y\r\n", maxSettings+1) + "\r\n"} {
		d := backendtest.StartDaemon(t, "unix", prepared(want("QUERY ENGINE\r\n"), say(reply), backendtest.CloseWrite(), backendtest.Drain()))
		if v, err := open(t, d.Address(), nil).Version(backendtest.Context(t)); err == nil || v != (backends.Version{}) {
			t.Errorf("%q: got %+v, %v", reply, v, err)
		}
	}
}
