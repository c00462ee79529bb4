package extended

import (
	"errors"
	"reflect"
	"testing"
	"time"
)

// A typedTest is a record as a value and as a line.
type typedTest struct {
	name  string
	value interface{ line() string }
	text  string
}

func (e Engine) line() string  { return e.Record("stream").String() }
func (s Summary) line() string { return s.Record("stream").String() }
func (s Server) line() string  { return s.Record().String() }
func (n Node) line() string    { return n.Record().String() }

var at = time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)

var refusals = Refusals{
	CommandsRefused: 1, ConnectionsRefused: 2, NotScannedGone: 3, NotScannedLimit: 4, NotScannedSpool: 5,
	NotScannedDenied: 6, NotScannedPath: 7, NotScannedHung: 8, NotScannedOther: 9, NotAllowed: 10, HandshakesFailed: 12, NotScannedRate: 11,
}

var typedTests = []typedTest{
	{"engine", Engine{
		Engine: "a", Category: "encrypted", Action: "ok", Code: -2, Elapsed: 1500 * time.Millisecond, Names: []string{"X", "Y z"}, NameCount: 9,
		Failure: "interrupted", Passed: []Passed{{"P", "^P"}, {"R", ""}}, Node: "tcp:h:1", Message: "a\nb", Required: true, Counts: true, Cancelled: true,
	}, `stream: engine=a category=encrypted action=ok code=-2 elapsed=1.500 name=X also="Y z" names=9 failure=interrupted ` +
		`passed=P rule="^P" passed=R node="tcp:h:1" msg="a\x0ab" cancelled=yes ENGINE`},
	{"optional engine", Engine{Engine: "a", Category: "ok", Action: "ok"},
		`stream: engine=a category=ok action=ok code=0 elapsed=0.000 required=no counts=no ENGINE`},
	{"summary", Summary{Category: "virus", Action: "quarantine", Code: 1, Engine: "a", ActionBy: "b", Engines: 2, Failed: 1, Version: 1},
		`stream: category=virus action=quarantine code=1 engine=a action_by=b engines=2 failed=1 version=1 SUMMARY`},
	{"server", Server{Version: "1 x", Uptime: 1, Connections: 2, Scans: 3, Requests: 4, SpoolUsed: 5, SpoolTotal: 6, FindRuns: 7, FindFailures: 8, FindDropped: 9, Draining: true, Brief: true,
		CacheState: CacheState{CacheUsed: 13, CacheLimit: 14, CacheHits: 15, CacheMisses: 16, CacheShared: "down", CacheReason: "no answer", CacheHint: "look"}, Refusals: refusals},
		`status: version="1 x" uptime=1 connections=2 scans=3 requests=4 spool_used=5 spool_total=6 find_runs=7 find_failures=8 find_dropped=9 draining=true brief=true cache_used=13 cache_limit=14 cache_hits=15 cache_misses=16 cache_shared=down cache_reason="no answer" cache_hint=look commands_refused=1 connections_refused=2 connections_not_allowed=10 handshakes_failed=12 ` +
			`not_scanned_gone=3 not_scanned_limit=4 not_scanned_spool=5 not_scanned_denied=6 not_scanned_path=7 not_scanned_hung=8 not_scanned_rate=11 not_scanned_other=9 SERVER`},
	{"node", Node{
		Engine: "a", Backend: "clamd", Required: true, Mode: "observe", ConfiguredMode: "on", Drained: true, Address: "unix:/s", FoundAs: "dns:a:1", NameAge: 16, NameNext: 18, NameNotUsed: 19, NameFailures: 17, NameReason: "late", State: "down", Reason: "gone", InFlight: 1, Limit: 2, Waiting: 3, Withheld: 4,
		Scans: 5, Failures: 6, Replays: 7, Hedges: 8, HedgesWon: 9, Version: "v", DatabaseTime: at, Stale: true,
		OlderThan: "unix:/n", OlderBy: 12, ObservedSame: 13, ObservedDiffer: 14, ObservedSkipped: 15, CanaryTime: at.Add(time.Second), CanaryClean: "ok",
		CanaryEICAR: "virus", CanaryName: "E", CanaryEncrypted: "encrypted", CanaryMail: "ok", CanaryError: "late", HeuristicsFirst: true, MailUnread: true, Scanned: 10, UnscannedAbove: 11,
	}, `status: engine=a backend=clamd required=true mode=observe configured_mode=on drained=true address="unix:/s" name="dns:a:1" name_age=16 name_next=18 name_not_used=19 name_failures=17 name_reason=late state=down reason=gone in_flight=1 limit=2 waiting=3 withheld=4 ` +
		`scans=5 failures=6 replays=7 hedges=8 hedges_won=9 version=v database_time="2026-11-23T08:00:00Z" stale=true older_than="unix:/n" older_by=12 observed_same=13 observed_differ=14 observed_skipped=15 canary_time="2026-11-23T08:00:01Z" ` +
		`canary_clean=ok canary_eicar=virus canary_name=E canary_encrypted=encrypted canary_mail=ok canary_error=late heuristics_first=true mail_unread=true scanned=10 unscanned_above=11 NODE`},
	{"about", Server{About: about}, `status: uptime=0 connections=0 scans=0 requests=0 spool_used=0 spool_total=0 config=/c config_time="2026-11-23T08:00:00Z" ` +
		`config_refused="2026-11-23T08:00:01Z" config_problem="/c:1: bad" log_level=debug user=p uid=7 groups="p,q" gids="7,8" ` +
		`memory_needed=9 memory_limit=10 memory_limit_from="memory.max of /x" SERVER`},
	{"root", Server{About: About{GIDs: "0"}}, `status: uptime=0 connections=0 scans=0 requests=0 spool_used=0 spool_total=0 uid=0 gids=0 SERVER`},
	{"small node", Node{}, `status: required=false in_flight=0 waiting=0 scans=0 failures=0 replays=0 hedges=0 hedges_won=0 NODE`},
}

