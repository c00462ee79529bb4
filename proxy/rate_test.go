package proxy

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"polyclam/backends/testfile"
	"polyclam/proxy/rates"
	"polyclam/proxy/status"
	"polyclam/test/testkit"
)

// never is so low a rate that what is beyond the burst is refused.
const never = 1e-6

func limited(burst int) func(*Config) {
	return func(c *Config) { c.Listeners[0].Rate = rates.Rate{PerSecond: never, Burst: burst} }
}

// TestRateRefusals checks the reply to each command beyond the rate, that it is counted, and
// that it is logged once.
func TestRateRefusals(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, testfile.EICAR(), 0o600); err != nil {
		t.Fatal(err)
	}
	large := stream(strings.Repeat("x", 900<<10), 10000)
	for _, tt := range []struct{ name, send, want string }{
		{"stream", "zINSTREAM\x00" + stream("x", 1), "stream: Too many scans ERROR\x00"},
		{"large stream", "zINSTREAM\x00" + large, "stream: Too many scans ERROR\x00"},
		{"extended", "nXINSTREAM\n" + stream("x", 1), "stream: Too many scans ERROR\nEND\n"},
		{"path", "zSCAN " + file + "\x00", file + ": Too many scans ERROR\x00"},
		{"extended path", "nXSCAN " + file + "\n", file + ": Too many scans ERROR\nEND\n"},
		{"directory", "zCONTSCAN " + filepath.Dir(file) + "\x00", filepath.Dir(file) + ": Too many scans ERROR\x00"},
		{"parallel", "zMULTISCAN " + filepath.Dir(file) + "\x00", filepath.Dir(file) + ": Too many scans ERROR\x00"},
		{"missing file", "zSCAN " + file + "x\x00", file + "x: File path check failure: No such file or directory. ERROR\x00"},
		{"ping", "zPING\x00", "PONG\x00"},
		{"session", "nIDSESSION\nnINSTREAM\n" + stream("x", 1) + "nPING\nnINSTREAM\n" + large + "nSCAN " + file + "\nnPING\nnEND\n", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ts := newServer(t, limited(1), eicarOnly())
			if got := ts.ask("zINSTREAM\x00" + stream("x", 1)); got != "stream: OK\x00" {
				t.Fatalf("the first scan: %q", got)
			}
			got := ts.ask(tt.send)
			if tt.name == "session" {
				for _, want := range []string{"1: stream: Too many scans ERROR\n", "2: PONG\n", "3: stream: Too many scans ERROR\n", "4: " + file + ": Too many scans ERROR\n", "5: PONG\n"} {
					if !strings.Contains(got, want) {
						t.Errorf("%q is missing in %q", want, got)
					}
				}
				return
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			refused := int64(strings.Count(tt.want, tooManyScans))
			if n := ts.server().NotScannedRate; n != refused {
				t.Errorf("%d counted, want %d", n, refused)
			}
			if got := ts.ask(tt.send); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			lines := ts.logLines("not scanned")
			lines = slices.DeleteFunc(lines, func(l map[string]any) bool { return l["reason"] != "too many scans" })
			if len(lines) != int(refused) {
				t.Fatalf("%d lines: %v", len(lines), lines)
			}
			for _, l := range lines {
				if text, _ := l["error"].(string); l["level"] != "warn" || !strings.Contains(text, "(keys scans_per_second and burst)") {
					t.Errorf("got %v", l)
				}
			}
		})
	}
}

// TestRateDescriptor checks that a descriptor beyond the rate is closed.
func TestRateDescriptor(t *testing.T) {
	ts := newServer(t, limited(1), eicarOnly())
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	file := filepath.Join(t.TempDir(), "f")
	os.WriteFile(file, []byte("x"), 0o600)
	ts.ask("zSCAN " + file + "\x00")
	before := timesOpen(t, os.DevNull)
	for range 20 {
		if got := ts.fildes(int(f.Fd())); !strings.HasSuffix(got, "Too many scans ERROR\x00") {
			t.Fatalf("got %q", got)
		}
	}
	testkit.Eventually(t, "the descriptors are closed", func() bool { return timesOpen(t, os.DevNull) <= before })
}

// timesOpen counts the descriptors of a file in this process.
func timesOpen(t *testing.T, path string) (n int) {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip(err)
	}
	for _, e := range entries {
		if target, _ := os.Readlink("/proc/self/fd/" + e.Name()); target == path {
			n++
		}
	}
	return n
}

// TestRateStyles checks that a refusal follows the profile: no client may take it for clean.
func TestRateStyles(t *testing.T) {
	for _, tt := range []struct {
		style status.ErrorStyle
		want  string
	}{
		{status.StyleError, "stream: Too many scans ERROR\x00"},
		{status.StyleClose, ""},
		{status.StyleLimits, "stream: Heuristics.Limits.Exceeded.ScanFailed FOUND\x00"},
		{status.StyleFound, "stream: Heuristics.Scan.Failed FOUND\x00"},
	} {
		ts := newServer(t, func(c *Config) {
			limited(1)(c)
			c.Listeners[0].Profile.ErrorStyle = tt.style
		}, eicarOnly())
		ts.ask("zINSTREAM\x00" + stream("x", 1))
		if got := ts.ask("zINSTREAM\x00" + stream("x", 1)); got != tt.want {
			t.Errorf("%s: got %q", tt.style, got)
		}
	}
}

