package main

import (
	"fmt"
	"strings"
	"time"
)

// The states of a condition.
const (
	stateOK       = "ok"
	stateDegraded = "degraded"
	stateFailing  = "failing"
)

// condition is what status concludes. docs/operations.md documents its JSON.
type condition struct {
	State    string `json:"state"` // ok, degraded or failing
	Exit     int    `json:"exit"`
	Sentence string `json:"sentence"`
}

// engineNodes are the nodes of one engine.
type engineNodes struct {
	name     string
	required bool
	mode     string // as in XSTATUS: empty for on
	nodes    []nodeStatus
}

// engines returns the nodes by engine, in the order of the configuration.
func (st *serverStatus) engines() (list []engineNodes) {
	at := map[string]int{}
	for _, n := range st.Nodes {
		i, known := at[n.Engine]
		if !known {
			i = len(list)
			at[n.Engine] = i
			list = append(list, engineNodes{name: n.Engine, required: n.Required, mode: n.Mode})
		}
		list[i].nodes = append(list[i].nodes, n)
	}
	return list
}

// unusable returns the nodes that polyclamd does not use.
func (e *engineNodes) unusable() (list []nodeStatus) {
	for _, n := range e.nodes {
		if !n.healthy() {
			list = append(list, n)
		}
	}
	return list
}

// failed reports whether polyclamd uses no node of the engine.
func (e *engineNodes) failed() bool { return len(e.unusable()) == len(e.nodes) }

// trouble says which nodes are not used, or returns "".
func (e *engineNodes) trouble() string {
	bad := e.unusable()
	name := e.title()
	switch {
	case len(bad) == 0:
		return ""
	case len(e.nodes) == 1:
		if bad[0].Address != "" {
			name += " at " + bad[0].Address
		}
		return name + " " + bad[0].summary()
	case e.failed():
		return fmt.Sprintf("none of the %d nodes of %s is usable: %s %s", len(e.nodes), name, bad[0].Address, bad[0].summary())
	case len(bad) == 1:
		return fmt.Sprintf("1 of %d nodes of %s is %s", len(e.nodes), e.name, downOrDrained(bad))
	}
	return fmt.Sprintf("%d of %d nodes of %s are %s", len(bad), len(e.nodes), e.name, downOrDrained(bad))
}

// downOrDrained says why the nodes are not used.
func downOrDrained(nodes []nodeStatus) string {
	drained := 0
	for _, n := range nodes {
		if n.Drained {
			drained++
		}
	}
	switch drained {
	case 0:
		return "down"
	case len(nodes):
		return "drained"
	}
	return "down or drained"
}

// words says why a node is not used: "is down: connection refused".
func (n *nodeStatus) words() string { return n.is(n.reason()) }

// summary is words without remedies, and without what the state or the address of the node
// says already.
func (n *nodeStatus) summary() string {
	reason := strings.Replace(n.reason(), n.Backend+" "+n.Address+": ", "", 1) // as in canary_error
	reason = strings.TrimPrefix(reason, "cannot connect: ")
	return n.is(firstSentence(reason))
}

// firstSentence returns the text up to a full stop that a capital letter follows.
func firstSentence(text string) string {
	for i := range text {
		if rest, ok := strings.CutPrefix(text[i:], ". "); ok && rest != "" && 'A' <= rest[0] && rest[0] <= 'Z' {
			return text[:i]
		}
	}
	return text
}

func (n *nodeStatus) is(reason string) string {
	text := "is " + n.State
	switch n.State {
	case "up", "unknown", "reloading":
		if n.Drained {
			return "is " + reason
		}
	}
	switch n.State {
	case "":
		text = "has no state"
	case "up", "unknown", "reloading":
		text = "does not find the test file"
	}
	if reason != "" {
		text += ": " + reason
	}
	return text
}

// pending says what the engine is still doing, or returns "".
func (e *engineNodes) pending() string {
	unknown, loading := 0, 0
	for _, n := range e.nodes {
		switch n.State {
		case "unknown":
			unknown++
		case "reloading":
			loading++
		}
	}
	switch {
	case unknown == len(e.nodes):
		return e.name + " is not yet checked"
	case loading == len(e.nodes):
		return e.name + " is loading its signatures"
	}
	return ""
}

// old says that signatures are older than max_signature_age, or returns "".
func (e *engineNodes) old(now time.Time) string {
	var oldest *nodeStatus
	stale := 0
	for i, n := range e.nodes {
		if !n.Stale || n.State == "down" { // if it is down for that, its reason says so
			continue
		}
		if stale++; oldest == nil || n.DatabaseTime.Before(oldest.DatabaseTime) {
			oldest = &e.nodes[i]
		}
	}
	if stale == 0 {
		return ""
	}
	where := e.name
	if stale < len(e.nodes) {
		where += " at " + oldest.Address
	}
	return fmt.Sprintf("the signatures of %s are %s old", where, since(now, oldest.DatabaseTime))
}

// judge concludes the condition of polyclamd.
func (st *serverStatus) judge(now time.Time) condition {
	engines := st.engines()
	var failing, degraded, pending []string
	on, required, works := false, false, false
	for i := range engines {
		e := &engines[i]
		if text := e.changed(); text != "" && e.required {
			degraded = append(degraded, text)
		} else if text != "" {
			pending = append(pending, text)
		}
		if e.mode != "" {
			if text := e.trouble(); text != "" && e.mode == modeObserve {
				pending = append(pending, text)
			}
			continue
		}
		on = true
		required = required || e.required
		works = works || !e.failed()
		switch text := e.trouble(); {
		case text == "":
		case e.failed() && e.required:
			failing = append(failing, text)
		default:
			degraded = append(degraded, text)
		}
		if text := e.old(now); text != "" {
			degraded = append(degraded, text)
		}
		if text := e.pending(); text != "" {
			pending = append(pending, text)
		}
	}
	switch {
	case !on && len(engines) > 0:
		failing = append([]string{"no engine is on (polyclam engine on NAME)"}, failing...)
	case !works && !required: // no engine that counts
		failing = append([]string{"no engine is usable"}, failing...)
	}
	if st.disk.trouble != "" {
		degraded = append(degraded, st.disk.trouble)
	}
	switch {
	case len(failing) > 0:
		return condition{stateFailing, exitFailed, "every scan is answered with ERROR: " + strings.Join(append(failing, degraded...), "; ")}
	case len(degraded) > 0:
		return condition{stateDegraded, exitFound, "polyclamd is up; " + strings.Join(append(degraded, pending...), "; ")}
	case len(pending) > 0:
		return condition{stateOK, exitOK, "polyclamd is up; " + strings.Join(pending, "; ")}
	}
	return condition{stateOK, exitOK, "everything is usable"}
}

// judgeUnreachable concludes the condition if no polyclamd answers.
func judgeUnreachable(err *unreachable, disk onDisk) condition {
	c := condition{stateFailing, exitFailed, "no polyclamd answers"}
	for i, f := range err.failures {
		if i == 0 || !isGone(f.err) { // an address where something answers is more interesting than an unused one
			c.Sentence = fmt.Sprintf("no polyclamd answers: %s", f)
		}
		if !isGone(f.err) {
			break
		}
	}
	if disk.trouble != "" {
		c.Sentence += "; " + disk.trouble
	}
	return c
}
