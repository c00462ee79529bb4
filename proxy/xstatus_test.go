package proxy

import (
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/protocol/extended"
	"polyclam/proxy/engine"
)

// TestNodeRecord checks the bytes of NODE records.
func TestNodeRecord(t *testing.T) {
	at := time.Date(2026, 11, 23, 9, 0, 0, 0, time.FixedZone("CET", 3600))
	s := engine.Status{
		Name: "clamav", Kind: "clamd", Required: true, Waiting: 2, Withheld: 3,
		Counters: engine.Counters{Scans: 90, Failures: 80, Replays: 70, Hedges: 6, HedgesWon: 5},
	}
	n := engine.NodeStatus{
		Address: "tcp:10.0.0.2:3310", State: "down", Reason: "connection \x1b[31mrefused", InFlight: 1, Limit: 4,
		Version: "ClamAV 1.4.6/27500", DatabaseTime: at,
		Canary:   engine.Canary{Time: at.Add(time.Hour), Clean: backends.OK, EICAR: backends.Virus, Name: "Eicar", Encrypted: backends.Encrypted, Mail: backends.OK, Error: "late"},
		Counters: engine.Counters{Scans: 9, Failures: 8, Replays: 7}, HeuristicsFirst: true, MailUnread: true, Scanned: 100, UnscannedAbove: 200,
	}
	for _, tt := range []struct {
		name   string
		engine engine.Status
		node   engine.NodeStatus
		want   string
	}{
		{"all fields", s, n, `status: engine=clamav backend=clamd required=true address="tcp:10.0.0.2:3310" state=down reason="connection \x1b[31mrefused" ` +
			`in_flight=1 limit=4 waiting=2 withheld=3 scans=9 failures=8 replays=7 hedges=6 hedges_won=5 version="ClamAV 1.4.6/27500" ` +
			`database_time="2026-11-23T08:00:00Z" canary_time="2026-11-23T09:00:00Z" canary_clean=ok canary_eicar=virus canary_name=Eicar ` +
			`canary_encrypted=encrypted canary_mail=ok canary_error=late heuristics_first=true mail_unread=true scanned=100 unscanned_above=200 NODE`},
		{"nothing out of the ordinary", engine.Status{Name: "a", Kind: "b"}, engine.NodeStatus{State: "up"},
			`status: engine=a backend=b required=false state=up in_flight=0 waiting=0 scans=0 failures=0 replays=0 hedges=0 hedges_won=0 NODE`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := NodeOf(tt.engine, tt.node, time.Now()).Record().String(); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

// TestServerRecord checks the bytes of the reply to XSTATUS.
func TestServerRecord(t *testing.T) {
	ts := newServer(t, nil, testEngine{name: "a", backend: reporting(backends.OK)})
	want := regexp.MustCompile(`^status: version=\S+ uptime=\d+ connections=\d scans=0 requests=1 spool_used=0 spool_total=\d+ SERVER
status: engine=a backend=\S+ required=true .*state=\S+ .*NODE
END
$`)
	if got := ts.ask("nXSTATUS\n"); !want.MatchString(got) {
		t.Errorf("got\n%s", got)
	}
}

// TestServerRecordAbout checks that the record has what the program says about itself, and
// that its values are bounded.
func TestServerRecordAbout(t *testing.T) {
	ts := newServer(t, nil, testEngine{name: "a", backend: reporting(backends.OK)})
	want := extended.About{Config: "/etc/c.toml", ConfigTime: time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC), User: "polyclam", UID: 104, GIDs: "104,105"}
	long := want
	long.ConfigProblem = "/etc/c.toml:3: \x1b" + strings.Repeat("x", 1000)
	want.ConfigProblem = long.ConfigProblem[:maxValue-3] + "..."
	ts.SetAbout(long)
	line, _, _ := strings.Cut(ts.ask("nXSTATUS\n"), "\n")
	r, err := extended.Parse(line)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Server().About; got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// TestServerRecordOverTCP checks that a client on TCP hears nothing about files, users and
// memory.
func TestServerRecordOverTCP(t *testing.T) {
	ts := newServer(t, nil, testEngine{name: "a", backend: reporting(backends.OK)})
	at := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	ts.SetAbout(extended.About{
		Config: "/etc/c.toml", ConfigTime: at, ConfigRefused: at, ConfigProblem: "/etc/c.toml:3: x",
		User: "polyclam", UID: 104, Groups: "polyclam", GIDs: "104", MemoryNeeded: 3, MemoryLimit: 2, MemoryLimitFrom: "/sys",
	})
	nc, err := net.Dial("tcp", ts.serveTCP("127.0.0.1:0").String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if _, err := io.WriteString(nc, "nXSTATUS\n"); err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(readAll(t, nc), "\n")
	r, err := extended.Parse(line)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := r.Server().About, (extended.About{ConfigRefused: at}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
