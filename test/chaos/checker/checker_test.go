package checker

import (
	"slices"
	"testing"
	"time"

	"polyclam/test/chaos/history"
	"polyclam/test/chaos/object"
)

const ms = history.Time(time.Millisecond)

var rules = Rules{
	Required: []string{"clam", "sophos"}, AnswerWithin: 6 * time.Second, Timeout: 2 * time.Second, Slack: time.Second, BlindGrace: 3 * time.Second,
	EncryptedFound: func(policy int, listener string) bool { return policy == 0 && listener == "tcp" },
	Unused:         func(policy int, node string) bool { return policy == 1 && node == "clam/1" },
	Nodes:          map[string]int{"clam": 2, "sophos": 2},
	Unseen:         map[string]int64{"clam": 1 << 20, "sophos": 1 << 20},
	Cached:         map[string]time.Duration{"sophos": 15 * time.Second},
	Versioned:      []string{"sophos"},
	VersionTrust:   10 * time.Second, LoadTime: 3 * time.Minute, ConfirmWithin: 9 * time.Second,
	MaxThreads: 10, MaxDescriptors: 100, KeptConns: 5,
}

// run is a history without any violation: one clean object, scanned by two engines.
type run struct {
	Run
	q *history.Request
	p *history.Part
}

const nonce = "n0123456789abcdef"

func good() *run {
	r := &run{}
	part := history.Part{Path: "stream", Nonce: nonce, SHA: "abc", Size: 2 << 20}
	r.Requests = []history.Request{{
		ID: 1, Verb: "INSTREAM", Listener: "tcp", Begin: 20000 * ms, Sent: 20010 * ms, End: 20900 * ms,
		Outcome: history.Replied, Lines: []string{"stream: OK"}, Parts: []history.Part{part},
	}}
	r.q = &r.Requests[0]
	r.p = &r.q.Parts[0]
	r.Events = []history.Event{{At: 1 * ms, Kind: history.Start}}
	r.scan("clam/0", 20100, history.Clean, "", nil)
	r.scan("sophos/1", 20100, history.Clean, "", nil)
	return r
}

// scan adds a scan of the object that starts at a time in milliseconds.
func (r *run) scan(node string, at history.Time, verdict, name string, change func(*history.Scan)) {
	s := history.Scan{Node: node, Process: 1, Conn: len(r.Steps) + 1, Seq: 1, At: at * ms, Step: history.Begun}
	r.Steps = append(r.Steps, s)
	s.Step, s.At, s.Nonce, s.SHA, s.Size, s.Whole = history.Read, s.At+ms, r.p.Nonce, r.p.SHA, int64(r.p.Size), true
	if change != nil {
		change(&s)
	}
	r.Steps = append(r.Steps, s)
	s.Step, s.At, s.Verdict, s.Name = history.Answer, s.At+ms, verdict, name
	r.Steps = append(r.Steps, s)
	s.Step, s.At = history.Answered, s.At+ms
	r.Steps = append(r.Steps, s)
}

// only replaces the scans.
func (r *run) only(verdict, name string) {
	r.Steps = nil
	r.scan("clam/0", 20100, verdict, name, nil)
	r.scan("sophos/1", 20100, verdict, name, nil)
}

func (r *run) fault(kind, target string, begin, end history.Time) {
	r.Faults = append(r.Faults, history.Fault{ID: len(r.Faults), Kind: kind, Target: target, Begin: begin * ms, End: end * ms})
}

func (r *run) event(at history.Time, kind string, n int64) {
	r.Events = append(r.Events, history.Event{At: at * ms, Kind: kind, N: n})
}

// eicar adds a health check of sophos/0 that finds EICAR.
func (r *run) eicar(at history.Time, change func(*history.Scan)) {
	s := history.Scan{Node: "sophos/0", Conn: 1000 + len(r.Steps), Seq: 1, At: at * ms, Step: history.Begun}
	r.Steps = append(r.Steps, s)
	s.Step, s.At, s.Size, s.Whole, s.Verdict = history.Answered, s.At+ms, eicarSize, true, history.Virus
	if change != nil {
		change(&s)
	}
	r.Steps[len(r.Steps)-1].Node = s.Node
	r.Steps = append(r.Steps, s)
}

// again makes the answer of sophos one from ten seconds before the request, which a health
// check has confirmed. The functions change that answer and the check.
func (r *run) again(change, check func(*history.Scan)) {
	r.q.Repeat = true
	r.Steps = r.Steps[:4]
	r.scan("sophos/0", 10000, history.Clean, "", nil)
	for i := range r.Steps[4:] {
		if change != nil {
			change(&r.Steps[4+i])
		}
	}
	r.eicar(12000, check)
}