// TestRateWaits checks that scans slightly beyond the rate are scanned, and that each file of
// a directory takes its turn.
func TestRateWaits(t *testing.T) {
	dir := t.TempDir()
	for i := range 30 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ts := newServer(t, func(c *Config) { c.Listeners[0].Rate = rates.Rate{PerSecond: 200, Burst: 1} }, eicarOnly())
	start := time.Now()
	for range 10 {
		if got := ts.ask("zINSTREAM\x00" + stream("x", 1)); got != "stream: OK\x00" {
			t.Errorf("got %q", got)
		}
	}
	for _, verb := range []string{"SCAN", "CONTSCAN", "MULTISCAN"} {
		if got := ts.ask("z" + verb + " " + dir + "\x00"); got != dir+": OK\x00" {
			t.Errorf("%s: got %q", verb, got)
		}
	}
	if least := 99 * time.Second / 200; time.Since(start) < least {
		t.Errorf("100 scans in %v, want at least %v", time.Since(start), least)
	}
}

// TestRateWalkEnds checks that a walk that would wait too long says so once, and does not
// answer for each file.
func TestRateWalkEnds(t *testing.T) {
	dir := t.TempDir()
	for i := range 50 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), testfile.EICAR(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ts := newServer(t, limited(5), eicarOnly())
	for _, verb := range []string{"CONTSCAN", "MULTISCAN"} {
		got := ts.ask("z" + verb + " " + dir + "\x00")
		if n := strings.Count(got, tooManyFiles); n != 1 {
			t.Errorf("%s: %d lines about the rate in %q", verb, n, got)
		}
	}
	testkit.Eventually(t, "five files were scanned", func() bool { return len(ts.logLines("scanned")) == 5 })
}

// TestRateClientGone checks that a client that hangs up while its scan waits for its turn is
// noticed, and does not use up its turn.
func TestRateClientGone(t *testing.T) {
	defer func(d time.Duration) { maxTicketWait = d }(maxTicketWait)
	maxTicketWait = 10 * patience
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "f"), []byte("x"), 0o600)
	for _, send := range []string{
		"zINSTREAM\x00",
		"zINSTREAM\x00\x00\x00\x00\x01", // the stream has begun
		"zIDSESSION\x00zINSTREAM\x00",
		"zCONTSCAN " + dir + "\x00",
		"zSCAN " + filepath.Join(dir, "f") + "\x00",
	} {
		ts := newServer(t, func(c *Config) {
			c.Listeners[0].Profile.AnswerWithin = 200 * patience
			c.Listeners[0].Rate = rates.Rate{PerSecond: 1 / (5 * patience.Seconds()), Burst: 1}
		}, eicarOnly())
		ts.ask("zINSTREAM\x00" + stream("x", 1))
		nc := ts.dial()
		io.WriteString(nc, send)
		testkit.Eventually(t, "the scan waits", func() bool { return ts.requests.Load() >= 2 })
		nc.Close()
		testkit.Eventually(t, "the client is noticed", func() bool { return idleSessions(0)(ts) })
		line := ts.logLine("not scanned")
		if reason, _ := line["reason"].(string); !strings.HasPrefix(reason, "client gone") && !strings.HasPrefix(reason, "the client was gone") {
			t.Errorf("%q: %v", send, line)
		}
		if n := ts.tally.refusals(); n.NotScannedRate != 0 || n.NotScannedGone != 1 {
			t.Errorf("%q: counted %+v", send, n)
		}
	}
}

// TestRateOfEachClient checks that clients do not share a rate, and listeners do not either.
func TestRateOfEachClient(t *testing.T) {
	ts := newServer(t, limited(2), eicarOnly())
	address := ts.serveTCP("127.0.0.1:0").String()
	scan := func(nc net.Conn) string {
		defer nc.Close()
		io.WriteString(nc, "zINSTREAM\x00"+stream("x", 1))
		return readAll(t, nc)
	}
	for range 2 {
		tcp, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		for _, nc := range []net.Conn{ts.dial(), tcp} {
			if got := scan(nc); got != "stream: OK\x00" {
				t.Errorf("%v: %q", nc.RemoteAddr(), got)
			}
		}
	}
	if got := scan(ts.dial()); got == "stream: OK\x00" {
		t.Error("a third scan")
	}
}

// TestRateReload checks that a reload changes the rate and keeps what clients have left.
func TestRateReload(t *testing.T) {
	ts := newServer(t, limited(3), eicarOnly())
	ask := func() string { return ts.ask("zINSTREAM\x00" + stream("x", 1)) }
	ask()
	ask()
	set := func(r rates.Rate) {
		cfg := *ts.cfg
		cfg.Listeners = slices.Clone(cfg.Listeners)
		cfg.Listeners[0].Rate = r
		ts.Apply(&cfg)
	}
	set(rates.Rate{PerSecond: 2 * never, Burst: 3})
	if first, second := ask(), ask(); first != "stream: OK\x00" || second == "stream: OK\x00" {
		t.Errorf("after a reload: %q, %q; one scan is left", first, second)
	}
	set(rates.Rate{})
	if got := ask(); got != "stream: OK\x00" {
		t.Errorf("without a rate: %q", got)
	}
	if ts.rates.Of("unix:"+ts.addr) != nil {
		t.Error("the limiter is kept")
	}
}
