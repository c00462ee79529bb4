package engine

import (
	"time"

	"github.com/rs/zerolog"

	"polyclam/backends"
	"polyclam/proxy/cache"
	"polyclam/proxy/spool"
)

// The defaults of a [Config].
const (
	DefaultTimeout        = 60 * time.Second
	DefaultMaxScans       = 10 // clamd 1.4.6's MaxThreads
	DefaultCanaryInterval = 5 * time.Minute
	// A clamd that loads signatures of third parties keeps its version. It looks for them
	// every ten minutes (SelfCheck), so they take effect at most twice as late.
	DefaultCacheTTL = 10 * time.Minute
)

// Node is one address of an engine.
type Node struct {
	Address string // as in the configuration; empty for an engine without one
	Backend backends.Backend
	// Identity identifies the backend's configuration. A reload keeps a node whose address
	// and identity stay the same; an empty identity never does.
	Identity string
}

// Config is one [[engine]] of the configuration. It does not change once in use.
type Config struct {
	Name     string
	Kind     string // the key of the registry
	Required bool
	// Timeout bounds one scan from the moment it has a slot, replays included;
	// 0: DefaultTimeout.
	Timeout  time.Duration
	MaxScans int   // in flight on each node; 0: DefaultMaxScans
	MaxSize  int64 // larger objects are not sent, their result is Partial; 0: no limit
	// Canary says that nodes must pass health checks to be used.
	Canary         bool
	CanaryInterval time.Duration // 0: DefaultCanaryInterval
	// MaxDelay is how long a reply waits for this engine, if it is not required, after
	// the others have answered; 0: a tenth of Timeout.
	MaxDelay time.Duration
	// PoisonTime is how long an object is withheld from the engine after the engine has
	// died or hung on it three times; 0: objects are never withheld.
	PoisonTime time.Duration
	// MaxSignatureAge is the age above which a node's signatures are reported as old;
	// 0: no limit. It applies to engines that report the time of their database. The node
	// stays in use, unless SuspendStale is set.
	MaxSignatureAge time.Duration
	// SuspendStale says that a node with older signatures is not used until they are
	// recent again. It needs Canary, since health checks notice that.
	SuspendStale bool
	// Mode is the mode until SetMode changes it; empty: On.
	Mode  Mode
	Nodes []Node
	// Names are addresses whose nodes name servers know. They come in addition to Nodes.
	Names []Name
	Log   zerolog.Logger

	// NoHedge says that no object is put to two nodes at a time, however slow the first
	// is. Backends with [backends.SideEffects] are never hedged.
	NoHedge bool

	// SizeCheck says that health checks verify that nodes really scan the largest objects
	// sent to them.
	SizeCheck bool
	// MaxStream is the largest stream that listeners accept; 0: no limit. The size check
	// uses it where MaxSize is 0.
	MaxStream int64

	// Cache keeps the engine's results; nil: nothing is kept. CacheTTL is how long it keeps
	// them; 0: not at all.
	Cache    *cache.Cache
	CacheTTL time.Duration
	// CacheUnversioned says that results are kept although the engine does not report which
	// signatures it uses: it may have others before CacheTTL is over.
	CacheUnversioned bool
	// CacheNames says that the engine gets the file names of objects: the same object with
	// another name may have another result.
	CacheNames bool
	// Fingerprint stands for all options of the engine that a result depends on, but not for
	// its addresses: hosts that ask the same engine share its results.
	Fingerprint string
	key         cache.Key // see engineKey

	// Spool stores test objects the way it stores real ones, so that health checks test its
	// permissions too. It is required.
	Spool *spool.Spool
}

func (c *Config) setDefaults() {
	c.key = c.engineKey()
	if c.Timeout <= 0 {
		c.Timeout = DefaultTimeout
	}
	if c.MaxDelay <= 0 {
		c.MaxDelay = c.Timeout / 10
	}
	if c.MaxScans <= 0 {
		c.MaxScans = DefaultMaxScans
	}
	if c.Mode == "" {
		c.Mode = On
	}
	if c.CanaryInterval <= 0 {
		c.CanaryInterval = DefaultCanaryInterval
	}
}