var about = About{
	Config: "/c", ConfigTime: at, ConfigRefused: at.Add(time.Second), ConfigProblem: "/c:1: bad", LogLevel: "debug", User: "p", UID: 7, Groups: "p,q", GIDs: "7,8",
	MemoryNeeded: 9, MemoryLimit: 10, MemoryLimitFrom: "memory.max of /x",
}

// typed reads a record as the type of its word.
func typed(r Record) (value interface{ line() string }, err error) {
	switch r.Word {
	case WordEngine:
		return r.Engine()
	case WordSummary:
		return r.Summary()
	case WordServer:
		return r.Server(), nil
	case WordNode:
		return r.Node(), nil
	}
	return nil, nil
}

func TestTyped(t *testing.T) {
	for _, tt := range typedTests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.value.line(); got != tt.text {
				t.Errorf("got\n%s\nwant\n%s", got, tt.text)
			}
			r, err := Parse(tt.text)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := typed(r); err != nil || !reflect.DeepEqual(got, tt.value) {
				t.Errorf("got %+v, %v, want %+v", got, err, tt.value)
			}
		})
	}
}

// TestTypedAllFields checks that no field is missing in the list of its type.
func TestTypedAllFields(t *testing.T) {
	for _, v := range []any{typedTests[0].value, typedTests[2].value, typedTests[3].value, typedTests[4].value, refusals} {
		for i := range reflect.TypeOf(v).NumField() {
			if reflect.ValueOf(v).Field(i).IsZero() && !reflect.TypeOf(v).Field(i).Anonymous {
				t.Errorf("%T.%s is not tested", v, reflect.TypeOf(v).Field(i).Name)
			}
		}
	}
}

// TestAboutAllFields is [TestTypedAllFields] for About.
func TestAboutAllFields(t *testing.T) {
	for i := range reflect.TypeOf(about).NumField() {
		if reflect.ValueOf(about).Field(i).IsZero() {
			t.Errorf("About.%s is not tested", reflect.TypeOf(about).Field(i).Name)
		}
	}
}

// TestTypedLenient checks what becomes of fields that are unknown, missing or malformed.
func TestTypedLenient(t *testing.T) {
	for _, tt := range []struct {
		line string
		want any
		bad  bool // the code
	}{
		{"s: engine=a category=x code=1 new=y names=1 name=A also=B ENGINE", Engine{Engine: "a", Category: "x", Code: 1, Names: []string{"A", "B"}, NameCount: 2, Required: true, Counts: true}, false},
		{`s: code=1 elapsed=-1 names=many name="" rule=x cancelled=no counts=maybe ENGINE`, Engine{Code: 1, Required: true, Counts: true}, false},
		{"s: code=1 elapsed=1e300 ENGINE", Engine{Code: 1, Required: true, Counts: true}, false},
		{"s: ENGINE", Engine{Code: NoCode, Required: true, Counts: true}, true},
		{"s: category=ok code=x engines=+1 version=01 SUMMARY", Summary{Category: "ok", Code: NoCode}, true},
		{"s: code=99999999999 SUMMARY", Summary{Code: NoCode}, true},
		{"s: uptime=x mood=good SERVER", Server{}, false},
		{"s: database_time=yesterday scans=many heuristics_first=yes NODE", Node{Required: true}, false},
	} {
		r, err := Parse(tt.line)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := typed(r); !reflect.DeepEqual(any(got), tt.want) || errors.Is(err, ErrSyntax) != tt.bad {
			t.Errorf("%s: got %+v, %v, want %+v", tt.line, got, err, tt.want)
		}
	}
}

// FuzzTyped checks that what is read from any record is the same after it was written and
// read again.
func FuzzTyped(f *testing.F) {
	for _, tt := range typedTests {
		f.Add(tt.text)
	}
	f.Add("s: code=1 rule=x passed=a passed=b rule=c elapsed=1.0005 ENGINE")
	f.Fuzz(func(t *testing.T, line string) {
		r, err := Parse(line)
		if err != nil {
			return
		}
		v, err := typed(r)
		if v == nil || err != nil {
			return
		}
		r, err = Parse(v.line())
		if err != nil {
			t.Fatalf("%q became %q: %v", line, v.line(), err)
		}
		if again, err := typed(r); err != nil || again.line() != v.line() {
			t.Fatalf("%q became %q, then %q, %v", line, v.line(), again.line(), err)
		}
	})
}
