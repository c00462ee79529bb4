package proxy

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"polyclam/backends"
	"polyclam/protocol"
	"polyclam/proxy/engine"
	"polyclam/proxy/policy"
	"polyclam/test/testkit"
)

// wordEngine answers with the category that an object consists of.
func wordEngine() testEngine {
	return testEngine{name: "words", backend: backends.Func(func(ctx context.Context, o backends.Object) (backends.Result, error) {
		b := make([]byte, o.Size())
		o.ReadAt(b, 0)
		c := backends.Category(b)
		switch {
		case c.IsFailure():
			return backends.Result{}, &backends.Failure{Category: c, Code: 9, Text: "as asked"}
		case c == backends.OK:
			return backends.Clean(0), nil
		}
		return backends.Result{Category: c, Findings: []backends.Finding{{Name: "Test." + string(c), Category: c}}}, nil
	})}
}

// scanned returns the counts of a server by command, category and action.
func (ts *testServer) scanned() map[string]uint64 {
	m := map[string]uint64{}
	for _, c := range ts.Snapshot().Scans {
		m[fmt.Sprintf("%s %s %s", c.Command, c.Category, c.Action)] += c.Count
	}
	return m
}

func (ts *testServer) wantScanned(want map[string]uint64) {
	ts.t.Helper()
	var total uint64
	for _, n := range want {
		total += n
	}
	testkit.Eventually(ts.t, fmt.Sprintf("%d scans are counted", total), func() bool {
		var n uint64
		for _, c := range ts.scanned() {
			n += c
		}
		return n >= total
	})
	if got := ts.scanned(); !maps.Equal(got, want) {
		ts.t.Errorf("counted\n%v, want\n%v", got, want)
	}
}

