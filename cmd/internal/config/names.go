package config

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"strings"

	"polyclam/backends"
	"polyclam/cmd/internal/config/position"
	"polyclam/proxy/engine"
	"polyclam/proxy/resolve"
)

// This file has what concerns addresses that name servers resolve: "dns:..." and "srv:...".

// MostNodes is how many nodes the engine has at most.
func (e *Engine) MostNodes() (n int) {
	for _, a := range e.nodes() {
		if resolve.IsName(a) {
			n += e.MaxNodes
		} else {
			n++
		}
	}
	return n
}

func (e *Engine) resolver() *resolve.Resolver {
	return resolve.New(resolve.Config{Interval: e.Resolve, Servers: e.nameServers(), Limit: e.MaxNodes})
}

// nameServers are the name servers with their ports; none: those of the machine.
func (e *Engine) nameServers() (list []string) {
	for _, s := range e.NameServers {
		if address, ok := resolve.ServerAddress(s); ok {
			list = append(list, address)
		}
	}
	return list
}

// name returns the configuration of a name for package engine. It looks nothing up.
func (e *Engine) name(address string) engine.Name {
	n, _ := resolve.Parse(address) // validated
	one := *e
	r := one.resolver()
	return engine.Name{
		Address: address,
		Key:     fmt.Sprintf("%s %v %d %q", address, e.Resolve, e.MaxNodes, one.nameServers()),
		Limit:   e.MaxNodes,
		Watch: func(ctx context.Context, previous []resolve.Target, report func(resolve.Answer, error)) {
			r.Watch(ctx, n, previous, report)
		},
		Open: func(t resolve.Target) (engine.Node, error) { return one.openTarget(n, t) },
	}
}

// openTarget opens the backend for a node that was found by name.
func (e *Engine) openTarget(n resolve.Name, t resolve.Target) (engine.Node, error) {
	return e.openAt("tcp:"+t.Addr.String(), n.HostPort(t.Addr.Port()))
}

// openAt opens the backend for a node whose host has a name, or "".
func (e *Engine) openAt(address, host string) (engine.Node, error) {
	c, ok := e.config.(backends.HostConfig)
	if !ok || !c.UsesHost() {
		host = ""
	}
	node := engine.Node{Address: address, Identity: e.identity(address + host)} // before Open reads the files
	var err error
	if host != "" {
		node.Backend, err = c.OpenAt(address, host)
	} else {
		node.Backend, err = e.config.Open(address)
	}
	return node, err
}

// exampleNode is an address for documentation, see RFC 5737.
var exampleNode = netip.MustParseAddrPort("192.0.2.1:3310")

// open opens and returns the backend for an address. For a name it is that of a node at any
// address, to check the keys.
func (e *Engine) open(address string) (backends.Backend, error) {
	if !resolve.IsName(address) {
		return e.config.Open(address)
	}
	n, err := resolve.Parse(address)
	if err != nil {
		return nil, &backends.KeyError{Key: "address", Err: err}
	}
	node, err := e.openTarget(n, resolve.Target{Addr: exampleNode})
	return node.Backend, err
}

// Resolved looks up the names of e, once each, and returns the engine with the addresses that
// they have now, each written once. It calls warn for a name that does not resolve; that one
// is left out.
func (e Engine) Resolved(ctx context.Context, warn func(address string, err error)) (list []Engine) {
	seen := map[string]bool{}
	add := func(address, host string) {
		if seen[address] {
			return
		}
		seen[address] = true
		one := e
		one.host = host
		if one.Addresses = nil; address != "" {
			one.Addresses = []string{address}
		}
		list = append(list, one)
	}
	for _, address := range e.nodes() {
		if !resolve.IsName(address) {
			add(address, "")
			continue
		}
		n, _ := resolve.Parse(address)
		answer, err := e.resolver().Lookup(ctx, n, nil)
		if err != nil {
			warn(address, err)
		}
		for _, t := range answer.Targets {
			add("tcp:"+t.Addr.String(), n.HostPort(t.Addr.Port()))
		}
	}
	return list
}

// lookUpName adds a warning about a name that does not resolve now.
func (f *File) lookUpName(ctx context.Context, e *Engine, key position.Path, address string) {
	n, err := resolve.Parse(address)
	if err != nil {
		return
	}
	if _, err := e.resolver().Lookup(ctx, n, nil); err != nil {
		f.Warn(f.ProblemAt(key, "the name %s does not resolve now: %v; it is looked up again until it does", address, err))
	}
}

// validateNames checks the keys for names.
func validateNames(e *Engine, r *report, at position.Path) {
	list := at.Key("name_servers")
	for i, s := range e.NameServers {
		key := list.Element(i)
		if !r.has(key) {
			key = list // one string instead of an array
		}
		if _, ok := resolve.ServerAddress(s); !ok && r.isGood(key) {
			r.fail(key, "%q: write the IP address of a name server, with its port unless that is 53, for example \"127.0.0.1:8600\"", s)
		}
	}
}

// closeAll closes the backends of nodes that are not used.
func closeAll(nodes []engine.Node) {
	for _, n := range nodes {
		if c, ok := n.Backend.(io.Closer); ok {
			c.Close()
		}
	}
}

// validateNode checks the address of a node.
func validateNode(r *report, p position.Path, address string) {
	if !resolve.IsName(address) {
		if kind, _, ok := strings.Cut(address, ":"); ok && (strings.EqualFold(kind, "dns") || strings.EqualFold(kind, "srv")) {
			r.fail(p, "%q: write %q in lower case", address, strings.ToLower(kind)+":")
			return
		}
		validateAddress(r, p, address, 1)
		return
	}
	if _, err := resolve.Parse(address); err != nil {
		r.fail(p, "%v", err)
	}
}
