// Package judge concludes in one sentence what is wrong with a polyclamd. The tool and the
// status page use the same rules and the same words.
package judge

import (
	"fmt"
	"strings"
	"time"

	"polyclam/proxy/ops/human"
)

// The states of a condition.
const (
	OK       = "ok"
	Degraded = "degraded"
	Failing  = "failing"
)

// A Condition is what Of concludes.
type Condition struct {
	State    string // OK, Degraded or Failing
	Sentence string // escape it before it is shown
}

// engineNodes are the nodes of one engine.
type engineNodes struct {
	name     string
	required bool
	mode     string // as in XSTATUS: empty for on
	nodes    []Node
}

// byEngine returns the nodes by engine, in the order of the configuration.
func byEngine(nodes []Node) (list []engineNodes) {
	at := map[string]int{}
	for _, n := range nodes {
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
func (e *engineNodes) unusable() (list []Node) {
	for _, n := range e.nodes {
		if !n.Healthy() {
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
		return fmt.Sprintf("none of the %d nodes of %s is usable: %s", len(e.nodes), name, strings.TrimSpace(bad[0].Address+" "+bad[0].summary()))
	case len(bad) == 1:
		return fmt.Sprintf("1 of %d nodes of %s is %s", len(e.nodes), e.name, downOrDrained(bad))
	}
	return fmt.Sprintf("%d of %d nodes of %s are %s", len(bad), len(e.nodes), e.name, downOrDrained(bad))
}

// downOrDrained says why the nodes are not used.
func downOrDrained(nodes []Node) string {
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
	var oldest *Node
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
	if stale < len(e.nodes) && oldest.Address != "" {
		where += " at " + oldest.Address
	}
	if oldest.DatabaseTime.IsZero() { // a brief status
		return fmt.Sprintf("the signatures of %s are older than max_signature_age", where)
	}
	return fmt.Sprintf("the signatures of %s are %s old", where, human.Since(now, oldest.DatabaseTime))
}

// Of concludes the condition of a polyclamd with these nodes. trouble is what is wrong with
// its configuration, see [ConfigTrouble]; empty: nothing.
func Of(nodes []Node, trouble string, now time.Time) Condition {
	engines := byEngine(nodes)
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
	if trouble != "" {
		degraded = append(degraded, trouble)
	}
	switch {
	case len(failing) > 0:
		return Condition{Failing, "every scan is answered with ERROR: " + strings.Join(append(failing, degraded...), "; ")}
	case len(degraded) > 0:
		return Condition{Degraded, "polyclamd is up; " + strings.Join(append(degraded, pending...), "; ")}
	case len(pending) > 0:
		return Condition{OK, "polyclamd is up; " + strings.Join(pending, "; ")}
	}
	return Condition{OK, "everything is usable"}
}
