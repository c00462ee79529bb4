package page

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"polyclam/backends"
	"polyclam/proxy"
	"polyclam/proxy/count"
	"polyclam/proxy/engine"
	"polyclam/proxy/ops/human"
	"polyclam/proxy/ops/judge"
)

// An engineView is an engine and its nodes.
type engineView struct {
	Name            cut
	Backend         string
	Required        string
	Mode, ModeClass string
	Load            string
	Names           []nameView
	Nodes           []nodeView
}

// A nameView is an address of an engine that name servers resolve.
type nameView struct {
	Name, Text, Reason cut
	Class              string // of Reason
}

// A nodeView is a node.
type nodeView struct {
	Name, FoundAs        cut
	State, StateClass    string
	Reason               cut
	InFlight             string
	Results, Kinds       []counted
	Failures             string
	Failed               bool // there were failures in the last hour
	Spark, SparkFailures string
	SparkLabel, Checked  string
	Latency              []string
	Version              cut
	Age                  string // of the signatures
	Old                  bool
	Checks               []check
}

type counted struct{ Name, Count string }

// A check is the result for one of the test objects.
type check struct {
	Name   string
	Result cut
	Class  string
}

// engines returns the engines of a snapshot. nodes are all of its nodes.
func (p *Page) engines(s *proxy.Snapshot, nodes []judge.Node) (list []engineView) {
	for i := range s.Engines {
		e := &s.Engines[i]
		v := newEngine(e)
		for j := range e.Nodes {
			v.Nodes = append(v.Nodes, p.node(e, &e.Nodes[j], &nodes[j], s.Time))
		}
		v.Names = names(nodes[:len(e.Nodes)])
		nodes = nodes[len(e.Nodes):]
		list = append(list, v)
	}
	return list
}

// maxNames is how many names of an engine are shown.
const maxNames = 8

// names returns the names of an engine's nodes.
func names(nodes []judge.Node) (list []nameView) {
	all := judge.Lookups(nodes)
	for _, l := range all[:min(len(all), maxNames)] {
		v := nameView{Name: shown(l.Name, maxName), Text: shown(l.Text, maxReason), Reason: shown(l.Reason, maxReason), Class: warn}
		if l.Unresolved {
			v.Class = bad
		}
		list = append(list, v)
	}
	if more := len(all) - len(list); more > 0 {
		list = append(list, nameView{Text: cut{Text: "and " + human.Plural(int64(more), "more name") + ", see polyclam status"}})
	}
	return list
}

func newEngine(e *engine.Status) engineView {
	v := engineView{Name: shown(e.Name, maxName), Backend: shown(e.Kind, maxName).Text, Required: "optional"}
	if e.Required {
		v.Required = "required"
	}
	v.Mode, v.ModeClass = mode(e)
	busy := 0
	for _, n := range e.Nodes {
		busy += n.InFlight
	}
	load := []string{fmt.Sprintf("%d of %s in use, %d waiting", busy, human.Plural(int64(e.Slots), "slot"), e.Waiting)}
	if c := &e.Counters; c.Replays > 0 {
		load = append(load, number(c.Replays)+" repeated on another node")
	}
	if c := &e.Counters; c.Hedges > 0 {
		load = append(load, fmt.Sprintf("%s asked twice because slow, %s won", number(c.Hedges), number(c.HedgesWon)))
	}
	if n := e.Unasked.Total(); n > 0 {
		load = append(load, number(n)+" without a node")
	}
	v.Load = strings.Join(load, ", ")
	return v
}

func (p *Page) node(e *engine.Status, n *engine.NodeStatus, judged *judge.Node, now time.Time) nodeView {
	v := nodeView{
		Name:     shown(cmp.Or(n.Address, "built in"), maxName),
		InFlight: number(n.InFlight),
		Results:  nonZero(&n.Counters.Results, func(c backends.Category) bool { return !c.IsFailure() }),
		Kinds:    nonZero(&n.Counters.Kinds, backends.Category.IsFailure),
		Failures: number(n.Counters.Failures),
		Version:  shown(n.Version, maxName),
		Old:      n.Stale,
		Age:      human.Since(now, n.DatabaseTime),
		Checked:  human.Since(now, n.Canary.Time),
		Checks:   checks(&n.Canary),
	}
	if n.Name != n.Address {
		v.FoundAs = shown(n.Name, maxName)
	}
	v.State, v.StateClass = state(e, n, judged)
	if judged.Why() != "" {
		v.Reason = shown(strings.TrimPrefix(judged.Explain(), "is "), maxReason)
	}
	if n.Limit > 0 {
		v.InFlight += fmt.Sprintf(", limited to %d", n.Limit)
	}
	if v.Checked != "" {
		v.Checked += " ago"
	}
	if list, ok := p.history.node(e.Name, n.Address); ok {
		s := newSpark(&list)
		v.Spark, v.SparkFailures, v.SparkLabel = s.Times, s.Failures, s.Label
		if s.Latency != "" {
			v.Latency = strings.Split(s.Latency, ", ")
		}
		v.Failed = s.Failures != ""
	}
	return v
}

// mode returns the mode of an engine and its class.
func mode(e *engine.Status) (text, class string) {
	switch e.Mode {
	case engine.Observe:
		return "observe", warn
	case engine.Off:
		return "off", "off"
	}
	return "on", ""
}

// state returns the state of a node and its class.
func state(e *engine.Status, n *engine.NodeStatus, judged *judge.Node) (text, class string) {
	text = cmp.Or(shown(n.State, maxName).Text, "no state")
	switch {
	case n.Drained:
		return text + ", drained", warn
	case !judged.Healthy() && (e.Mode == engine.Observe || e.Mode == engine.Off):
		return text, warn
	case !judged.Healthy():
		return text, bad
	case n.State == "up":
		return text, good
	}
	return text, ""
}

// nonZero returns the counts that are not 0, the most frequent first.
func nonZero(v *count.ByCategory, include func(backends.Category) bool) (list []counted) {
	type pair struct {
		category backends.Category
		n        uint64
	}
	var pairs []pair
	for category, n := range v.All() {
		if n > 0 && include(category) {
			pairs = append(pairs, pair{category, n})
		}
	}
	slices.SortStableFunc(pairs, func(a, b pair) int { return cmp.Compare(b.n, a.n) })
	for _, p := range pairs {
		list = append(list, counted{string(p.category), number(p.n)})
	}
	return list
}

// checks returns the results of a health check.
func checks(c *engine.Canary) (list []check) {
	add := func(name string, result backends.Category, class string) {
		if result != "" {
			list = append(list, check{name, shown(string(result), maxName), class})
		}
	}
	class := func(isGood bool) string {
		if isGood {
			return ""
		}
		return bad
	}
	add("clean", c.Clean, class(c.Clean == backends.OK))
	add("EICAR", c.EICAR, class(c.EICAR == backends.Virus || c.EICAR == backends.Suspicious))
	add("encrypted", c.Encrypted, "")
	add("mail", c.Mail, "")
	return list
}
