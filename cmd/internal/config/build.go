package config

import (
	"errors"
	"fmt"
	"io"

	"github.com/rs/zerolog"

	"polyclam/proxy"
	"polyclam/proxy/engine"
	"polyclam/proxy/spool"
)

// Build opens the backends and returns the server's configuration. Health checks keep
// their test objects in s. It may be called more than once; each call opens new backends.
// The caller closes the engines unless it hands the result to a server.
func (f *File) Build(s *spool.Spool, log zerolog.Logger) (*proxy.Config, error) {
	c := &proxy.Config{Limits: f.Limits, ScanPaths: f.ScanPaths, HashObjects: f.Log.SHA256}
	for i := range f.Listeners {
		c.Listeners = append(c.Listeners, f.Listeners[i].build(&f.Policy))
	}
	var errs []error
	for i := range f.Engines {
		u, err := f.Engines[i].build(f.Limits.Stream, s, log)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		c.Engines = append(c.Engines, u)
	}
	if len(errs) > 0 {
		for _, u := range c.Engines {
			u.Close()
		}
		return nil, errors.Join(errs...)
	}
	return c, nil
}

func (l *Listener) build(p *Policy) proxy.Listener {
	return proxy.Listener{
		Address:         l.Address,
		Profile:         l.Profile,
		Policy:          p.policy(l),
		PathCommands:    l.PathCommands,
		ShutdownCommand: l.ShutdownCommand,
		ReloadCommand:   l.ReloadCommand,
		StreamCommand:   l.StreamCommand,
		StreamPorts:     l.StreamPorts,
	}
}

func (u *Engine) build(maxStream int64, s *spool.Spool, log zerolog.Logger) (*engine.Engine, error) {
	var nodes []engine.Node
	for _, address := range u.nodes() {
		identity := u.identity(address) // before Open reads the files
		b, err := u.config.Open(address)
		if err != nil {
			for _, n := range nodes {
				if c, ok := n.Backend.(io.Closer); ok {
					c.Close()
				}
			}
			return nil, fmt.Errorf("engine %q: %w", u.Name, err)
		}
		nodes = append(nodes, engine.Node{Address: address, Backend: b, Identity: identity})
	}
	return engine.New(engine.Config{
		Name: u.Name, Kind: u.Backend, Required: u.Required,
		Timeout: u.Timeout, MaxDelay: u.MaxDelay, MaxScans: u.MaxScans, MaxSize: u.MaxSize,
		Canary: u.Canary, CanaryInterval: u.CanaryInterval, SizeCheck: u.SizeCheck, NoHedge: !u.Hedge, MaxStream: maxStream,
		PoisonTime: u.PoisonTime,
		Nodes:      nodes, Log: log, Spool: s,
	}), nil
}
