// Package checker judges the history of a run by polyclam's invariants. It knows the
// requests, what every engine read and answered, and the faults, but nothing about how
// polyclam works.
package checker

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"polyclam/test/chaos/history"
)

// Rules are what a run is judged by.
type Rules struct {
	Required     []string       // engines whose clean answer every OK needs
	Nodes        map[string]int // number of nodes of each engine
	AnswerWithin time.Duration
	SpoolWait    time.Duration
	Timeout      time.Duration // of an engine
	// Unused reports whether a node is not configured under a policy.
	Unused func(policy int, node string) bool
	// Slack is how late a deadline may be on a busy machine.
	Slack time.Duration
	// BlindGrace is how long a health check may take to notice that a node is blind.
	BlindGrace time.Duration
	// Unseen is how many bytes of an object the kernel buffers for an engine that does
	// not read. polyclam has then sent everything and cannot notice an early answer.
	Unseen map[string]int64
	// EncryptedFound reports whether a listener answers FOUND for encrypted objects
	// under a policy.
	EncryptedFound func(policy int, listener string) bool

	// Cached is how long results of an engine may be used again; 0: not at all.
	Cached map[string]time.Duration
	// Versioned are the engines that report the version of their signatures. polyclam relies
	// on a version for VersionTrust.
	Versioned    []string
	VersionTrust time.Duration
	// LoadTime is how long after RELOAD no result of the engine is kept.
	LoadTime time.Duration
	// ConfirmWithin is the longest time between the health checks before and after a result
	// that is kept.
	ConfirmWithin time.Duration

	MaxRSS         int64
	MaxThreads     int
	MaxDescriptors int
	KeptConns      int // connections to engines that may be open without a scan
}

// Run is the complete history of a run.
type Run struct {
	Requests []history.Request
	Steps    []history.Scan
	Faults   []history.Fault
	Events   []history.Event
	Samples  []history.Sample
	Log      []string // polyclamd's, line by line
}

// A Violation is a broken rule.
type Violation struct {
	Rule    string
	At      history.Time
	Text    string
	Request *history.Request // nil if it concerns none
}

// The rules, with the numbers of the invariants.
const (
	Unproven  = "1 an OK without a clean answer for all of the object"
	EarlyOK   = "1 an OK by an early answer"
	VirusOK   = "2 an OK for what an engine called a virus"
	Foreign   = "3 an answer that belongs to another request"
	Stray     = "3 a reply to no request"
	Twice     = "3 more than one reply"
	Reused    = "3 a connection to an engine used again without its answer"
	Late      = "4 no reply within the deadline"
	Broken    = "4 half a reply"
	Vanished  = "5 a verdict about what was not complete"
	Stale     = "6 an old verdict"
	Doubtful  = "6 a result is used again that no health check has confirmed"
	Unbounded = "7 more than the bound"
	Left      = "8 something is left"
	Reload    = "9 a reload"
	Invented  = "10 a finding that no engine reported"
	Blind     = "11 a blind node is believed"
	Crashed   = "polyclamd ended or complained"
)

// Report is the result of a run.
type Report struct {
	Violations []Violation
	Counts     map[string]int // of requests: Right, Tempfail, ...
	Verbs      map[string]int
	Reads      int             // objects that engines read
	Cached     map[string]int  // results that no engine was asked for, by origin
	Reloads    int             // RELOAD that nodes got
	Waits      []time.Duration // for a reply, sorted
	Recoveries []Recovery
	Avoidable  int            // requests without an answer that healthy nodes could have given
	Reasons    map[string]int // the replies they got instead
	Tolerated  map[string]int // what looks wrong and is not, by reason
	Peak       history.Sample
	Before     history.Sample
	After      history.Sample
	Began      history.Time
}

// The fate of a request.
const (
	Right      = "right"      // as the truth says
	Tempfail   = "tempfail"   // an ERROR
	Dropped    = "dropped"    // the connection was closed without a reply
	Refused    = "refused"    // no connection
	Misjudged  = "misjudged"  // not what the truth says; not always a violation
	Unanswered = "unanswered" // intended by the client
)

type checker struct {
	Run
	rules  Rules
	report Report
	scans  scans
	starts []policyAt
	learnt []history.Event
	judged []judged
}

// judged is the fate of a request that required an answer.
type judged struct {
	q     *history.Request
	class string
}

// Check judges a run.
func Check(run Run, rules Rules) Report {
	c := &checker{Run: run, rules: rules}
	c.report.Counts, c.report.Verbs, c.report.Tolerated = map[string]int{}, map[string]int{}, map[string]int{}
	c.report.Reasons, c.report.Cached = map[string]int{}, map[string]int{}
	c.scans = newScans(run.Steps)
	c.report.Reads, c.report.Reloads = c.scans.reads, len(c.scans.reloads)
	c.readEvents()
	for i := range c.Requests {
		q := &c.Requests[i]
		if i == 0 || q.Begin < c.report.Began {
			c.report.Began = q.Begin
		}
		c.request(q)
	}
	c.connections()
	c.daemon()
	c.recover()
	slices.Sort(c.report.Waits)
	slices.SortStableFunc(c.report.Violations, func(a, b Violation) int { return cmp.Compare(a.At, b.At) })
	return c.report
}

// violate records a violation.
func (c *checker) violate(rule string, at history.Time, q *history.Request, format string, args ...any) {
	c.report.Violations = append(c.report.Violations, Violation{rule, at, fmt.Sprintf(format, args...), q})
}

// policyAt is a policy that may be in force from a moment on.
type policyAt struct {
	from     history.Time
	policies []int
}

// readEvents collects the times of policies and signatures.
func (c *checker) readEvents() {
	slices.SortStableFunc(c.Events, func(a, b history.Event) int { return cmp.Compare(a.At, b.At) })
	now := 0
	for _, e := range c.Events {
		switch e.Kind {
		case history.Start:
			now = int(e.N)
			c.starts = append(c.starts, policyAt{e.At, []int{now}})
		case history.Reloading:
			possible := []int{now}
			if e.N >= 0 {
				possible = append(possible, int(e.N))
			}
			c.starts = append(c.starts, policyAt{e.At, possible})
		case history.Reloaded:
			now = int(e.N)
			c.starts = append(c.starts, policyAt{e.At, []int{now}})
		case history.Learnt:
			c.learnt = append(c.learnt, e)
		}
	}
}

// policies are those that may have been in force during a request.
func (c *checker) policies(q *history.Request) []int {
	var all []int
	for i, p := range c.starts {
		if p.from > q.End {
			break
		}
		if i+1 == len(c.starts) || c.starts[i+1].from > q.Begin {
			all = append(all, p.policies...)
		}
	}
	return all
}

// mayBe reports whether the answer for an encrypted object may be FOUND, or OK, for
// this request.
func (c *checker) mayBe(q *history.Request, found bool) bool {
	return slices.ContainsFunc(c.policies(q), func(p int) bool { return c.rules.EncryptedFound(p, q.Listener) == found })
}

// restarted reports whether polyclamd ended or started during a request.
func (c *checker) restarted(q *history.Request) bool {
	return slices.ContainsFunc(c.Faults, func(f history.Fault) bool {
		return (f.Kind == "polyclamd killed" || f.Kind == "polyclamd restarted") && f.Begin <= q.End && f.End >= q.Begin
	})
}

// generation is the version of the signatures that all nodes had at a moment.
func (c *checker) generation(at history.Time) int {
	n := 0
	for _, e := range c.learnt {
		if e.At <= at {
			n = int(e.N)
		}
	}
	return n
}