// earlier makes the answer of sophos one from a scan at that time, which no check has confirmed.
func (r *run) earlier(at history.Time) {
	r.q.Repeat = true
	r.Steps = r.Steps[:4]
	r.scan("sophos/0", at, history.Clean, "", nil)
}

func TestRules(t *testing.T) {
	virus := object.VirusName + nonce
	for _, c := range []struct {
		name   string
		change func(*run)
		want   string // rule that is broken; empty: none
		class  string
	}{
		{"clean", func(r *run) {}, "", Right},
		{"virus", func(r *run) {
			r.p.Truth.Virus = true
			r.q.Lines = []string{"stream: " + virus + " FOUND"}
			r.only(history.Virus, virus)
		}, "", Right},
		{"failed", func(r *run) { r.q.Lines = []string{"stream: clam scan failed ERROR"}; r.Steps = nil }, "", Tempfail},
		{"closed", func(r *run) { r.q.Lines, r.q.Outcome, r.Steps = nil, history.Closed, nil }, "", Dropped},
		{"encrypted and passed", func(r *run) {
			r.p.Truth.Encrypted, r.q.Listener = true, "unix"
			r.only(history.Encrypted, "")
		}, "", Right},

		{"an engine was not asked", func(r *run) { r.Steps = r.Steps[:4] }, Unproven, Misjudged},
		{"an engine did not answer", func(r *run) { r.Steps = r.Steps[:len(r.Steps)-2] }, Unproven, Misjudged},
		{"an engine read something else", func(r *run) {
			r.Steps = r.Steps[:4]
			r.scan("sophos/0", 20100, history.Clean, "", func(s *history.Scan) { s.SHA = "def" })
		}, Unproven, Misjudged},
		{"an engine answered garbage", func(r *run) {
			r.Steps = r.Steps[:4]
			r.scan("sophos/0", 20100, history.Nothing, "", nil)
		}, Unproven, Misjudged},
		{"an engine answered after the reply", func(r *run) {
			r.Steps = r.Steps[:4]
			r.scan("sophos/0", 20950, history.Clean, "", nil)
		}, Unproven, Misjudged},
		{"an engine answered before the request", func(r *run) {
			r.Steps = r.Steps[:4]
			r.scan("sophos/0", 10000, history.Clean, "", nil)
		}, Unproven, Misjudged},
		{"an early answer", func(r *run) {
			r.Steps = r.Steps[:4]
			r.scan("sophos/0", 20100, history.Clean, "", func(s *history.Scan) { s.Size, s.Whole = 1024, false })
		}, EarlyOK, Misjudged},
		{"an early answer that cannot be seen", func(r *run) {
			r.p.Size = 10000
			r.Steps = nil
			r.scan("clam/0", 20100, history.Clean, "", nil)
			r.scan("sophos/0", 20100, history.Clean, "", func(s *history.Scan) { s.Size, s.Whole = 1024, false })
		}, "", Right},
		{"an optional engine found a virus", func(r *run) { r.scan("remote/0", 20100, history.Virus, virus, nil) }, VirusOK, Misjudged},
		{"an optional engine found a virus too late", func(r *run) { r.scan("remote/0", 20890, history.Virus, virus, nil) }, "", Right},
		{"an optional engine calls everything a virus", func(r *run) {
			r.scan("remote/0", 20100, history.Virus, object.ParanoidName+nonce, nil)
			r.Steps[len(r.Steps)-1].Fault = "paranoid"
		}, "", Right},
		{"the virus of another object", func(r *run) {
			r.q.Lines = []string{"stream: " + object.VirusName + "nffffffffffffffff FOUND"}
		}, Foreign, Misjudged},
		{"a virus that nobody found", func(r *run) { r.q.Lines = []string{"stream: " + virus + " FOUND"} }, Invented, Misjudged},
		{"encryption that nobody found", func(r *run) { r.q.Lines = []string{"stream: Heuristics.Encrypted.Zip FOUND"} }, Invented, Misjudged},
		{"two replies", func(r *run) { r.q.Lines = []string{"stream: OK", "stream: OK"} }, Twice, Right},
		{"a reply about a path", func(r *run) { r.q.Lines = []string{"/etc/passwd: OK"} }, Foreign, Dropped},
		{"a reply to no request", func(r *run) { r.q.Stray = []string{"9: stream: OK"} }, Stray, Right},
		{"half a reply", func(r *run) { r.q.Outcome, r.q.Lines, r.q.Error = history.Closed, nil, `half a reply: "stre"` }, Broken, Dropped},
		{"half a reply of a killed polyclamd", func(r *run) {
			r.q.Outcome, r.q.Lines, r.q.Error = history.Closed, nil, `half a reply: "stre"`
			r.fault("polyclamd killed", "polyclamd", 20500, 20600)
		}, "", Dropped},
		{"late", func(r *run) { r.q.End += 7500 * ms }, Late, Right},
		{"late, but within the slack", func(r *run) { r.q.End += 6900 * ms }, "", Right},
		{"hung", func(r *run) { r.q.Outcome, r.q.Lines = history.Hung, nil }, Late, Dropped},

		{"vanished, and an engine was asked", func(r *run) { r.q.Client, r.q.Outcome, r.q.Lines = "vanish", history.Left, nil }, Vanished, Unanswered},
		{"half-closed, and answered", func(r *run) { r.q.Client, r.Steps = "half-close", nil }, Vanished, Unanswered},
		{"vanished, and logged", func(r *run) {
			r.q.Client, r.q.Outcome, r.q.Lines, r.Steps, r.q.Partial = "vanish", history.Left, nil, nil, "abcd"
			r.Log = []string{`{"message":"scanned","sha256":"abcd"}`}
		}, Vanished, Unanswered},
		{"vanished", func(r *run) {
			r.q.Client, r.q.Outcome, r.q.Lines, r.Steps, r.q.Partial = "vanish", history.Left, nil, nil, "abcd"
			r.Log = []string{`{"message":"scanned","sha256":"ffff"}`, `{"half`}
		}, "", Unanswered},

		{"an old verdict", func(r *run) {
			r.q.Repeat, r.p.Truth.Later = true, 1
			r.event(10000, history.Learning, 1)
			r.event(10100, history.Learnt, 1)
		}, Stale, Misjudged},
		{"a verdict from before the signatures", func(r *run) {
			r.q.Repeat, r.p.Truth.Later = true, 1
			r.event(19000, history.Learning, 1)
			r.event(19500, history.Learnt, 1)
		}, "", Misjudged},

		{"blind for long", func(r *run) {
			r.Steps = r.Steps[:4]
			r.scan("sophos/0", 20100, history.Clean, "", func(s *history.Scan) { s.Fault = "blind" })
			r.fault("blind", "[sophos/0]", 15000, 30000)
		}, Blind, Misjudged},
		{"blind for a moment", func(r *run) {
			r.Steps = r.Steps[:4]
			r.scan("sophos/0", 20100, history.Clean, "", func(s *history.Scan) { s.Fault = "blind" })
			r.fault("blind", "[sophos/0]", 19000, 30000)
		}, "", Right},

		{"encrypted is OK against the policy", func(r *run) {
			r.p.Truth.Encrypted = true
			r.only(history.Encrypted, "")
		}, Reload, Misjudged},
		{"encrypted during a reload", func(r *run) {
			r.p.Truth.Encrypted = true
			r.only(history.Encrypted, "")
			r.event(20050, history.Reloading, 1)
			r.event(20060, history.Reloaded, 1)
		}, "", Right},
		{"encrypted after a bad reload", func(r *run) {
			r.p.Truth.Encrypted = true
			r.only(history.Encrypted, "")
			r.event(20050, history.Reloading, -1)
			r.event(20060, history.Reloaded, 0)
		}, Reload, Misjudged},
		{"encrypted is FOUND against the policy", func(r *run) {
			r.p.Truth.Encrypted, r.q.Listener = true, "unix"
			r.q.Lines = []string{"stream: Heuristics.Encrypted.Zip FOUND"}
			r.only(history.Encrypted, "")
		}, Reload, Misjudged},
		{"a reload that nobody saw", func(r *run) { r.event(20050, history.Unseen, 1) }, Reload, Right},

		{"from the cache", func(r *run) { r.again(nil, nil) }, "", Right},
		{"from the cache, too old", func(r *run) { r.again(func(s *history.Scan) { s.At -= 8000 * ms }, nil) }, Stale, Misjudged},
		{"from the cache, other signatures", func(r *run) {
			r.event(5000, history.Learning, 1)
			r.event(5001, history.Learnt, 1)
			r.again(nil, nil)
		}, Stale, Misjudged},
		{"from the cache, other signatures since a moment", func(r *run) {
			r.event(12000, history.Learning, 1)
			r.event(12001, history.Learnt, 1)
			r.again(nil, nil)
		}, "", Right},
		{"from the cache, before a RELOAD", func(r *run) {
			r.again(nil, nil)
			r.Steps = append(r.Steps, history.Scan{Step: history.Reload, Node: "sophos/1", At: 14000 * ms})
		}, Stale, Misjudged},
		{"from the cache, before a RELOAD that a restart made it forget", func(r *run) {
			r.again(nil, nil)
			r.Steps = append(r.Steps, history.Scan{Step: history.Reload, Node: "sophos/1", At: 14000 * ms})
			r.event(15000, history.Start, 0)
		}, "", Right},
		{"from the cache, soon after a RELOAD", func(r *run) {
			r.again(nil, nil)
			r.Steps = append(r.Steps, history.Scan{Step: history.Reload, Node: "sophos/0", At: 8000 * ms})
		}, Stale, Misjudged},
		{"from the cache, not confirmed", func(r *run) { r.again(nil, func(s *history.Scan) { s.Node = "sophos/1" }) }, Doubtful, Misjudged},
		{"joined a scan whose answer is on its way", func(r *run) { r.earlier(19950) }, "", Right},
		{"from the cache, just kept and not confirmed", func(r *run) { r.earlier(19700) }, Doubtful, Misjudged},
		{"from the cache, the check found nothing", func(r *run) { r.again(nil, func(s *history.Scan) { s.Verdict = history.Clean }) }, Doubtful, Misjudged},
		{"from the cache, of a blind node", func(r *run) {
			r.again(func(s *history.Scan) { s.Fault = "blind" }, nil)
		}, Doubtful, Misjudged},
		{"from the cache, of a node that was blind between two checks", func(r *run) {
			r.again(func(s *history.Scan) { s.Fault = "blind" }, nil)
			r.eicar(9900, nil)
		}, "", Right},
		{"from the cache, of a node that a check found blind", func(r *run) {
			r.again(func(s *history.Scan) { s.Fault = "blind" }, nil)
			r.eicar(9900, nil)
			r.eicar(10500, func(s *history.Scan) { s.Verdict = history.Clean })
		}, Doubtful, Misjudged},
		{"from the cache of an engine that has none", func(r *run) {
			r.again(func(s *history.Scan) { s.Node = "clam/1" }, nil)
			r.Steps = r.Steps[4:] // of clam itself
			r.scan("sophos/1", 20100, history.Clean, "", nil)
		}, Unproven, Misjudged},

		{"something is left", func(r *run) { r.event(20050, history.Leftover, 1) }, Left, Right},
		{"it died", func(r *run) { r.event(20050, history.Died, 1) }, Crashed, Right},
		{"a race", func(r *run) { r.Log = []string{"WARNING: DATA RACE"} }, Crashed, Right},
		{"too many threads", func(r *run) { r.Samples = []history.Sample{{Threads: 11}} }, Unbounded, Right},
		{"descriptors are lost", func(r *run) {
			r.Samples = []history.Sample{{Descriptors: 10, Phase: "idle before"}, {Descriptors: 16, Phase: "idle after"}}
		}, Unbounded, Right},
		{"connections are kept", func(r *run) {
			r.Samples = []history.Sample{{Descriptors: 10, Phase: "idle before"}, {Descriptors: 15, Phase: "idle after"}}
		}, "", Right},

		{"a connection is used after a timeout", func(r *run) {
			r.Steps = append(r.Steps, history.Scan{Node: "clam/1", Conn: 9, Seq: 1, At: 100 * ms, Step: history.Begun},
				history.Scan{Node: "clam/1", Conn: 9, Seq: 1, At: 2900 * ms, Step: history.Answered},
				history.Scan{Node: "clam/1", Conn: 9, Seq: 2, At: 2950 * ms, Step: history.Begun})
		}, Reused, Right},
		{"a connection is used without an answer", func(r *run) {
			r.Steps = append(r.Steps, history.Scan{Node: "clam/1", Conn: 9, Seq: 1, At: 100 * ms, Step: history.Begun},
				history.Scan{Node: "clam/1", Conn: 9, Seq: 2, At: 200 * ms, Step: history.Begun})
		}, Reused, Right},
		{"a connection is kept", func(r *run) {
			r.Steps = append(r.Steps, history.Scan{Node: "clam/1", Conn: 9, Seq: 1, At: 100 * ms, Step: history.Begun},
				history.Scan{Node: "clam/1", Conn: 9, Seq: 1, At: 150 * ms, Step: history.Answered},
				history.Scan{Node: "clam/1", Conn: 9, Seq: 2, At: 200 * ms, Step: history.Begun})
		}, "", Right},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := good()
			c.change(r)
			report := Check(r.Run, rules)
			var broken []string
			for _, v := range report.Violations {
				broken = append(broken, v.Rule)
			}
			switch {
			case c.want == "" && len(broken) > 0:
				t.Errorf("broken are %q: %s", broken, report.Violations[0].Text)
			case c.want != "" && (!slices.Contains(broken, c.want) || len(slices.Compact(broken)) != 1):
				t.Errorf("broken are %q, want %q", broken, c.want)
			}
			if report.Counts[c.class] != 1 {
				t.Errorf("the request counts as %v, want %s", report.Counts, c.class)
			}
		})
	}
}
