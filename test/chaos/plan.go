package main

import (
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// plan is the schedule of a run.
type plan struct {
	duration time.Duration
	faults   []planned
}

// planned is one planned fault.
type planned struct {
	at, length time.Duration
	kind       string
	targets    []string // names of nodes; none: polyclamd
	m          mode
}

// The node faults that are modes, and the kinds of nodes that support them.
var modes = []struct {
	fault string
	kinds string // clamd, sssp, icap, scanner
	delay [2]int // milliseconds
}{
	{"mute", "csip", [2]int{}},
	{"deaf", "csi", [2]int{}},
	{"refuse", "csi", [2]int{}},
	{"closeread", "csip", [2]int{}},
	{"cut", "csip", [2]int{}},
	{"stall", "csip", [2]int{}},
	{"early", "csi", [2]int{}},
	{"twice", "csip", [2]int{0, 300}},
	{"garbage", "csip", [2]int{}},
	{"drip", "csip", [2]int{1, 30}},
	{"late", "csip", [2]int{2100, 4000}},
	{"latency", "csip", [2]int{50, 700}},
	{"error", "csip", [2]int{}},
	{"wrongid", "csi", [2]int{}},
	{"slowread", "csip", [2]int{1, 40}},
	{"reset", "csi", [2]int{}},
	{"crash", "p", [2]int{}},
	{"orphan", "p", [2]int{}},
	{"blind", "csip", [2]int{}},
	{"paranoid", "csip", [2]int{}},
}

// The letters of the kinds.
var letters = map[string]byte{"clamd": 'c', "sssp": 's', "icap": 'i', "scanner": 'p'}

// others are the faults of processes, files and polyclamd itself. A kind appears once
// for each unit of its weight.
var others = []string{
	"kill", "kill", "stop", "stop", "stop all", "kill all", "learn", "learn", "reload", "hangup same", "hangup changed", "hangup changed",
	"hangup bad", "disk full", "log unread", "polyclamd killed", "polyclamd killed", "polyclamd restarted",
}

// cachedOthers are those of a run about the cache. RELOAD is rare, because nothing is kept
// for minutes after it.
var cachedOthers = []string{
	"kill", "stop", "kill all", "learn", "reload", "learn silently", "learn silently", "learn silently", "learn silently",
	"hangup same", "hangup changed", "hangup changed", "disk full", "polyclamd killed", "polyclamd killed", "polyclamd restarted",
	"redis killed", "redis stopped", "redis flushed", "redis forged", "redis forged", "redis forged",
}

// quiet is the time without faults at the end of a run.
const quiet = 5 * time.Second

// newPlan draws the faults of a run, which may be about the cache. The same arguments give
// the same plan.
func newPlan(seed uint64, duration time.Duration, cached bool) plan {
	r := rand.New(rand.NewPCG(seed, 1))
	others := others
	if cached {
		others = cachedOthers
	}
	p := plan{duration: duration}
	busy := map[string]time.Duration{} // end of the current fault, by target
	for at := 1500 * time.Millisecond; ; {
		f := draw(r, others)
		f.at = at
		for _, t := range f.names() {
			f.at = max(f.at, busy[t])
		}
		if f.at+f.length > duration-quiet {
			return p
		}
		for _, t := range f.names() {
			busy[t] = f.at + f.length + 300*time.Millisecond
		}
		p.faults = append(p.faults, f)
		at = f.at + time.Duration(200+r.IntN(800))*time.Millisecond
		if r.IntN(2) == 0 { // else they overlap
			at += f.length + time.Duration(r.IntN(1000))*time.Millisecond
		}
		if cached && r.IntN(3) == 0 { // time to confirm results
			at += 6 * time.Second
		}
	}
}

// names are the resources that only one fault at a time may use.
func (f planned) names() []string {
	if strings.HasPrefix(f.kind, "redis") {
		return []string{"redis"}
	}
	if len(f.targets) == 0 {
		return []string{"polyclamd"}
	}
	return f.targets
}

func draw(r *rand.Rand, others []string) planned {
	f := planned{length: time.Duration(300+r.IntN(3500)) * time.Millisecond}
	k := engineKinds[r.IntN(len(engineKinds))]
	f.targets = nodesOf(k.engine, k.nodes)
	one := r.IntN(len(f.targets))
	all := r.IntN(3) == 0
	if r.IntN(5) > 1 {
		m := modes[r.IntN(len(modes))]
		for !slices.Contains([]byte(m.kinds), letters[k.kind]) {
			m = modes[r.IntN(len(modes))]
		}
		f.kind = m.fault
		f.m = mode{Fault: m.fault, Share: 100, Spare: r.IntN(2) == 0, N: r.IntN(3000), Delay: m.delay[0] + r.IntN(m.delay[1]-m.delay[0]+1)}
		if r.IntN(3) == 0 {
			f.m.Share = 20 + r.IntN(60)
		}
		if m.fault == "blind" || m.fault == "paranoid" {
			// A node that answers health checks correctly and lies otherwise cannot be
			// found out.
			f.m.Share, f.m.Spare = 100, false
			f.length += 5 * time.Second
		}
		if !all {
			f.targets = f.targets[one : one+1]
		}
		return f
	}
	f.kind = others[r.IntN(len(others))]
	if k.kind == "scanner" && (strings.HasPrefix(f.kind, "kill") || strings.HasPrefix(f.kind, "stop")) {
		return draw(r, others) // polyclamd starts it for each scan
	}
	switch f.kind {
	case "kill", "stop":
		f.targets = f.targets[one : one+1]
	case "kill all", "stop all":
	default:
		f.targets = nil
	}
	f.m.N = r.IntN(1 << 16) // which bad file, which policy
	return f
}

func nodesOf(engine string, n int) []string {
	var names []string
	for i := range n {
		names = append(names, engine+"/"+string(rune('0'+i)))
	}
	return names
}
