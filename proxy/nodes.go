package proxy

import "polyclam/protocol/extended"

// Nodes returns the nodes of all engines as XSTATUS reports them, in the order of the
// configuration.
func (s *Snapshot) Nodes() (list []extended.Node) {
	for _, e := range s.Engines {
		for _, n := range e.Nodes {
			list = append(list, NodeOf(e, n, s.Time))
		}
	}
	return list
}
