package proxy

import (
	"slices"
	"strings"

	"polyclam/proxy/engine"
	"polyclam/proxy/policy"
)

// observed is an engine that is asked although its report does not count.
type observed struct {
	engine *engine.Engine
	at     int // how many of the engines that count come before it
}

// enginesOf returns the engines for l, in the order of the configuration. l may belong to a
// former configuration, which was reloaded without it: then those of its engines that c
// still has.
func (c *Config) enginesOf(l *Listener) []*engine.Engine {
	if l.Engines == nil {
		return c.Engines
	}
	if c.listener(l.Address) == l {
		return l.Engines
	}
	var list []*engine.Engine
	for _, e := range c.Engines {
		if slices.ContainsFunc(l.Engines, func(own *engine.Engine) bool { return own.Name() == e.Name() }) {
			list = append(list, e)
		}
	}
	return list
}

// counting returns the engines whose mode is on.
func counting(engines []*engine.Engine) []*engine.Engine {
	on, _ := byMode(engines)
	return on
}

// byMode returns the engines that count in a scan that begins now, and those that are only
// observed.
func byMode(engines []*engine.Engine) (on []*engine.Engine, watched []observed) {
	other := slices.IndexFunc(engines, func(e *engine.Engine) bool { return e.Mode() != engine.On })
	if other < 0 {
		return engines, nil
	}
	on = slices.Clone(engines[:other])
	for _, e := range engines[other:] {
		switch e.Mode() {
		case engine.On:
			on = append(on, e)
		case engine.Observe:
			watched = append(watched, observed{e, len(on)})
		}
	}
	return on, watched
}

// noneOn is the verdict if no engine counts. It is never OK, whatever the policy says about
// failures.
func noneOn(engines []*engine.Engine, p *policy.Policy) policy.Verdict {
	v := p.Merge(nil)
	modes := make([]string, 0, len(engines))
	for _, e := range engines {
		modes = append(modes, e.Name()+" has the mode "+string(e.Mode()))
	}
	v.Detail = "no engine of this listener is on: " + strings.Join(modes, ", ") + " (polyclam engine on NAME)"
	if len(modes) == 0 {
		v.Detail = "none of this listener's engines exists any more: a reload has removed them"
	}
	return v
}
