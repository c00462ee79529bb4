package engine

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"polyclam/backends"
	"polyclam/proxy/resolve"
)

// A Name is an address that name servers resolve while the engine runs. Each address that it
// has at present is a node.
type Name struct {
	Address string // as configured
	// Key identifies how the name is looked up. A reload that keeps it also keeps the time
	// of the next lookup.
	Key   string
	Limit int // nodes at most
	// Watch looks the name up until ctx ends, see [resolve.Resolver.Watch].
	Watch func(ctx context.Context, previous []resolve.Target, report func(resolve.Answer, error))
	// Open opens the backend of a node. It may read files.
	Open func(t resolve.Target) (Node, error)
}

// name is a Name and what is known about it.
type name struct {
	work sync.Mutex // held while backends are opened

	// The rest is guarded by pool.mu.
	Name
	version int                // counts the configurations of the name
	created time.Time          // since when the name is looked up
	stop    context.CancelFunc // ends the lookups; nil: not begun
	known   bool               // a lookup has ended
	targets []resolve.Target   // of the last good answer
	wanted  []wanted           // the nodes for it, or for the one before while backends are opened
	opened  int                // version of the configuration that wanted belongs to

	answered time.Time // the last good answer
	next     time.Time // the next lookup; in the past: under way
	failures uint64    // lookups without one
	err      error     // what is wrong with the last lookup
	failing  time.Time // since when
	dropped  int       // addresses beyond the limit
}

// wanted is a target with its node, which other names or the configuration may have too.
type wanted struct {
	resolve.Target
	node *node
}

func newName(n Name) *name { return &name{Name: n, created: time.Now()} }

// inherit makes n, the new configuration of a name, go on with the answers of old. The caller
// holds mu.
func (n *name) inherit(old *name) {
	n.created, n.known, n.targets, n.wanted, n.opened = old.created, old.known, old.targets, old.wanted, -1
	n.answered, n.next, n.failures, n.err, n.failing, n.dropped = old.answered, old.next, old.failures, old.err, old.failing, old.dropped
}

// startNames begins the lookups of new names. They end with ctx or the engine.
func (p *pool) startNames(ctx context.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closing {
		return
	}
	for _, n := range p.names {
		if n.stop != nil {
			continue
		}
		var lookups context.Context
		lookups, n.stop = context.WithCancel(ctx)
		context.AfterFunc(p.life, n.stop)
		go p.watch(lookups, n)
	}
}

// panicPause is how long a name is not looked up after a panic.
const panicPause = 10 * time.Second

// watch looks n up until ctx ends. Name servers are not trusted: a panic only delays the next
// lookup.
func (p *pool) watch(ctx context.Context, n *name) {
	for ctx.Err() == nil {
		p.mu.Lock()
		targets := n.targets
		p.mu.Unlock()
		func() {
			defer func() {
				if v := recover(); v != nil {
					p.answered(n, resolve.Answer{}, p.panicked(n.Address, v))
				}
			}()
			n.Watch(ctx, targets, func(a resolve.Answer, err error) { p.answered(n, a, err) })
		}()
		select {
		case <-ctx.Done():
		case <-time.After(panicPause):
		}
	}
}

// answered applies the outcome of a lookup.
func (p *pool) answered(n *name, a resolve.Answer, err error) {
	p.mu.Lock()
	if !slices.Contains(p.names, n) {
		p.mu.Unlock()
		return
	}
	log := n.record(a, err)
	first := !n.known
	n.known = true
	renew := err == nil && (n.opened != n.version || !slices.EqualFunc(n.wanted, n.targets, func(w wanted, t resolve.Target) bool { return w.Target == t }))
	if first {
		p.dispatchAll() // scans wait for the first lookup
	}
	kept := len(n.wanted)
	p.mu.Unlock()
	p.logLookup(n.Address, log, kept)
	if renew {
		p.renew(n)
	}
}

// lookupLog is what is to be logged about a lookup.
type lookupLog struct {
	failed, partial error         // newly
	back            time.Duration // for how long there was no complete answer; 0: nothing to log
	dropped         int           // newly
}

// record records the outcome of a lookup. The caller holds mu.
func (n *name) record(a resolve.Answer, err error) (log lookupLog) {
	now, before := time.Now(), n.err
	n.err, n.next = err, now.Add(a.Next)
	if err == nil {
		n.err = a.Partial
		n.targets, n.answered = a.Targets, now
		if a.Dropped > 0 && n.dropped == 0 {
			log.dropped = a.Dropped
		}
		n.dropped = a.Dropped
	}
	switch {
	case n.err == nil && before != nil:
		log.back = max(now.Sub(n.failing), 1)
	case n.err != nil && before == nil:
		n.failing, log.failed, log.partial = now, err, a.Partial
	case err != nil && n.answered.After(n.failing): // until now only a part was missing
		log.failed, n.failing = err, now
	}
	if n.err != nil {
		n.failures++
	}
	return log
}

