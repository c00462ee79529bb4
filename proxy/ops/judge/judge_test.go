package judge

import (
	"testing"
	"time"

	"polyclam/protocol/extended"
)

func TestOf(t *testing.T) {
	now := time.Date(2026, 11, 23, 13, 48, 0, 0, time.Local)
	up := extended.Node{Engine: "a", Required: true, State: "up", CanaryEICAR: "virus"}
	down := extended.Node{Engine: "b", State: "down", Reason: "refused", Address: "tcp:x"}
	required := down
	required.Required = true
	refused := ConfigTrouble(&extended.Server{About: extended.About{ConfigRefused: now.Add(-time.Hour), ConfigProblem: "line 3"}}, now)
	for _, tt := range []struct {
		name     string
		nodes    []extended.Node
		trouble  string
		state    string
		sentence string
	}{
		{"good", []extended.Node{up}, "", OK, "everything is usable"},
		{"optional", []extended.Node{up, down}, "", Degraded, "polyclamd is up; b (optional) at tcp:x is down: refused"},
		{"required", []extended.Node{up, required}, "", Failing, "every scan is answered with ERROR: b (required) at tcp:x is down: refused"},
		{"configuration", []extended.Node{up}, refused, Degraded, "polyclamd is up; the configuration on disk is refused since 12:48: line 3"},
		{"none", nil, "", Failing, "every scan is answered with ERROR: no engine is usable"},
	} {
		var nodes []Node
		for _, n := range tt.nodes {
			nodes = append(nodes, Node{Node: n})
		}
		if got := Of(nodes, tt.trouble, now); got != (Condition{tt.state, tt.sentence}) {
			t.Errorf("%s: got %+v", tt.name, got)
		}
	}
}

func TestSteered(t *testing.T) {
	now := time.Now()
	node := func(name string, change func(*extended.Node)) Node {
		n := extended.Node{Engine: name, Required: true, State: "up", CanaryEICAR: "virus"}
		if change != nil {
			change(&n)
		}
		return Node{Node: n}
	}
	drained := func(n *extended.Node) { n.Drained = true }
	observed := func(n *extended.Node) { n.Mode, n.State, n.ObservedDiffer = "observe", "down", 2 }
	for _, tt := range []struct {
		name            string
		nodes           []Node
		state, sentence string
		remarks         int
	}{
		{"drained", []Node{node("a", drained), node("a", nil)}, Degraded, "polyclamd is up; 1 of 2 nodes of a is drained", 0},
		{"all drained", []Node{node("a", drained)}, Failing, "every scan is answered with ERROR: a (required) is drained by an administrator (polyclam node resume a)", 0},
		{"observed", []Node{node("a", nil), node("b", observed)}, OK, "polyclamd is up; b (observed) is down", 1},
	} {
		if got := Of(tt.nodes, "", now); got != (Condition{tt.state, tt.sentence}) {
			t.Errorf("%s: got %+v", tt.name, got)
		}
		if got := ModeRemarks(tt.nodes); len(got) != tt.remarks {
			t.Errorf("%s: the remarks are %q", tt.name, got)
		}
	}
}

func TestExplain(t *testing.T) {
	for _, tt := range []struct {
		node extended.Node
		want string
	}{
		{extended.Node{State: "down", Backend: "b", Address: "tcp:x", CanaryError: "b tcp:x: cannot connect: refused. Is it up?"}, "is down: refused. Is it up?"},
		{extended.Node{State: "up", CanaryEICAR: "virus", CanaryError: "a mail was not scanned"}, "is up: a mail was not scanned"},
		{extended.Node{State: "up", CanaryEICAR: "ok"}, "does not find the test file"},
		{extended.Node{Engine: "e", State: "up", Drained: true}, "is drained by an administrator (polyclam node resume e)"},
	} {
		n := Node{Node: tt.node}
		if got := n.Explain(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}
