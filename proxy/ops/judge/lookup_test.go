package judge

import (
	"testing"

	"polyclam/protocol/extended"
)

func TestLookups(t *testing.T) {
	name := func(engine, address string, change func(*extended.Node)) Node {
		n := Node{extended.Node{Engine: engine, Address: address, FoundAs: "dns:a:1", NameAge: 12, NameNext: 8}}
		if change != nil {
			change(&n.Node)
		}
		return n
	}
	for _, tt := range []struct {
		name  string
		nodes []Node
		want  []Lookup
	}{
		{"no name", []Node{{extended.Node{Engine: "x", Address: "tcp:a:1"}}}, nil},
		{"two nodes", []Node{name("x", "tcp:10.0.0.1:1", nil), name("x", "tcp:10.0.0.2:1", nil)},
			[]Lookup{{Engine: "x", Name: "dns:a:1", Text: "2 nodes, last answered 12 seconds ago, next lookup in 8 seconds"}}},
		{"two engines", []Node{name("x", "tcp:10.0.0.1:1", nil), name("y", "tcp:10.0.0.1:1", nil)}, []Lookup{
			{Engine: "x", Name: "dns:a:1", Text: "1 node, last answered 12 seconds ago, next lookup in 8 seconds"},
			{Engine: "y", Name: "dns:a:1", Text: "1 node, last answered 12 seconds ago, next lookup in 8 seconds"}}},
		{"just answered", []Node{name("x", "tcp:10.0.0.1:1", func(n *extended.Node) { n.NameAge, n.NameNext = 0, 0 })},
			[]Lookup{{Engine: "x", Name: "dns:a:1", Text: "1 node, last answered 0 seconds ago, next lookup now"}}},
		{"failing", []Node{name("x", "tcp:10.0.0.1:1", func(n *extended.Node) {
			n.NameAge, n.NameFailures, n.NameReason, n.NameNotUsed = 720, 3, "no name server answers", 2
		})}, []Lookup{{Engine: "x", Name: "dns:a:1", Reason: "no name server answers",
			Text: "1 node, 2 more not used (max_nodes), last answered 12 minutes ago, next lookup in 8 seconds, 3 lookups failed since the start"}}},
		{"never", []Node{name("x", "dns:a:1", func(n *extended.Node) { n.NameAge, n.NameFailures, n.NameReason = 0, 1, "unknown name" })},
			[]Lookup{{Engine: "x", Name: "dns:a:1", Reason: "unknown name", Unresolved: true, Text: "0 nodes, never answered, next lookup in 8 seconds, 1 lookup failed since the start"}}},
	} {
		got := Lookups(tt.nodes)
		if len(got) != len(tt.want) {
			t.Errorf("%s: got %+v", tt.name, got)
			continue
		}
		for i := range got {
			if got[i] != tt.want[i] {
				t.Errorf("%s: got\n%+v\nwant\n%+v", tt.name, got[i], tt.want[i])
			}
		}
	}
}