func (p *pool) logLookup(address string, l lookupLog, nodes int) {
	switch address = bounded(address); {
	case l.failed != nil:
		p.log.Warn().Str("name", address).Int("nodes", nodes).Str("reason", shortened(l.failed.Error(), maxReason)).Msg("name not resolved")
	case l.partial != nil:
		p.log.Warn().Str("name", address).Int("nodes", nodes).Str("reason", shortened(l.partial.Error(), maxReason)).Msg("name resolved in part")
	case l.back > 0:
		p.log.Info().Str("name", address).Stringer("after", l.back.Round(time.Second)).Msg("name resolved again")
	}
	if l.dropped > 0 {
		p.log.Warn().Str("name", address).Int("not_used", l.dropped).Str("hint", "max_nodes is how many are used; the same ones as long as the name has them").Msg("too many addresses")
	}
}

// renew opens the backends for the targets of n and makes them its nodes. Nodes that have not
// changed keep everything.
func (p *pool) renew(n *name) {
	n.work.Lock()
	defer n.work.Unlock()
	for again := true; again; {
		p.mu.Lock()
		config, version, targets := n.Name, n.version, n.targets
		have := map[resolve.Target]*node{}
		if n.opened == version {
			for _, w := range n.wanted {
				have[keyOf(w.Target)] = w.node
			}
		}
		p.mu.Unlock()
		list, fresh, err := p.open(config, targets, have)
		p.mu.Lock()
		again = n.version != version
		var unused []*node
		var change nodeChange
		switch {
		case err != nil, again, p.closing, !slices.Contains(p.names, n):
			unused = fresh
			if err != nil {
				n.opened = -1 // try again after the next lookup
				p.dispatchAll()
			}
		default:
			n.wanted, n.opened = list, version
			change, unused = p.rebuild()
			p.wakeRun()
			p.dispatchAll()
		}
		p.mu.Unlock()
		p.logChange(config.Address, change)
		for _, one := range unused {
			p.closeBackend(one)
		}
		if err != nil {
			p.log.Error().Str("name", bounded(config.Address)).Str("reason", shortened(err.Error(), maxReason)).Msg("nodes not opened")
		}
	}
}

// keyOf is the part of a target that the backend depends on.
func keyOf(t resolve.Target) resolve.Target { return resolve.Target{Addr: t.Addr} }

// open returns the nodes of targets: those of have, and fresh ones.
func (p *pool) open(config Name, targets []resolve.Target, have map[resolve.Target]*node) (list []wanted, fresh []*node, err error) {
	for _, t := range targets {
		n := have[keyOf(t)]
		if n == nil {
			var opened Node
			if opened, err = config.Open(t); err != nil {
				return nil, fresh, fmt.Errorf("%s: %w", t.Addr, err)
			}
			n = newNode(opened)
			fresh = append(fresh, n)
		}
		list = append(list, wanted{t, n})
	}
	return list, fresh, nil
}

// nodeChange says which nodes an answer has added and removed.
type nodeChange struct{ added, removed []string }

func (p *pool) logChange(address string, c nodeChange) {
	if len(c.added)+len(c.removed) > 0 {
		p.log.Info().Str("name", bounded(address)).Strs("added", c.added).Strs("removed", c.removed).Msg("nodes of a name")
	}
}

// lookupWait returns how long a scan may wait for the first lookup of a name; 0: there is
// none under way. The caller holds mu.
func (p *pool) lookupWait() (wait time.Duration) {
	for _, n := range p.names {
		if !n.known || len(n.targets) > 0 && len(n.wanted) == 0 && n.opened == 0 {
			wait = max(wait, firstWait-time.Since(n.created))
		}
	}
	return wait
}

// unresolved says why a name has no node, or returns nil. The caller holds mu.
func (n *name) unresolved() error {
	if len(n.wanted) > 0 {
		return nil
	}
	text := "its first lookup has not ended"
	if n.err != nil {
		text = shortened(n.err.Error(), maxReason)
	} else if n.opened < 0 {
		text = "its nodes could not be opened, see the log"
	}
	return &backends.Failure{
		Category: backends.CannotExecute, Code: backends.NoCode,
		Text: "the name " + bounded(n.Address) + " does not resolve: " + text,
	}
}

// anyUnresolved is unresolved for the first name without a node. The caller holds mu.
func (p *pool) anyUnresolved() error {
	for _, n := range p.names {
		if err := n.unresolved(); err != nil {
			return err
		}
	}
	return nil
}
