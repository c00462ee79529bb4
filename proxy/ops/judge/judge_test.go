package judge

import (
	"strings"
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

func TestOlderThan(t *testing.T) {
	now := time.Now()
	nodes := []Node{
		{Node: extended.Node{Engine: "a", Address: "new", DatabaseTime: now}},
		{Node: extended.Node{Engine: "a", Address: "old", DatabaseTime: now.Add(-50 * time.Hour)}},
		{Node: extended.Node{Engine: "b", Address: "other", DatabaseTime: now.Add(-90 * time.Hour)}},
	}
	for i, want := range []string{"", "its signatures are 2 days older than those of new", ""} {
		if got := strings.Join(nodes[i].OlderThan(nodes), "; "); got != want {
			t.Errorf("node %d: %q, want %q", i, got, want)
		}
	}
}
