package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"polyclam/test/chaos/checker"
	"polyclam/test/chaos/history"
)

// unseen is how much the kernel buffers for a server that does not read, by network:
// the buffers of both sides, with a margin. Over TCP that is more than any object here.
var unseen = map[string]int64{"unix": 768 << 10, "tcp": 8 << 20}

// What docs/cache.md promises.
const (
	versionTrust  = 10 * time.Second // how old a version may be that results are looked up with
	loadTime      = 3 * time.Minute  // after RELOAD
	confirmWithin = 9 * time.Second  // between the health checks before and after a result
)

// rules are what the run is judged by. slack allows for a slow machine.
func (o options) rules(slack time.Duration) checker.Rules {
	r := checker.Rules{
		AnswerWithin: answerWithin, SpoolWait: spoolWait, Timeout: engineTimeout, Slack: slack,
		// The previous check may have just ended. Add the next one, and its wait for a
		// slot.
		BlindGrace:     canaryInterval + engineTimeout + slack,
		EncryptedFound: isEncryptedFound,
		Unused:         isUnused,
		Unseen:         map[string]int64{},
		Nodes:          map[string]int{},
		Cached:         map[string]time.Duration{},
		VersionTrust:   versionTrust, LoadTime: loadTime, ConfirmWithin: confirmWithin,
		MaxRSS: 512 << 20, MaxThreads: 150, MaxDescriptors: 2*maxConns + 200,
	}
	if o.sizeless {
		r.MaxRSS = 0
	}
	if o.cached {
		r.KeptConns += 8 // to Redis
	}
	for _, k := range engineKinds {
		if k.required {
			r.Required = append(r.Required, k.engine)
		}
		r.KeptConns += k.nodes * maxScans
		r.Nodes[k.engine] = k.nodes
		r.Unseen[k.engine] = unseen[k.network]
		r.Cached[k.engine] = o.cacheTTL(k.engine, k.kind)
		if k.kind == "clamd" {
			r.Versioned = append(r.Versioned, k.engine)
		}
	}
	return r
}

// load reads the history of a run from its directory.
func load(dir string) (past checker.Run, err error) {
	logs, err := filepath.Glob(filepath.Join(dir, "*.log"))
	for _, name := range logs {
		steps, logErr := history.Load[history.Scan](name)
		past.Steps = append(past.Steps, steps...)
		err = errors.Join(err, logErr)
	}
	var errs [5]error
	past.Requests, errs[0] = history.Load[history.Request](inDir(dir, "requests"))
	past.Faults, errs[1] = history.Load[history.Fault](inDir(dir, "faults"))
	past.Events, errs[2] = history.Load[history.Event](inDir(dir, "events"))
	past.Samples, errs[3] = history.Load[history.Sample](inDir(dir, "samples"))
	log, logErr := os.ReadFile(inDir(dir, "daemon"))
	past.Log, errs[4] = strings.Split(string(log), "\n"), logErr
	return past, errors.Join(err, errors.Join(errs[:]...))
}

// maxShown is how many violations are printed in full.
const maxShown = 15

// print prints the result of a run.
func print(out io.Writer, o options, r *checker.Report) {
	total := 0
	for _, n := range r.Counts {
		total += n
	}
	asked := total - r.Counts[checker.Unanswered] - r.Counts[checker.Refused]
	share := func(class string) string {
		return fmt.Sprintf("%s %d (%.2f %%)", class, r.Counts[class], 100*float64(r.Counts[class])/float64(max(asked, 1)))
	}
	fmt.Fprintf(out, "seed %d: %d requests and %d faults in %v, %d objects read by engines\n", o.seed, total, len(r.Recoveries), o.plan.duration, r.Reads)
	fmt.Fprintf(out, "  answers: %s, %s, %s, %s; %d of misbehaving clients; %d had no connection while polyclamd was down for %v\n",
		share(checker.Right), share(checker.Tempfail), share(checker.Dropped), share(checker.Misjudged), r.Counts[checker.Unanswered], r.Counts[checker.Refused], downtime(r))
	fmt.Fprintf(out, "  without an answer although every required engine had a healthy node: %d (%.2f %%) %s\n", r.Avoidable,
		100*float64(r.Avoidable)/float64(max(asked, 1)), counts(r.Reasons))
	fmt.Fprintf(out, "  results that no engine was asked for: %s; RELOAD at nodes: %d\n", counts(r.Cached), r.Reloads)
	fmt.Fprintf(out, "  verbs: %s\n", counts(r.Verbs))
	wait := func(share float64) time.Duration {
		return r.Waits[int(share*float64(len(r.Waits)-1))].Round(time.Millisecond)
	}
	if len(r.Waits) > 0 {
		fmt.Fprintf(out, "  waits: median %v, p99 %v, longest %v; timeout %v, answer_within %v\n", wait(0.5), wait(0.99), wait(1), engineTimeout, answerWithin)
	}
	fmt.Fprintf(out, "  polyclamd: peak %d MiB, %d threads, %d descriptors; idle %d MiB and %d descriptors before, %d MiB and %d after\n",
		r.Peak.RSS>>20, r.Peak.Threads, r.Peak.Descriptors, r.Before.RSS>>20, r.Before.Descriptors, r.After.RSS>>20, r.After.Descriptors)
	if len(r.Tolerated) > 0 {
		fmt.Fprintf(out, "  tolerated: %s\n", counts(r.Tolerated))
	}
	recoveries(out, r)
	fmt.Fprintf(out, "  violations: %d\n", len(r.Violations))
	byRule := map[string]int{}
	for i, v := range r.Violations {
		if byRule[v.Rule]++; i < maxShown {
			show(out, r, v)
		}
	}
	if len(r.Violations) > 0 {
		about := map[bool]string{true: "on", false: "off"}[o.cached]
		fmt.Fprintf(out, "  by rule: %s\n  again: make chaos SEED=%d DURATION=%v CHAOSFLAGS=-cache=%s\n", counts(byRule), o.seed, o.plan.duration, about)
	}
}

