package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/protocol"
	"polyclam/proxy/ops/judge"
	"polyclam/test/testkit"
)

// statusServer starts a server that supports only XSTATUS.
func statusServer(t *testing.T, reply string) string {
	unix, _ := play(t, func(verb protocol.Verb, _ []byte) []byte {
		if verb != protocol.VerbXStatus {
			return []byte("UNKNOWN COMMAND\x00")
		}
		return []byte(reply)
	})
	return unix
}

const serverRecord = "status: version=1.2.3 uptime=90061 connections=12 scans=1 requests=4711 spool_used=1310720 spool_total=2147483648 mood=good SERVER\x00"

func ago(d time.Duration) string { return time.Now().Add(-d).UTC().Format(time.RFC3339) }

func TestStatusText(t *testing.T) {
	const day = 24 * time.Hour
	address := statusServer(t, serverRecord+
		fmt.Sprintf("status: engine=clamav backend=clamd required=true address=\"unix:/run/clamav/clamd.ctl\" state=up in_flight=1 limit=5 waiting=0 withheld=1 scans=4000 failures=2 replays=1 version=\"ClamAV 1.4.6/27500\" database_time=%q canary_time=%q canary_clean=ok canary_eicar=virus canary_name=Eicar canary_encrypted=ok heuristics_first=true mail_unread=true scanned=104857600 unscanned_above=26214400 NODE\x00", ago(3*day+time.Hour), ago(2*time.Minute+30*time.Second))+
		fmt.Sprintf("status: engine=clamav backend=clamd required=true address=\"tcp:10.0.0.2:3310\" state=down reason=\"connection \\x1b[31mrefused\" scans=0 failures=7 canary_time=%q canary_eicar=cannot-execute canary_error=\"connection refused\" NODE\x00", ago(time.Hour+time.Minute))+
		"status: engine=inspect backend=inspect required=false state=unknown scans=1 failures=0 NODE\x00END\x00")
	r := polyclam(t, "", "--address", address, "status")
	r.wantStatus(t, exitFound)
	if got, want := strings.ReplaceAll(r.stdout, address, "SERVER"), `polyclamd is up; 1 of 2 nodes of clamav is down; inspect is not yet checked

polyclamd 1.2.3 at SERVER, up 1 day
12 connections, 4711 requests, 1 scan in progress, spool 1.2 MiB of 2 GiB

ENGINE   BACKEND  NODE                        STATE              SCANS  FAILED  SIGNATURES  CANARY     EICAR           ENCRYPTED  VERSION
clamav   clamd    unix:/run/clamav/clamd.ctl  up                 4000   2       3 days      2 minutes  virus           ok         ClamAV 1.4.6/27500
clamav   clamd    tcp:10.0.0.2:3310           down               0      7       -           1 hour     cannot-execute  -          -
inspect  inspect  -                           unknown, optional  1      0       -           -          -               -          -
clamav unix:/run/clamav/clamd.ctl: it stops at the first heuristic match: set HeuristicScanPrecedence no in clamd.conf; until then its encrypted and limits findings count as suspicious
clamav unix:/run/clamav/clamd.ctl: it does not look into mails: set ScanMail yes in clamd.conf, unless your mail filter unpacks mails itself
clamav unix:/run/clamav/clamd.ctl: it reports OK for objects larger than 25 MiB without scanning them; polyclam check shows what to change
clamav unix:/run/clamav/clamd.ctl: it is overloaded and limited to 5 scans at a time until it recovers
clamav unix:/run/clamav/clamd.ctl: it died or hung three times on 1 object, and does not get them for a while (poison_time)
clamav tcp:10.0.0.2:3310 is down: connection \x1b[31mrefused
`; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestStatusJSON(t *testing.T) {
	address := statusServer(t, serverRecord+
		"status: engine=clamav backend=clamd required=true address=\"unix:/x\" state=up in_flight=1 limit=6 waiting=2 withheld=7 scans=3 failures=4 replays=5 version=v database_time=\"2026-11-20T08:00:00Z\" canary_time=\"2026-11-23T08:00:00Z\" canary_eicar=virus canary_name=Eicar canary_encrypted=ok NODE\x00"+
		"status: engine=x required=false scans=many database_time=yesterday state=up NODE\x00END\x00")
	r := polyclam(t, "", "--address", address, "status", "--json")
	r.wantStatus(t, exitOK)
	if got, want := strings.ReplaceAll(r.stdout, address, "SERVER"), `{"state":"ok","exit":0,"sentence":"everything is usable","address":"SERVER","version":"1.2.3","uptime":90061,"connections":12,"scans":1,"requests":4711,"spool_used":1310720,"spool_total":2147483648,"nodes":[`+
		`{"engine":"clamav","backend":"clamd","required":true,"address":"unix:/x","state":"up","in_flight":1,"limit":6,"waiting":2,"withheld":7,"scans":3,"failures":4,"replays":5,"version":"v","database_time":"2026-11-20T08:00:00Z","canary_time":"2026-11-23T08:00:00Z","canary_eicar":"virus","canary_name":"Eicar","canary_encrypted":"ok"},`+
		`{"engine":"x","backend":"","required":false,"state":"up","in_flight":0,"waiting":0,"scans":0,"failures":0,"replays":0}]}
`; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestStatusCondition(t *testing.T) {
	node := func(fields string) string { return "status: backend=b " + fields + " NODE\x00" }
	const good, old = "state=up canary_eicar=virus", "state=up canary_eicar=virus stale=true database_time="
	for _, c := range []struct {
		name, reply string
		want        int
		sentence    string
	}{
		{"up", node("engine=x " + good), 0, "everything is usable"},
		{"suspicious", node("engine=x state=up canary_eicar=suspicious"), 0, "everything is usable"},
		{"loads", node("engine=x state=reloading canary_eicar=virus"), 0, "polyclamd is up; x is loading its signatures"},
		{"one of two loads", node("engine=x state=reloading canary_eicar=virus") + node("engine=x "+good), 0, "everything is usable"},
		{"not yet checked", node("engine=x state=unknown"), 0, "polyclamd is up; x is not yet checked"},
		{"one of two is down", node("engine=x "+good) + node("engine=x address=tcp state=down"), 1, "polyclamd is up; 1 of 2 nodes of x is down"},
		{"two of three are down", node("engine=x "+good) + node("engine=x state=down") + node("engine=x state=down"), 1, "polyclamd is up; 2 of 3 nodes of x are down"},
		{"optional engine", node("engine=x "+good) + node("engine=y required=false state=down reason=gone"), 1, "polyclamd is up; y (optional) is down: gone"},
		{"old signatures", node("engine=x "+old+"\""+ago(1061*24*time.Hour)+"\"") + node("engine=y "+good), 1, "polyclamd is up; the signatures of x are 1061 days old"},
		{"old signatures at one node", node("engine=x "+good) + node("engine=x address=b "+old+"\""+ago(9*24*time.Hour)+"\""), 1, "polyclamd is up; the signatures of x at b are 9 days old"},
		{"brief, old signatures", node("engine=x state=up canary_eicar=virus stale=true") + node("engine=y "+good), 1, "polyclamd is up; the signatures of x are older than max_signature_age"},
		{"brief, old signatures at one node", node("engine=x state=up canary_eicar=virus stale=true") + node("engine=x "+good), 1, "polyclamd is up; the signatures of x are older than max_signature_age"},
		{"brief, no node works", node("engine=x state=down") + node("engine=x state=blind"), 2, "every scan is answered with ERROR: none of the 2 nodes of x (required) is usable: is down"},
		{"required engine", node("engine=x "+good) + node("engine=y state=down reason=gone"), 2, "every scan is answered with ERROR: y (required) is down: gone"},
		{"all nodes of one", node("engine=x address=a state=down reason=gone") + node("engine=x address=b state=down"), 2, "every scan is answered with ERROR: none of the 2 nodes of x (required) is usable: a is down: gone"},
		{"two engines", node("engine=x state=down reason=gone") + node("engine=y state=down reason=hung"), 2, "every scan is answered with ERROR: x (required) is down: gone; y (required) is down: hung"},
		{"all optional", node("engine=x required=false state=down reason=gone"), 2, "every scan is answered with ERROR: no engine is usable; x (optional) is down: gone"},
		{"required and optional", node("engine=x state=down") + node("engine=y required=false state=down reason=gone"), 2, "every scan is answered with ERROR: x (required) is down; y (optional) is down: gone"},
		{"connection", node("engine=x address=\"unix:/x\" state=down reason=\"cannot connect: the socket does not exist. Is the engine running?\""), 2, "every scan is answered with ERROR: x (required) at unix:/x is down: the socket does not exist"},
		{"no reason, as of a node never used", node("engine=x address=\"unix:/x\" state=down canary_error=\"b unix:/x: cannot connect: no 1.5. Is it?\""), 2, "every scan is answered with ERROR: x (required) at unix:/x is down: no 1.5"},
		{"blind", node("engine=x state=up canary_eicar=ok"), 2, "every scan is answered with ERROR: x (required) does not find the test file"},
		{"no state", node("engine=x required=true"), 2, "every scan is answered with ERROR: x (required) has no state"},
		{"drained", node("engine=x drained=true " + good), 2, "every scan is answered with ERROR: x (required) is drained by an administrator (polyclam node resume x)"},
		{"all drained", node("engine=x address=a drained=true "+good) + node("engine=x address=b drained=true "+good), 2, "every scan is answered with ERROR: none of the 2 nodes of x (required) is usable: a is drained by an administrator (polyclam node resume x)"},
		{"drained and down", node("engine=x address=a drained=true "+good) + node("engine=x address=b state=down") + node("engine=x "+good), 1, "polyclamd is up; 2 of 3 nodes of x are down or drained"},
		{"optional engine drained", node("engine=x "+good) + node("engine=y required=false drained=true "+good), 1, "polyclamd is up; y (optional) is drained by an administrator (polyclam node resume y)"},
		{"off in the configuration", node("engine=x "+good) + node("engine=y mode=off state=down reason=gone"), 0, "everything is usable"},
		{"off by a command", node("engine=x "+good) + node("engine=y mode=off configured_mode=on "+good), 1, "polyclamd is up; y (required) is off, not as in the configuration (polyclam engine on y)"},
		{"optional engine off by a command", node("engine=x "+good) + node("engine=y required=false mode=off configured_mode=observe "+good), 0, "polyclamd is up; y (optional) is off, not as in the configuration (polyclam engine observe y)"},
		{"observed by a command", node("engine=x "+good) + node("engine=y mode=observe configured_mode=on "+good), 1, "polyclamd is up; y (required) is only observed, not as in the configuration (polyclam engine on y)"},
		{"observed and down", node("engine=x "+good) + node("engine=y mode=observe state=down reason=gone"), 0, "polyclamd is up; y (observed) is down: gone"},
		{"none on", node("engine=x mode=off configured_mode=on " + good), 2, "every scan is answered with ERROR: no engine is on (polyclam engine on NAME); x (required) is off, not as in the configuration (polyclam engine on x)"},
		{"only an optional one is on", node("engine=x mode=off "+good) + node("engine=y required=false state=down reason=gone"), 2, "every scan is answered with ERROR: no engine is usable; y (optional) is down: gone"},
		{"suspended", node("engine=x state=down reason=old " + `stale=true database_time="` + ago(9*24*time.Hour) + `"`), 2, "every scan is answered with ERROR: x (required) is down: old"},
		{"hostile", node("engine=x state=down reason=\"\\x1b[31m\\x0aok\""), 2, `every scan is answered with ERROR: x (required) is down: \x1b[31m\nok`},
	} {
		t.Run(c.name, func(t *testing.T) {
			address := statusServer(t, serverRecord+c.reply+"END\x00")
			r := polyclam(t, "", "--address", address, "status")
			r.wantStatus(t, c.want)
			if first, _, _ := strings.Cut(r.stdout, "\n"); first != c.sentence {
				t.Errorf("got  %s\nwant %s", first, c.sentence)
			}
			wantParts(t, r.stderr)
			var st serverStatus
			r = polyclam(t, "", "--address", address, "status", "--json")
			r.wantStatus(t, c.want)
			if err := json.Unmarshal([]byte(r.stdout), &st); err != nil || st.Exit != c.want || st.State != []string{judge.OK, judge.Degraded, judge.Failing}[c.want] || printable(st.Sentence) != c.sentence {
				t.Errorf("the JSON is %+v, %v", st.condition, err)
			}
			ready := map[int]int{0: 0, 1: 0, 2: 2}[c.want]
			polyclam(t, "", "--address", address, "status", "--ready").wantStatus(t, ready)
		})
	}
}

// TestStatusUnreachable has servers that are no polyclamd.
func TestStatusUnreachable(t *testing.T) {
	for _, c := range []struct{ name, reply, want string }{
		{"no end", serverRecord + "status: engine=x state=up NODE\x00", "no polyclamd answers: SERVER: closed in the middle of a reply: no END"},
		{"clamd", "UNKNOWN COMMAND\x00", "no polyclamd answers: SERVER: it does not support XSTATUS; a plain clamd has no engines to show"},
		{"silence", "", "no polyclamd answers: SERVER: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			address := statusServer(t, c.reply)
			r := polyclam(t, "", "--address", address, "status")
			r.wantStatus(t, exitFailed)
			if text := strings.ReplaceAll(r.stdout, address, "SERVER"); !strings.HasPrefix(text, c.want) || strings.Count(text, "\n") != 1 {
				t.Errorf("got\n%s\nwant\n%s", text, c.want)
			}
			wantParts(t, r.stderr)
			r = polyclam(t, "", "--address", address, "status", "--json")
			r.wantStatus(t, exitFailed)
			wantParts(t, r.stdout, `{"state":"failing","exit":2,"sentence":"no polyclamd answers: `, `"nodes":[]}`)
		})
	}
}

// TestStatusOlderSignatures has two nodes of one engine, and one of them has older signatures.
func TestStatusOlderSignatures(t *testing.T) {
	address := statusServer(t, serverRecord+
		"status: engine=x address=new state=up canary_eicar=virus NODE\x00"+
		"status: engine=x address=old state=up canary_eicar=virus older_than=new older_by=180000 NODE\x00END\x00")
	r := polyclam(t, "", "--address", address, "status")
	r.wantStatus(t, exitOK)
	wantParts(t, r.stdout, "everything is usable\n", "\nx old: its signatures are 2 days older than those of new\n")
	if n := strings.Count(r.stdout, "older"); n != 1 {
		t.Errorf("%d nodes have older signatures, want 1\n%s", n, r.stdout)
	}
}

// TestStatusNames has an engine with two names: one that two nodes have, and one that does not
// resolve.
func TestStatusNames(t *testing.T) {
	const name = " name=\"dns:a:1\" name_age=12 name_next=8 "
	address := statusServer(t, serverRecord+
		"status: engine=x address=tcp:10.0.0.1:1"+name+"state=up canary_eicar=virus NODE\x00"+
		"status: engine=x address=tcp:10.0.0.2:1"+name+"state=up canary_eicar=virus NODE\x00"+
		"status: engine=x address=\"srv:b\" name=\"srv:b\" name_next=1 name_failures=4 name_reason=\"no such\\x1bname\" state=down reason=gone NODE\x00END\x00")
	r := polyclam(t, "", "--address", address, "status")
	wantParts(t, r.stdout, "\nx dns:a:1: 2 nodes, last answered 12 seconds ago, next lookup in 8 seconds\n",
		"\nx srv:b: 0 nodes, never answered, next lookup in 1 second, 4 lookups failed since the start: no such\\x1bname\n")
	if n := strings.Count(r.stdout, "last answered"); n != 1 {
		t.Errorf("the name is shown %d times\n%s", n, r.stdout)
	}
}

// TestStatusSteered has engines in every mode, and a drained node.
func TestStatusSteered(t *testing.T) {
	address := statusServer(t, serverRecord+
		"status: engine=x address=a state=up drained=true canary_eicar=virus NODE\x00"+
		"status: engine=x address=b state=up canary_eicar=virus NODE\x00"+
		"status: engine=trial mode=observe observed_same=12 observed_differ=1 state=up canary_eicar=virus NODE\x00"+
		"status: engine=gone mode=off configured_mode=on state=down reason=refused NODE\x00"+
		"status: engine=back configured_mode=observe required=false state=up canary_eicar=virus NODE\x00END\x00")
	r := polyclam(t, "", "--address", address, "status")
	r.wantStatus(t, exitFound)
	wantParts(t, r.stdout,
		"polyclamd is up; 1 of 2 nodes of x is drained; gone (required) is off, not as in the configuration (polyclam engine on gone)\n",
		"  up, drained  ", "  up, observed  ", "  down, off  ", "  up, optional  ",
		"\nx a is drained by an administrator (polyclam node resume x)\n",
		"\ntrial is observed: its results do not count. They would have changed 1 of 13 verdicts; it did not get 0 objects\n",
		"\ngone is off: it gets no objects; the configuration says on, which will be in use after a restart\n",
		"\nback is on; the configuration says observe, which will be in use after a restart\n")
}

// TestStatusOfServer asks a real server, with a good engine and a blind one.
func TestStatusOfServer(t *testing.T) {
	good, blind := marked(), reports("blind", backends.Clean(0))
	good.canary, blind.canary = true, true
	good.address = "unix:/run/engine"
	s := serve(t, nil, good, blind)
	var st serverStatus
	testkit.Eventually(t, "both health checks", func() bool {
		r := polyclam(t, "", "--address", s.tcp, "status", "--json")
		st = serverStatus{}
		if err := json.Unmarshal([]byte(r.stdout), &st); err != nil {
			t.Fatalf("%v in %q\n%s", err, r.stdout, r.stderr)
		}
		return len(st.Nodes) == 2 && st.Nodes[0].CanaryEncrypted != "" && st.Nodes[1].CanaryEICAR != ""
	})
	if st.Version != "1.2.3" || st.Address != s.tcp || st.SpoolTotal != 1<<30 || st.Connections < 1 {
		t.Errorf("the server is %+v", st)
	}
	n := st.Nodes[0]
	if n.Engine != "marked" || n.Backend != "fake" || n.Address != "unix:/run/engine" || n.State != "up" || n.CanaryEICAR != string(backends.Virus) || n.CanaryTime.IsZero() {
		t.Errorf("the first node is %+v", n)
	}
	if n := st.Nodes[1]; n.State != "down" || n.CanaryEICAR != string(backends.OK) || n.Reason == "" {
		t.Errorf("the blind node is %+v", n)
	}
	r := polyclam(t, "", "--address", s.unix, "status")
	r.wantStatus(t, exitFailed)
	wantParts(t, r.stdout, "\nmarked  ", "\nblind   ", "\nblind is down: ")
}

// TestStatusBrief checks what is shown of a listener that reports states and counts only, and
// of one that refuses XSTATUS.
func TestStatusBrief(t *testing.T) {
	address := statusServer(t, "status: uptime=61 connections=2 scans=0 requests=3 spool_used=0 spool_total=1048576 brief=true SERVER\x00"+
		"status: engine=clamav backend=clamd required=true state=down in_flight=0 waiting=0 scans=3 failures=1 replays=0 NODE\x00"+
		"status: engine=inspect backend=inspect required=false state=up in_flight=0 waiting=0 scans=3 failures=0 replays=0 canary_eicar=virus NODE\x00END\x00")
	r := polyclam(t, "", "--address", address, "status", "--ready")
	r.wantStatus(t, exitFailed)
	if got, want := strings.ReplaceAll(r.stdout, address, "SERVER"), `every scan is answered with ERROR: clamav (required) is down

polyclamd at SERVER, up 1 minute
2 connections, 3 requests, 0 scans in progress, spool 0 bytes of 1 MiB
this listener reports states and counts only (key status_command); a Unix socket reports the rest

ENGINE   BACKEND  NODE  STATE         SCANS  FAILED  SIGNATURES  CANARY  EICAR  ENCRYPTED  VERSION
clamav   clamd    -     down          3      1       -           -       -      -          -
inspect  inspect  -     up, optional  3      0       -           -       virus  -          -
`; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	r = polyclam(t, "", "--address", statusServer(t, "COMMAND UNAVAILABLE\x00END\x00"), "status")
	r.wantStatus(t, exitFailed)
	if !strings.Contains(r.stdout, "this listener refuses XSTATUS (key status_command)") {
		t.Errorf("got %s", r.stdout)
	}
}
