package admin

import (
	"fmt"
	"maps"
	"slices"

	"polyclam/proxy/engine"
)

// view is what decides whether scans can be answered: the engines, with the nodes that scans
// may use.
type view []engineView

type engineView struct {
	name     string
	kind     string // its backend
	mode     engine.Mode
	required bool
	nodes    []nodeView
}

type nodeView struct {
	address string
	state   string
	usable  bool
}

// look returns the present state of the engines.
func look(engines []steered) view {
	v := make(view, 0, len(engines))
	for _, e := range engines {
		one := engineView{name: e.Name(), mode: e.Mode(), required: e.Required()}
		status := e.Status()
		one.kind = status.Kind
		for _, n := range status.Nodes {
			one.nodes = append(one.nodes, nodeView{n.Address, stateOf(n), isUsable(n)})
		}
		v = append(v, one)
	}
	return v
}

// isUsable reports whether scans may use a node. One that is not yet checked counts: the
// first scan waits for its check.
func isUsable(n engine.NodeStatus) bool {
	return !n.Drained && (n.State == "up" || n.State == "unknown" || n.State == "reloading")
}

// stateOf returns the state of a node in one word.
func stateOf(n engine.NodeStatus) string {
	if n.Drained {
		return "drained"
	}
	return n.State
}

// with returns a copy of v with another mode for an engine.
func (v view) with(name string, mode engine.Mode) view {
	out := append(view(nil), v...)
	for i := range out {
		if out[i].name == name {
			out[i].mode = mode
		}
	}
	return out
}

// without returns a copy of v in which scans may not use the nodes of an engine with this
// address; "" means all of them.
func (v view) without(name, address string) view {
	out := append(view(nil), v...)
	for i := range out {
		if out[i].name != name {
			continue
		}
		out[i].nodes = append([]nodeView(nil), out[i].nodes...)
		for j := range out[i].nodes {
			if n := &out[i].nodes[j]; address == "" || n.address == address {
				n.usable = false
			}
		}
	}
	return out
}

// outages lists the reasons for which no scan can be answered, in words for "... would be ...".
func (v view) outages() (list []string) {
	on, usable := 0, false
	for _, e := range v {
		if e.mode != engine.On {
			continue
		}
		on++
		switch {
		case e.hasUsable():
			usable = true
		case e.required:
			list = append(list, fmt.Sprintf("%s, which is required, would have no usable node", e.name))
		}
	}
	switch {
	case on == 0:
		list = append(list, "no engine would be on")
	case !usable && len(list) == 0:
		list = append(list, "no engine that is on would have a usable node")
	}
	return list
}

func (e engineView) hasUsable() bool {
	for _, n := range e.nodes {
		if n.usable {
			return true
		}
	}
	return false
}

// inspectKind is the backend that recognizes test files and encryption, but no viruses.
const inspectKind = "inspect"

// findsViruses reports whether an engine is on that looks for viruses.
func (v view) findsViruses() bool {
	return slices.ContainsFunc(v, func(e engineView) bool { return e.mode == engine.On && e.kind != inspectKind })
}

// outage returns what the change from v to after would do to every scan, or to those of a
// listener with its own engines, or "" if that is nothing new.
func (v view) outage(after view, sets map[string][]string) string {
	if text := newOutage(v, after); text != "" {
		return text + ": every scan would be answered with ERROR, and every mail would be tempfailed"
	}
	for _, address := range slices.Sorted(maps.Keys(sets)) {
		if text := newOutage(v.only(sets[address]), after.only(sets[address])); text != "" {
			return text + ": every scan for the listener " + address + " would be answered with ERROR, and every mail there would be tempfailed"
		}
	}
	return ""
}

// unscanned returns what the change from v to after would leave unscanned for viruses, or "" if
// that is nothing new.
func (v view) unscanned(after view, sets map[string][]string) string {
	const text = "only inspect would be on, which recognizes test files and encryption: no object would be scanned for viruses"
	if v.findsViruses() && !after.findsViruses() {
		return text
	}
	for _, address := range slices.Sorted(maps.Keys(sets)) {
		if v.only(sets[address]).findsViruses() && !after.only(sets[address]).findsViruses() {
			return text + ", for the listener " + address
		}
	}
	return ""
}

// newOutage returns an outage that is in after, but not in before.
func newOutage(before, after view) string {
	known := before.outages()
	for _, text := range after.outages() {
		if !slices.Contains(known, text) {
			return text
		}
	}
	return ""
}

// only returns the engines with these names.
func (v view) only(names []string) (out view) {
	for _, e := range v {
		if slices.Contains(names, e.name) {
			out = append(out, e)
		}
	}
	return out
}
