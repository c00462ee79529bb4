package metrics

import (
	"polyclam/proxy"
	"polyclam/proxy/engine"
)

// A state is a snapshot with the label values of its parts.
type state struct {
	proxy.Snapshot
	listeners map[string]string // label values by address
	engines   []engineState
}

type engineState struct {
	engine.Status
	label string
	nodes []nodeState
	names []nameState
}

type nameState struct {
	engine.NameStatus
	engine, label string
}

type nodeState struct {
	engine.NodeStatus
	engine, label string
	slots         int
}

func newState(snap proxy.Snapshot) *state {
	s := &state{Snapshot: snap, listeners: map[string]string{}}
	addresses, names := labels{}, labels{}
	for _, t := range snap.Times {
		s.listeners[t.Listener] = addresses.unique(t.Listener)
	}
	for _, e := range snap.Engines {
		es := engineState{Status: e, label: names.unique(e.Name)}
		nodes := labels{}
		for _, n := range e.Nodes {
			ns := nodeState{NodeStatus: n, engine: es.label, label: nodes.unique(n.Address), slots: n.Limit}
			if ns.slots == 0 {
				ns.slots = e.Slots / len(e.Nodes)
			}
			es.nodes = append(es.nodes, ns)
		}
		addresses := labels{}
		for _, n := range e.Names {
			es.names = append(es.names, nameState{n, es.label, addresses.unique(n.Address)})
		}
		s.engines = append(s.engines, es)
	}
	return s
}

// eachEngine returns the write function of a family with metrics for each engine.
func eachEngine(write func(e engineState, w *writer)) func(*state, *writer) {
	return func(s *state, w *writer) {
		for _, e := range s.engines {
			write(e, w)
		}
	}
}

// eachNode returns the write function of a family with metrics for each node.
func eachNode(write func(n nodeState, w *writer)) func(*state, *writer) {
	return func(s *state, w *writer) {
		for _, e := range s.engines {
			for _, n := range e.nodes {
				write(n, w)
			}
		}
	}
}

// eachName returns the write function of a family with metrics for each name.
func eachName(write func(n nameState, w *writer)) func(*state, *writer) {
	return func(s *state, w *writer) {
		for _, e := range s.engines {
			for _, n := range e.names {
				write(n, w)
			}
		}
	}
}
