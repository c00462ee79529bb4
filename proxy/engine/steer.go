package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Mode says what an engine's results are used for. It is set in the configuration and can
// be changed at run time.
type Mode string

// The modes of an engine.
const (
	On      Mode = "on"      // its results count
	Observe Mode = "observe" // it gets objects, and its results are logged and counted, but no verdict depends on them
	Off     Mode = "off"     // it gets no objects
)

// Modes returns all modes.
func Modes() []Mode { return []Mode{On, Observe, Off} }

// ModeNames returns all modes as text.
func ModeNames() (names []string) {
	for _, m := range Modes() {
		names = append(names, string(m))
	}
	return names
}

// setMode is a mode set at run time.
type setMode struct {
	mode Mode
	// change is the number of changes of the configured mode before it was set. Engines of
	// later configurations have a higher number, and ignore it.
	change int
}

// Mode returns the engine's mode: the configured one, or the one that SetMode has set since.
// It takes no lock. A scan reads it once.
func (e *Engine) Mode() Mode {
	if set := e.set.Load(); set != nil && set.change >= e.modeChange {
		return set.mode
	}
	return e.cfg.Mode
}

// SetMode changes the mode until the daemon ends, or until a reload with another mode in
// the configuration. Scans under way keep the mode that they began with. It does not check
// whether another engine is left that is on.
//
// Health checks continue in every mode, so that an engine is proven before it is switched on.
func (e *Engine) SetMode(m Mode) error {
	if !slices.Contains(Modes(), m) {
		return fmt.Errorf("%q is not a mode; the modes are %s", bounded(string(m)), strings.Join(ModeNames(), ", "))
	}
	e.mu.Lock()
	before := e.mode()
	e.set.Store(&setMode{mode: m, change: e.modeChanges})
	e.mu.Unlock()
	e.logMode(before, m, "set at run time")
	return nil
}

// mode is the mode of the newest Engine. The caller holds mu.
func (p *pool) mode() Mode {
	if set := p.set.Load(); set != nil && set.change >= p.modeChanges {
		return set.mode
	}
	return p.config().Mode
}

func (p *pool) logMode(before, now Mode, reason string) {
	if before != now {
		p.log.Warn().Str("from", string(before)).Str("to", string(now)).Str("reason", reason).Msg("engine mode")
	}
}

// Drain takes nodes out of use: they get no new scans, and those under way finish. address
// "" means all nodes. Health checks continue. It lasts until Resume or the end of the
// daemon. An unknown address is an error that lists the known ones.
func (p *pool) Drain(address string) error { return p.setDrained(address, true) }

// Resume undoes Drain.
func (p *pool) Resume(address string) error { return p.setDrained(address, false) }

func (p *pool) setDrained(address string, drained bool) error {
	p.mu.Lock()
	var known, changed []string
	found := address == ""
	for _, n := range p.nodes {
		known = append(known, bounded(n.address))
		if address != "" && n.address != address {
			continue
		}
		found = true
		if n.drained != drained {
			n.drained = drained
			changed = append(changed, bounded(n.address))
		}
	}
	if !drained { // nodes that are gone, and may come back
		found = address != "" && p.unpark(address) || found
		if address == "" {
			p.parked = nil
		}
	}
	name := p.config().Name
	if len(changed) > 0 {
		p.wakeRun()
		p.dispatchAll()
	}
	p.mu.Unlock()
	if !found {
		return fmt.Errorf("%s has no node %q; its nodes are %s", name, bounded(address), strings.Join(known, ", "))
	}
	for _, address := range changed {
		if drained {
			p.log.Warn().Str("node", address).Msg("node drained")
		} else {
			p.log.Info().Str("node", address).Msg("node resumed")
		}
	}
	return nil
}

var errNoChecks = errors.New("health checks are switched off (key canary)")

// CheckNow asks for the versions, starts a health check of every node, and waits until all
// have ended or ctx does. Status then has the results. A check that is already under way
// does not count, since it may predate the reason for the call. A node that hangs is waited
// for until it is known to hang.
func (p *pool) CheckNow(ctx context.Context) error {
	if !p.config().Canary {
		return errNoChecks
	}
	p.Version(ctx)
	p.mu.Lock()
	nodes := append([]*node(nil), p.nodes...)
	p.mu.Unlock()
	started := make([]bool, len(nodes))
	return p.waitUntil(ctx, func() bool {
		done := true
		for i, n := range nodes {
			switch {
			case n.health.Retired(), started[i] && !n.health.Checking():
				continue
			case !n.health.Checking():
				p.startCheck(n)
				started[i] = true
			}
			done = false
		}
		return done
	})
}
