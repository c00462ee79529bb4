package admin

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"

	"polyclam/proxy/engine"
)

// nodeRequest is the body of /node/drain and /node/resume.
type nodeRequest struct {
	Engine string `json:"engine"`
	Node   string `json:"node"` // an address; empty: all nodes
	Force  bool   `json:"force"`
}

// nodeAnswer is the answer to it.
type nodeAnswer struct {
	Engine string       `json:"engine"`
	Nodes  []nodeChange `json:"nodes"`
}

type nodeChange struct {
	Address string `json:"address"`
	Before  string `json:"before"` // its state
	After   string `json:"after"`
}

// engineRequest is the body of /engine/mode.
type engineRequest struct {
	Engine string      `json:"engine"`
	Mode   engine.Mode `json:"mode"`
	Force  bool        `json:"force"`
}

// engineAnswer is the answer to it.
type engineAnswer struct {
	Engine string      `json:"engine"`
	Before engine.Mode `json:"before"`
	After  engine.Mode `json:"after"`
}

func (h *handler) drain(r *http.Request, o nodeRequest) (any, error) {
	return h.steerNodes(r, "node drain", o, steered.Drain, func(v view) view { return v.without(o.Engine, o.Node) })
}

func (h *handler) resume(r *http.Request, o nodeRequest) (any, error) {
	return h.steerNodes(r, "node resume", o, steered.Resume, func(v view) view { return v })
}

// steerNodes does something to nodes of an engine, unless the state after it would be an
// outage.
func (h *handler) steerNodes(r *http.Request, what string, o nodeRequest, do func(steered, string) error, after func(view) view) (answer any, err error) {
	entry := h.entry(r, what).target(o.Engine, o.Node).forced(o.Force)
	defer func() { entry.write(err) }()
	h.mu.Lock()
	defer h.mu.Unlock()
	engines := h.engines()
	e, err := find(engines, o.Engine)
	if err != nil {
		return nil, err
	}
	v := look(engines)
	before := v.nodesOf(o.Engine, o.Node)
	if len(before) == 0 {
		return nil, unknownNode(v, o)
	}
	if text := v.outage(after(v), h.sets()); text != "" && !o.Force {
		return nil, refuseOutage(text)
	}
	if err := do(e, o.Node); err != nil {
		return nil, badRequest("%s: %v", shown(o.Engine), err)
	}
	out := nodeAnswer{Engine: e.Name()}
	now := look([]steered{e}).nodesOf(o.Engine, o.Node)
	for _, n := range before {
		change := nodeChange{Address: n.address, Before: n.state}
		if i := slices.IndexFunc(now, func(m nodeView) bool { return m.address == n.address }); i >= 0 {
			change.After = now[i].state
		}
		out.Nodes = append(out.Nodes, change)
	}
	entry.changed(states(before), states(now))
	return out, nil
}

func (h *handler) setMode(r *http.Request, o engineRequest) (answer any, err error) {
	entry := h.entry(r, "engine mode").target(o.Engine, "").forced(o.Force)
	entry.wanted = string(o.Mode)
	defer func() { entry.write(err) }()
	if !slices.Contains(engine.Modes(), o.Mode) {
		return nil, badRequest("unknown mode \"%s\"; known: %s", shown(string(o.Mode)), list(engine.ModeNames()))
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	engines := h.engines()
	e, err := find(engines, o.Engine)
	if err != nil {
		return nil, err
	}
	v, before := look(engines), e.Mode()
	after := v.with(o.Engine, o.Mode)
	if text := cmp.Or(v.outage(after, h.sets()), v.unscanned(after, h.sets())); text != "" && !o.Force {
		return nil, refuseOutage(text)
	}
	if err := e.SetMode(o.Mode); err != nil {
		return nil, badRequest("%s: %v", e.Name(), err)
	}
	entry.changed(string(before), string(e.Mode()))
	return engineAnswer{Engine: e.Name(), Before: before, After: e.Mode()}, nil
}

// find returns the engine with a name.
func find(engines []steered, name string) (steered, error) {
	var names []string
	for _, e := range engines {
		if e.Name() == name {
			return e, nil
		}
		names = append(names, e.Name())
	}
	if name == "" {
		return nil, badRequest("the request names no engine; known: %s", list(names))
	}
	return nil, &refusal{status: http.StatusNotFound, text: fmt.Sprintf("unknown engine \"%s\"; known: %s", shown(name), list(names))}
}

// nodesOf returns the nodes of an engine with this address; "" means all of them.
func (v view) nodesOf(name, address string) (nodes []nodeView) {
	for _, e := range v {
		for _, n := range e.nodes {
			if e.name == name && (address == "" || n.address == address) {
				nodes = append(nodes, n)
			}
		}
	}
	return nodes
}

func unknownNode(v view, o nodeRequest) error {
	var known []string
	for _, n := range v.nodesOf(o.Engine, "") {
		if n.address != "" {
			known = append(known, n.address)
		}
	}
	if len(known) == 0 {
		return &refusal{status: http.StatusNotFound, text: fmt.Sprintf("%s has no nodes with addresses; leave the node out", o.Engine)}
	}
	return &refusal{status: http.StatusNotFound, text: fmt.Sprintf("unknown node \"%s\" of %s; known: %s", shown(o.Node), o.Engine, list(known))}
}

func refuseOutage(text string) error {
	return &refusal{status: http.StatusConflict, text: text + "; with force it is done nevertheless", force: true}
}

// states joins the states of nodes for the log: "up", or "up, down".
func states(nodes []nodeView) string {
	var words []string
	for _, n := range nodes {
		words = append(words, n.state)
	}
	return list(words)
}
