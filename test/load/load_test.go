package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"polyclam/protocol"
)

// TestMain runs the test binary as an engine or a crowd where a part starts itself.
func TestMain(m *testing.M) {
	if done, err := startedAs(os.Args[1:]); done {
		exit(err)
	}
	os.Exit(m.Run())
}

// TestParts runs two short parts against a polyclamd that it builds.
func TestParts(t *testing.T) {
	var out bytes.Buffer
	err := run(t.Context(), []string{"--short", "--clients=2", "--idle=3", "--slow=3", "--probes=3", "--every=50ms", "--down=200ms",
		"--timeout=1s", "slow/data", "stopped/killed"}, &out)
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, want := range []string{
		"### slow/data\n", "| idle clients | 3 connections,", "| slow clients | 3 connections,", " | runs |",
		"### stopped/killed\n", "| scans lost | ",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("nothing like %q in\n%s", want, out.String())
		}
	}
	for _, figure := range []string{"alone", "beside them", "scans"} {
		if !strings.Contains(out.String(), "| "+figure+" | ") || strings.Contains(out.String(), "| "+figure+" | 0 ") {
			t.Errorf("no scans in %q:\n%s", figure, out.String())
		}
	}
}

func TestOptions(t *testing.T) {
	o, err := parseOptions([]string{"--short", "--idle", "7", "slow", "reload/one-node"})
	if err != nil {
		t.Fatal(err)
	}
	if o.idle != 7 || o.slow >= 5000 || len(o.parts) != len(slowParts)+1 {
		t.Errorf("idle %d, slow %d, %d parts", o.idle, o.slow, len(o.parts))
	}
	for _, args := range [][]string{{"nothing"}, {"slow/nothing"}, {"slo"}, {"--clients=0"}, {"--timeout=0s"}, {"--idle=50001"}, {"--probes=0"}} {
		if _, err := parseOptions(args); err == nil {
			t.Errorf("%q is accepted", args)
		}
	}
}

// TestNames checks that part names are unique and that every kind of slow client
// exists.
func TestNames(t *testing.T) {
	var names []string
	for _, p := range parts {
		if strings.Count(p.name, "/") != 1 || p.about == "" || slices.Contains(names, p.name) {
			t.Errorf("part %q (%s)", p.name, p.about)
		}
		names = append(names, p.name)
	}
	for _, p := range slowParts {
		if kinds[strings.TrimPrefix(p.name, "slow/")] == nil {
			t.Errorf("there are no clients for %s", p.name)
		}
	}
}

// TestResults checks the result of a scan for each kind of answer.
func TestResults(t *testing.T) {
	for _, tt := range []struct {
		reply string
		want  result
	}{
		{"stream: OK\x00", ok},
		{"stream: Eicar FOUND\x00", found},
		{"stream: it is OK ERROR\x00", refused},
		{"OK\x00", refused},
		{"stream: OK", broken},
		{"", broken},
	} {
		to := serveOnce(t, func(nc net.Conn) { nc.Write([]byte(tt.reply)) })
		if o := scan(t.Context(), to, newRequest(10), time.Minute); o.result != tt.want {
			t.Errorf("%q is %v (%s), want %v", tt.reply, o.result, o.text, tt.want)
		}
	}
	silent := serveOnce(t, func(nc net.Conn) { nc.Read(make([]byte, 1<<20)); <-t.Context().Done() })
	if o := scan(t.Context(), silent, newRequest(10), 50*time.Millisecond); o.result != gaveUp {
		t.Errorf("silence is %v (%s)", o.result, o.text)
	}
	nowhere := way{network: "unix", address: filepath.Join(t.TempDir(), "s")}
	if o := scan(t.Context(), nowhere, newRequest(10), time.Minute); o.result != unconnected {
		t.Errorf("no socket is %v (%s)", o.result, o.text)
	}
}

// serveOnce serves one client and returns the way to it.
func serveOnce(t *testing.T, serve func(nc net.Conn)) way {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		protocol.NewConn(nc).ReadCommand()
		serve(nc)
	}()
	return way{network: "unix", address: path}
}

func TestHistory(t *testing.T) {
	start := time.Now()
	var h history
	for i := range 1000 {
		o := outcome{begin: start.Add(time.Duration(1000-i) * time.Second), took: time.Duration(i+1) * time.Millisecond}
		if i == 0 {
			o.result, o.text = refused, "stream: busy ERROR"
		}
		h.add(o)
	}
	all := h.outcomes()
	if got, want := quantiles(all.times(anyResult)), "p50 500ms, p99 990ms, p99.9 999ms, max 1s"; got != want {
		t.Errorf("quantiles %q, want %q", got, want)
	}
	if got, want := all.breakdown(), "999 OK, 1 ERROR (stream: busy ERROR)"; got != want {
		t.Errorf("breakdown %q, want %q", got, want)
	}
	if all.lost() != 1 || !all.lastLost().Equal(start.Add(1000*time.Second)) || all.slowest() != time.Second {
		t.Errorf("lost %d, the last at %v, slowest %v", all.lost(), all.lastLost().Sub(start), all.slowest())
	}
	if n := len(all.between(start.Add(2*time.Second), start.Add(5*time.Second))); n != 3 {
		t.Errorf("%d between, want 3", n)
	}
	if got := quantiles(nil); got != "none" {
		t.Errorf("quantiles of nothing: %q", got)
	}
}

// TestEngine sends an engine every command that polyclamd sends.
func TestEngine(t *testing.T) {
	e := &engine{loadTime: time.Millisecond}
	path := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go e.serve(ln)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := protocol.Client{Network: "unix", Address: path}
	eicar := string(eicarBegin) + strings.Repeat(".", 100)
	for text, want := range map[string]bool{"": false, "clean": false, eicar: true} {
		file := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		s, err := c.Open(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for range 2 {
			stream, err1 := s.Instream(ctx, strings.NewReader(text))
			handed, err2 := s.Fildes(ctx, f)
			if err1 != nil || err2 != nil || stream.Found() != want || handed.Found() != want {
				t.Errorf("%.20q: %v, %v; %v, %v", text, stream, handed, err1, err2)
			}
		}
	}
	if n := e.checks.Load(); n != 4 {
		t.Errorf("%d scans of EICAR, want 4", n)
	}
	if err := c.Reload(ctx); err != nil {
		t.Fatal(err)
	}
	for e.reloads.Load() == 0 && ctx.Err() == nil {
		if err := c.Ping(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if v, err := c.Version(ctx); !strings.Contains(v, fmt.Sprint(27501)) || err != nil {
		t.Errorf("version %q after a reload, %v", v, err)
	}
	e.gone.Store(true)
	if err := c.Ping(ctx); err == nil || e.refused.Load() != 1 {
		t.Errorf("an engine that is gone answers: %v, %d", err, e.refused.Load())
	}
}
