package judge

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"polyclam/proxy/ops/human"
)

// A Lookup is the state of an address that name servers resolve, as "dns:" and "srv:".
type Lookup struct {
	Engine, Name string
	Text         string // how many nodes it has, when it was answered and is looked up again
	Reason       string // what is wrong with the last lookup, or ""
	Unresolved   bool   // it has no node
}

// Lookups returns the names of nodes, each once for an engine.
func Lookups(nodes []Node) (list []Lookup) {
	for i := range nodes {
		n := &nodes[i]
		if n.FoundAs == "" || slices.ContainsFunc(list, func(l Lookup) bool { return l.Engine == n.Engine && l.Name == n.FoundAs }) {
			continue
		}
		found := 0
		for j := range nodes {
			if o := &nodes[j]; o.Engine == n.Engine && o.FoundAs == n.FoundAs && o.Address != n.FoundAs {
				found++
			}
		}
		list = append(list, n.lookup(found))
	}
	return list
}

// lookup describes the name of a node that has so many nodes.
func (n *Node) lookup(nodes int) Lookup {
	l := Lookup{Engine: n.Engine, Name: n.FoundAs, Reason: n.NameReason, Unresolved: nodes == 0}
	parts := []string{human.Plural(int64(nodes), "node")}
	if n.NameNotUsed > 0 {
		parts = append(parts, fmt.Sprintf("%d more not used (max_nodes)", n.NameNotUsed))
	}
	if l.Unresolved && n.NameAge == 0 {
		parts = append(parts, "never answered")
	} else {
		parts = append(parts, "last answered "+human.Age(time.Duration(n.NameAge)*time.Second)+" ago")
	}
	if n.NameNext > 0 {
		parts = append(parts, "next lookup in "+human.Age(time.Duration(n.NameNext)*time.Second))
	} else {
		parts = append(parts, "next lookup now")
	}
	if n.NameFailures > 0 {
		parts = append(parts, fmt.Sprintf("%s failed since the start", human.Plural(n.NameFailures, "lookup")))
	}
	l.Text = strings.Join(parts, ", ")
	return l
}