// TestScanCounts counts scans of every category, with every kind of command.
func TestScanCounts(t *testing.T) {
	ts := newServer(t, nil, wordEngine())
	want := map[string]uint64{}
	for i, c := range backends.Categories() {
		action := policy.Default().Actions[c]
		for range i + 1 {
			ts.ask("zINSTREAM\x00" + stream(string(c), 100))
		}
		ts.ask("zXINSTREAM\x00" + stream(string(c), 100))
		want[fmt.Sprintf("INSTREAM %s %s", c, action)] = uint64(i + 1)
		want[fmt.Sprintf("XINSTREAM %s %s", c, action)] = 1
	}
	ts.wantScanned(want)

	nc := ts.dial()
	fmt.Fprintf(nc, "zIDSESSION\x00zINSTREAM\x00%szINSTREAM\x00%szEND\x00", stream("ok", 9), stream("virus", 9))
	readAll(t, nc)
	want["INSTREAM ok ok"]++
	want["INSTREAM virus quarantine"]++

	dir := t.TempDir()
	for name, content := range map[string]string{"a": "ok", "b": "virus", "c": "ok", "d": "encrypted"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, verb := range []string{"CONTSCAN", "MULTISCAN", "XCONTSCAN"} {
		ts.ask("z" + verb + " " + dir + "\x00")
		want[verb+" ok ok"], want[verb+" virus quarantine"], want[verb+" encrypted ok"] = 2, 1, 1
	}
	ts.ask("zSCAN " + dir + "/a\x00")
	want["SCAN ok ok"] = 1
	ts.wantScanned(want)

	ts.ask("zSCAN " + dir + "/none\x00") // no engine gets it
	ts.ask("zPING\x00")
	ts.wantScanned(want)
	snap := ts.Snapshot()
	if snap.Server.NotScannedPath != 1 {
		t.Errorf("the object that no engine received: %+v", snap.Server.Refusals)
	}
	var timed, total uint64
	for _, times := range snap.Times {
		if times.Listener != ts.cfg.Listeners[0].Address {
			t.Errorf("a listener %q", times.Listener)
		}
		for _, v := range times.Times {
			timed += v.Total()
		}
	}
	for _, n := range want {
		total += n
	}
	if timed != total {
		t.Errorf("%d durations of %d scans", timed, total)
	}
	node := snap.Engines[0].Nodes[0].Counters
	if node.Results.Total() != total || node.Scans != total || node.Kinds.Of(backends.SWErr) != 6 || node.Results.Of(backends.Encrypted) != 3+1+3 {
		t.Errorf("of the node: %+v", node)
	}
}

// TestExpectedCounts wants the counters of outcomes to exist before they occur, with the
// actions of the listener, and each combination in one of the two lists.
func TestExpectedCounts(t *testing.T) {
	ts := newServer(t, func(c *Config) {
		c.Listeners[0].Policy = policy.Default().WithActions(map[backends.Category]policy.Action{backends.Encrypted: policy.Tempfail})
	}, wordEngine())
	want := func(commands ...string) {
		t.Helper()
		combinations := map[string]bool{}
		for _, command := range commands {
			for c, action := range ts.cfg.Listeners[0].Policy.Actions {
				combinations[fmt.Sprintf("%s %s %s", command, c, action)] = true
			}
		}
		snap := ts.Snapshot()
		got := map[string]bool{}
		for _, c := range slices.Concat(snap.Scans, snap.Expected) {
			key := fmt.Sprintf("%s %s %s", c.Command, c.Category, c.Action)
			if got[key] {
				t.Errorf("%s is listed twice", key)
			}
			got[key] = true
		}
		if !maps.Equal(got, combinations) {
			t.Errorf("got %v, want %v", got, combinations)
		}
		for _, c := range snap.Expected {
			if c.Count != 0 {
				t.Errorf("expected, but counted: %+v", c)
			}
		}
	}
	want("INSTREAM")
	ts.ask("zINSTREAM\x00" + stream("encrypted", 9))
	ts.ask("zXINSTREAM\x00" + stream("virus", 9))
	ts.wantScanned(map[string]uint64{"INSTREAM encrypted tempfail": 1, "XINSTREAM virus quarantine": 1})
	want("INSTREAM", "XINSTREAM")
}

// TestReloadKeepsCounts reloads with other engines and listeners, and then with those of
// before.
func TestReloadKeepsCounts(t *testing.T) {
	ts := newServer(t, nil, wordEngine())
	ts.ask("zINSTREAM\x00" + stream("virus", 9))
	want := map[string]uint64{"INSTREAM virus quarantine": 1}
	ts.wantScanned(want)
	asked := func() engine.Counters { return ts.Snapshot().Engines[0].Nodes[0].Counters }
	before := asked()
	if before.Scans != 1 {
		t.Fatalf("before: %+v", before)
	}

	address := ts.cfg.Listeners[0].Address
	ts.Apply(testConfig(address, []testEngine{wordEngine()})) // another node with the same address
	if got := asked(); got != before {
		t.Errorf("another node has\n%+v, want\n%+v", got, before)
	}
	ts.Apply(testConfig("unix:/other", []testEngine{{name: "other", backend: eicarEngine()}}))
	if got := asked(); got.Scans != 0 {
		t.Errorf("another engine has %+v", got)
	}
	ts.wantScanned(want)
	ts.Apply(testConfig(address, []testEngine{wordEngine()})) // a replaced engine
	if got := asked(); got != before {
		t.Errorf("the engine that is back has\n%+v, want\n%+v", got, before)
	}
	ts.ask("zINSTREAM\x00" + stream("virus", 9))
	want["INSTREAM virus quarantine"] = 2
	ts.wantScanned(want)
	if got := asked(); got.Scans != 2 || got.Results.Of(backends.Virus) != 2 {
		t.Errorf("after one more scan: %+v", got)
	}
}

// TestCountsAreBounded reloads with ever new names.
func TestCountsAreBounded(t *testing.T) {
	ts := newServer(t, nil, wordEngine())
	address := ts.cfg.Listeners[0].Address
	for i := range 1000 {
		cfg := testConfig(address, []testEngine{{name: fmt.Sprintf("engine%d", i), backend: eicarEngine()}})
		other := cfg.Listeners[0]
		other.Address = fmt.Sprintf("unix:/listener%d", i)
		cfg.Listeners = append(cfg.Listeners, other)
		ts.Apply(cfg)
	}
	snap := ts.Snapshot()
	if len(snap.Times) != 2+removedListeners || len(snap.Engines) != 1 {
		t.Errorf("%d listeners and %d engines are listed", len(snap.Times), len(snap.Engines))
	}
	var names []string
	for _, times := range snap.Times {
		names = append(names, times.Listener)
	}
	for _, want := range []string{address, "unix:/listener999", "unix:/listener983"} {
		if !slices.Contains(names, want) {
			t.Errorf("no counters of %s: %v", want, names)
		}
	}
}

func TestSnapshot(t *testing.T) {
	ts := newServer(t, nil, wordEngine())
	for len(ts.Snapshot().Scans) == 0 {
		ts.ask("zINSTREAM\x00" + stream("ok", 9))
	}
	nc := ts.dial()
	fmt.Fprint(nc, "zIDSESSION\x00zPING\x00")
	readRecord(t, nc, 0)
	testkit.Eventually(t, "one connection is served", func() bool {
		return ts.Snapshot().Connections == Connections{Served: 1, Limit: 100, HandshakesLimit: 20}
	})
	snap := ts.Snapshot()
	p := snap.Process
	if p.Goroutines < 2 || p.Threads < 1 || p.Descriptors < 3 || p.DescriptorLimit < 3 || p.Memory < 1<<20 || p.GoMemory < 1<<16 {
		t.Errorf("process: %+v", p)
	}
	if snap.Server.Version != "test" || snap.Server.Requests < 2 || snap.Configured.Before(snap.Started.Add(-time.Second)) || snap.Time.Before(snap.Configured) {
		t.Errorf("got %+v", snap)
	}
	if snap.Spool.Total != 64<<20 || snap.Files.Limit == 0 || snap.Hashing.Limit == 0 || snap.Engines[0].Slots != 10 {
		t.Errorf("limits: %+v", snap)
	}
	if text, err := json.Marshal(snap.Engines); err != nil || !strings.Contains(string(text), `"results":{"ok":`) {
		t.Errorf("%s, %v", text, err)
	}
}

func TestLogLinesLost(t *testing.T) {
	s := NewServer(ServerOptions{Config: testConfig("unix:/x", nil), Spool: newServer(t, nil).spool, Log: zerolog.Nop(), LogLinesLost: func() uint64 { return 7 }})
	defer s.Shutdown(t.Context())
	if n := s.Snapshot().LogLinesLost; n != 7 {
		t.Errorf("%d lines lost, want 7", n)
	}
}

// BenchmarkCount measures what counting adds to a scan.
func BenchmarkCount(b *testing.B) {
	var cs counters
	cs.apply(testConfig("unix:/x", nil), time.Now())
	v := policy.Verdict{Category: backends.OK, Action: policy.OK}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			cs.of("unix:/x").add(protocol.VerbInstream, v, 10<<10, 3*time.Millisecond)
		}
	})
}
