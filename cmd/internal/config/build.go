package config

import (
	"crypto/tls"
	"fmt"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"polyclam/protocol/dataport"
	"polyclam/proxy"
	"polyclam/proxy/cache"
	"polyclam/proxy/engine"
	"polyclam/proxy/hook"
	"polyclam/proxy/policy"
	"polyclam/proxy/resolve"
	"polyclam/proxy/spool"
)

// Build opens the backends and returns the server's configuration. Health checks keep
// their test objects in s. Each call opens new backends. The caller closes the engines
// unless it passes the result to a server. An error is a [Problems].
func (f *File) Build(s *spool.Spool, log zerolog.Logger) (*proxy.Config, error) {
	c := &proxy.Config{Limits: f.ProxyLimits(), ScanPaths: f.ScanPaths, Hash: proxy.HashMode(f.Log.SHA256)}
	c.Cache = f.cache
	r := &report{file: f.Name, lines: f.lines}
	secure, sources := make([]*tls.Config, len(f.Listeners)), tlsSources{}
	for i := range f.Listeners {
		secure[i] = sources.config(f, &f.Listeners[i], r, log)
	}
	onFind := hook.Config(f.OnFind)
	c.OnFind = &onFind
	r.failKeys("on_find", onFind.Check())
	for i := range f.Engines {
		e, err := f.Engines[i].build(f.Limits.Stream, s, f.cache, log)
		if err != nil {
			r.failKeys(enginePath(i), err)
			continue
		}
		c.Engines = append(c.Engines, e)
	}
	if len(r.problems) > 0 {
		for _, e := range c.Engines {
			e.Close()
		}
		return nil, r.problems
	}
	for i := range f.Listeners {
		l := f.listener(&f.Listeners[i], c.Engines)
		l.TLS = secure[i]
		c.Listeners = append(c.Listeners, l)
	}
	return c, nil
}

// ProxyLimits returns the server's limits.
func (f *File) ProxyLimits() proxy.Limits {
	l := proxy.Limits(f.Limits.ClientLimits)
	if !f.Shakes() {
		l.Handshakes = 0 // they need no descriptors
	}
	return l
}

// Spool returns the spool's configuration.
func (f *File) Spool() spool.Config {
	return spool.Config{
		Memory: f.spoolMemory(), InMemory: f.inMemory, Total: f.Limits.SpoolTotal,
		Store: f.Store.Store, Dir: f.Store.Directory, PathMode: f.Store.PathMode, PathGroup: int(f.Store.PathGroup), Wait: f.Store.Wait,
		Share: f.Limits.ClientShare, Largest: f.Limits.Stream, Hash: proxy.HashMode(f.Log.SHA256) == proxy.HashAlways,
		Keep: spool.DefaultKeep,
	}
}

// listener returns the configuration of l, which selects some of the engines.
func (f *File) listener(l *Listener, engines []*engine.Engine) proxy.Listener {
	if len(l.Engines) == 0 {
		engines = nil // all
	} else {
		engines = slices.DeleteFunc(slices.Clone(engines), func(e *engine.Engine) bool { return !slices.Contains(l.Engines, e.Name()) })
	}
	return proxy.Listener{
		Address:         l.Address,
		Profile:         l.Profile(),
		Policy:          f.policy(l),
		Engines:         engines,
		PathCommands:    l.PathCommands,
		ShutdownCommand: l.ShutdownCommand,
		ReloadCommand:   l.ReloadCommand,
		StreamCommand:   l.StreamCommand,
		StreamPorts:     dataport.Range(l.StreamPorts),
		Balancers:       l.balancers(),
		CloseNotReady:   l.NotReady == notReadyClose,

		Allow:            l.allow(),
		NoVersionCommand: !l.VersionCommand,
		NoStatsCommand:   !l.StatsCommand,
		Status:           l.StatusCommand,
		Rate:             l.rate(),
	}
}

// ListenerPolicy returns the policy of a listener of f.
func (f *File) ListenerPolicy(l *Listener) *policy.Policy { return f.policy(l) }

// policy returns a listener's policy: the defaults, overridden by its client's preset,
// then by the site, then by the listener itself. The precedence is the listener's, or the
// site's.
func (f *File) policy(l *Listener) *policy.Policy {
	p := policy.Default()
	p.Precedence = f.Policy.Precedence
	if len(l.Precedence) > 0 {
		p.Precedence = l.Precedence
	}
	p.Mode = f.Policy.Mode
	p.AnswerFirst = f.Policy.FirstVirus == firstVirusAnswer
	for _, rule := range f.Rules {
		p.Rules = append(p.Rules, policy.Rule{Engine: rule.Engine, Name: rule.Name.Regexp, Category: rule.Category})
	}
	return p.WithActionsFrom(fmt.Sprintf("client = %q:", l.Profile().Client), l.Profile().Actions).
		WithActionsFrom("[policy.actions]", f.Policy.Actions).
		WithActionsFrom("[[listener]] actions", l.Actions)
}

func (e *Engine) build(maxStream int64, s *spool.Spool, results *cache.Cache, log zerolog.Logger) (*engine.Engine, error) {
	var nodes []engine.Node
	byName, fingerprint := e.readsPaths || slices.Contains(namedBackends, e.Backend), ""
	ttl, unversioned := e.cacheTTL()
	if ttl > 0 || e.Backend != inspectBackend { // deaths are shared without a ttl too, but it never dies
		fingerprint = e.fingerprint() // before Open reads the files
	}
	var names []engine.Name
	for _, address := range e.nodes() {
		if resolve.IsName(address) {
			names = append(names, e.name(address))
			continue
		}
		n, err := e.openAt(address, e.host)
		if err != nil {
			closeAll(nodes)
			return nil, err
		}
		byName = byName || e.getsNames(n.Backend)
		nodes = append(nodes, n)
	}
	return engine.New(engine.Config{
		Name: e.Name, Kind: e.Backend, Required: e.Required,
		Timeout: e.Timeout, MaxDelay: e.MaxDelay, MaxScans: e.MaxScans, MaxSize: e.MaxSize,
		Canary: e.Canary, CanaryInterval: e.CanaryInterval, SizeCheck: e.SizeCheck, NoHedge: !e.Hedge, MaxStream: maxStream,
		PoisonTime: e.PoisonTime, MaxSignatureAge: time.Duration(e.MaxSignatureAge), SuspendStale: e.Stale == staleSuspend, Mode: e.Mode,
		CacheTTL: ttl, CacheUnversioned: unversioned, CacheNames: byName, Fingerprint: fingerprint,
		Nodes: nodes, Names: names, Log: log, Spool: s,
		Cache: results,
	}), nil
}
