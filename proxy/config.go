package proxy

import (
	"crypto/tls"

	"polyclam/protocol/dataport"
	"polyclam/proxy/allow"
	"polyclam/proxy/balancer"
	"polyclam/proxy/cache"
	"polyclam/proxy/engine"
	"polyclam/proxy/hook"
	"polyclam/proxy/policy"
	"polyclam/proxy/rates"
	"polyclam/proxy/status"
)

// Config is the complete, validated configuration of a server. It does not change once
// in use: a reload makes a new one.
type Config struct {
	Listeners []Listener
	Engines   []*engine.Engine // in the order of the configuration
	Limits    Limits
	// ScanPaths are the roots below which path commands may read; empty: no
	// restriction.
	ScanPaths []string
	// Hash says which scans have the SHA-256 of the object in their log line and record;
	// empty: HashNever.
	Hash HashMode
	// Cache is the cache of the engines' results, for its counters; nil: none.
	Cache *cache.Cache
	// OnFind is a program to run for findings; nil: none.
	OnFind *hook.Config
}

// Listener is the configuration of one listening address.
type Listener struct {
	Address         string // as in the configuration: "unix:/path" or "tcp:host:port"
	Profile         status.Profile
	Policy          *policy.Policy   // with the profile's and the listener's own actions and precedence
	Engines         []*engine.Engine // some of Config.Engines, in the same order; nil: all
	PathCommands    bool
	ShutdownCommand bool
	ReloadCommand   bool
	StreamCommand   bool           // answer STREAM, see package dataport
	StreamPorts     dataport.Range // the data ports for STREAM

	TLS       *tls.Config      // of a listener on TCP; nil: no TLS
	Balancers balancer.Trusted // whose connections begin with a PROXY header

	// CloseNotReady closes new connections, unread, while the server is not ready.
	CloseNotReady bool

	Allow            allow.List   // who may use it
	NoVersionCommand bool         // refuse VERSION
	NoStatsCommand   bool         // refuse STATS
	Status           StatusDetail // of the reply to XSTATUS
	Rate             rates.Rate   // of each client's scans
}

// StatusDetail is how much a listener's reply to XSTATUS contains.
type StatusDetail string

// The details. The empty one is StatusFull.
const (
	StatusFull  StatusDetail = "full"
	StatusBrief StatusDetail = "brief" // states and counts only, see [extended.Server.Brief]
	StatusOff   StatusDetail = "off"   // XSTATUS is refused
)

// listener returns the configuration of an address, or nil.
func (c *Config) listener(address string) *Listener {
	for i := range c.Listeners {
		if c.Listeners[i].Address == address {
			return &c.Listeners[i]
		}
	}
	return nil
}
