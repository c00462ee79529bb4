package model

import (
	"errors"
	"math"
)

// A Site is what the model is asked about.
type Site struct {
	Messages  float64 // a day
	PeakShare float64 // share of a day's messages in its busiest hour
	Sizes     Sizes
	Hits      float64 // share of messages that a cache knows, in memory or in Redis
	Engines   int     // each costs what the measured one does
	Resident  float64 // bytes of each engine's memory
	Factor    float64 // of the engine's cost: another database, another processor

	Cores   int     // of a host
	Load    float64 // share of a host's cores to use in the busiest hour
	Spare   int     // hosts that may be down in that hour
	Network float64 // Gbit/s of a host

	Redis   bool
	Keep    float64 // hours that Redis keeps a result
	Cache   float64 // bytes of each host's cache in memory
	Latency float64 // seconds that a message is in polyclamd besides its processor time
}

// Default is a site with the model's assumptions, which docs/scale.md explains.
func Default() Site {
	return Site{Messages: 10e6, PeakShare: 0.15, Sizes: Mail, Hits: 0, Engines: 1, Resident: 4 << 30, Factor: 1,
		Cores: 16, Load: 0.6, Spare: 1, Network: 10, Redis: true, Keep: 1, Cache: 32 << 20, Latency: 0.1}
}

// A Plan is what a site needs in its busiest hour.
type Plan struct {
	Rate      float64 // messages per second
	Bytes     float64 // per second
	Polyclamd float64 // cores
	Engine    float64 // cores
	Hosts     int
	Memory    float64 // bytes of a host

	RedisReads  float64 // operations per second
	RedisWrites float64
	RedisCores  float64
	RedisMemory float64
	LogBytes    float64 // a day

	Limits []Limit
}

// A Limit says how far a resource is from being used up.
type Limit struct {
	What  string
	Times float64 // the busiest hour's load times this uses it up
}

func (s *Site) check() error {
	switch {
	case !(s.Messages > 0) || !(s.PeakShare > 0 && s.PeakShare <= 1):
		return errors.New("messages and the peak share must be positive, the share at most 1")
	case !(s.Hits >= 0 && s.Hits < 1):
		return errors.New("the hit rate must be at least 0 and below 1")
	case s.Engines < 1 || !(s.Factor > 0) || s.Cores < 1 || !(s.Load > 0 && s.Load <= 1) || s.Spare < 0 || !(s.Network > 0) || s.Resident < 0:
		return errors.New("engines, their factor, cores, load (at most 1) and network must be positive")
	case !(s.Sizes.Median > 0 && s.Sizes.Sigma > 0 && s.Sizes.Max > s.Sizes.Min && s.Sizes.Min > 0):
		return errors.New("the sizes must be positive")
	}
	return nil
}

// Plan computes what a site needs.
func (c *Costs) Plan(s Site) (*Plan, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	scan, engine := c.mean(c.Scans, s.Sizes)
	hit := scan // not measured: at most this
	if len(c.Hits) > 1 {
		hit, _ = c.mean(c.Hits, s.Sizes)
	}
	p := &Plan{Rate: s.Messages * s.PeakShare / 3600}
	p.Bytes = p.Rate * s.Sizes.Mean()
	misses := 1 - s.Hits
	p.Engine = p.Rate * misses * engine * s.Factor * float64(s.Engines) / 1e6
	// A second engine costs polyclamd less than the first. The model ignores that.
	p.Polyclamd = p.Rate * (misses*scan + s.Hits*hit) / 1e6
	up := math.Ceil((p.Engine + p.Polyclamd) / (float64(s.Cores) * s.Load))
	p.Hosts = int(up) + s.Spare
	p.Memory = c.memory(s, p, up)
	if s.Redis {
		c.redis(s, p, up)
	}
	p.LogBytes = s.Messages * c.LogBytes
	p.Limits = limits(s, p, up)
	return p, nil
}

// mean is the mean cost over the sizes.
func (c *Costs) mean(list []Cost, sizes Sizes) (polyclamd, engine float64) {
	engine = sizes.mean(func(v float64) float64 { _, e := at(list, v); return e })
	return sizes.mean(func(v float64) float64 { p, _ := at(list, v); return p }), engine
}

// memory is what one of the hosts that are up needs: its programs, the cache, and the
// objects that are under way. Objects stay for as long as they are scanned, which takes
// longer on a busy host.
func (c *Costs) memory(s Site, p *Plan, up float64) float64 {
	_, engine := c.mean(c.Scans, s.Sizes)
	busy := engine * s.Factor / 1e6 / (1 - s.Load*0.99)
	underWay := p.Rate / up * (s.Latency + busy) * s.Sizes.Mean()
	// clamd keeps a copy of what it scans, and may unpack it.
	return float64(c.PolyclamdBytes) + s.Resident*float64(s.Engines) + s.Cache + underWay*(2+float64(s.Engines))
}

// redis has one read for each message that is not in the memory of its host, for all
// engines together, and one write for each result. Balancers spread repeated messages
// evenly, so that of the hits only every Nth is for the host that has it in memory.
func (c *Costs) redis(s Site, p *Plan, up float64) {
	local := s.Hits / up
	p.RedisReads = p.Rate * (1 - local)
	p.RedisWrites = p.Rate * (1 - s.Hits) * float64(s.Engines)
	p.RedisCores = (p.RedisReads*c.RedisRead + p.RedisWrites*c.RedisWrite) / 1e6
	p.RedisMemory = p.RedisWrites * 3600 * s.Keep * c.RedisEntry
}
