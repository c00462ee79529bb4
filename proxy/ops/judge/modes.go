package judge

import (
	"fmt"

	"polyclam/proxy/ops/human"
)

// The modes of an engine, other than on.
const (
	modeObserve = "observe"
	modeOff     = "off"
)

// ModeWords are the modes in words.
var ModeWords = map[string]string{"": "on", "on": "on", modeObserve: "observed", modeOff: "off"}

// configured returns the configured mode if it is not the one in use, else "".
func (e *engineNodes) configured() string { return e.nodes[0].ConfiguredMode }

// title is the name of the engine, and whether its results count.
func (e *engineNodes) title() string {
	switch {
	case e.mode != "":
		return e.name + " (" + ModeWords[e.mode] + ")"
	case e.required:
		return e.name + " (required)"
	}
	return e.name + " (optional)"
}

// changed says that the engine's results do not count since a command, although the
// configuration has another mode, or returns "".
func (e *engineNodes) changed() string {
	if e.mode == "" || e.configured() == "" {
		return ""
	}
	role := "optional"
	if e.required {
		role = "required"
	}
	state := "is off"
	if e.mode == modeObserve {
		state = "is only observed"
	}
	return fmt.Sprintf("%s (%s) %s, not as in the configuration (polyclam engine %s %s)", e.name, role, state, e.configured(), e.name)
}

// modeRemark says what the engine's results are used for, unless they count as configured;
// then it returns "".
func (e *engineNodes) modeRemark() string {
	n, text := &e.nodes[0], ""
	switch {
	case e.mode == modeOff:
		text = e.name + " is off: it gets no objects"
	case e.mode == modeObserve:
		text = fmt.Sprintf("%s is observed: its results do not count. They would have changed %d of %s; it did not get %s",
			e.name, n.ObservedDiffer, human.Plural(n.ObservedSame+n.ObservedDiffer, "verdict"), human.Plural(n.ObservedSkipped, "object"))
	case e.configured() != "":
		text = e.name + " is on"
	default:
		return ""
	}
	if c := e.configured(); c != "" {
		text += "; the configuration says " + c + ", which will be in use after a restart"
	}
	return text
}

// ModeRemarks says what the results of engines are used for, unless they count as
// configured.
func ModeRemarks(nodes []Node) (list []string) {
	for _, e := range byEngine(nodes) {
		if text := e.modeRemark(); text != "" {
			list = append(list, text)
		}
	}
	return list
}

// Cell is the state of the node with whatever else decides whether its results count.
func (n *Node) Cell() string {
	text := n.State
	if n.Drained {
		text += ", drained"
	}
	switch {
	case n.Mode != "":
		text += ", " + ModeWords[n.Mode]
	case !n.Required:
		text += ", optional"
	}
	return text
}