// downtime is how long polyclamd was down for restarts.
func downtime(r *checker.Report) time.Duration {
	var total time.Duration
	for _, one := range r.Recoveries {
		if one.Fault.Kind == "polyclamd killed" || one.Fault.Kind == "polyclamd restarted" {
			total += one.Fault.End.Sub(one.Fault.Begin)
		}
	}
	return total.Round(time.Millisecond)
}

func counts(m map[string]int) string {
	var words []string
	for key, n := range m {
		words = append(words, fmt.Sprintf("%s %d", key, n))
	}
	slices.Sort(words)
	return strings.Join(words, ", ")
}

// recoveries prints how long faults of each kind had an effect.
func recoveries(out io.Writer, r *checker.Report) {
	byKind := map[string][]checker.Recovery{}
	for _, one := range r.Recoveries {
		byKind[one.Fault.Kind] = append(byKind[one.Fault.Kind], one)
	}
	var kinds []string
	for kind := range byKind {
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	fmt.Fprintf(out, "  after the end of a fault, median and maximum:\n    %-20s %6s  %-19s  %s\n", "fault", "times", "first right answer", "last other answer")
	for _, kind := range kinds {
		all := byKind[kind]
		first := middle(all, func(r checker.Recovery) time.Duration { return r.First })
		last := middle(all, func(r checker.Recovery) time.Duration { return r.Last })
		fmt.Fprintf(out, "    %-20s %6d  %-19s  %s\n", kind, len(all), first, last)
	}
}

func middle(all []checker.Recovery, of func(checker.Recovery) time.Duration) string {
	var ds []time.Duration
	for _, r := range all {
		ds = append(ds, of(r))
	}
	slices.SortFunc(ds, cmp.Compare)
	if ds[0] < 0 {
		return "never"
	}
	return fmt.Sprintf("%v %v", ds[len(ds)/2].Round(time.Millisecond), ds[len(ds)-1].Round(time.Millisecond))
}

// show prints a violation with what is needed to understand it.
func show(out io.Writer, r *checker.Report, v checker.Violation) {
	fmt.Fprintf(out, "  VIOLATION at %v: %s\n    %s\n", v.At.Sub(r.Began).Round(time.Millisecond), v.Rule, v.Text)
	if q := v.Request; q != nil {
		fmt.Fprintf(out, "    request %d: %s on %s, client %q, session %d/%d, %s; sent after %v, ended after %v: %.300q %s\n", q.ID, q.Verb, q.Listener, q.Client,
			q.Session, q.Number, q.Outcome, max(0, q.Sent.Sub(q.Begin)).Round(time.Millisecond), q.End.Sub(q.Begin).Round(time.Millisecond), q.Lines, q.Error)
		for _, p := range q.Parts {
			fmt.Fprintf(out, "      object %s, %d bytes, truth %+v\n", p.Nonce, p.Size, p.Truth)
		}
	}
	for _, f := range r.Recoveries {
		if f.Fault.Begin <= v.At && f.Fault.End.Add(3*time.Second) >= v.At {
			fmt.Fprintf(out, "      fault %s of %s from %v to %v %v\n", f.Fault.Kind, f.Fault.Target,
				f.Fault.Begin.Sub(r.Began).Round(time.Millisecond), f.Fault.End.Sub(r.Began).Round(time.Millisecond), f.Fault.Detail)
		}
	}
}
