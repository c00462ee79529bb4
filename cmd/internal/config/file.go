package config

import (
	"io/fs"
	"time"

	"polyclam/backends"
	"polyclam/backends/registry"
	"polyclam/cmd/internal/config/decode"
	"polyclam/cmd/internal/config/position"
	"polyclam/proxy"
	"polyclam/proxy/cache"
	"polyclam/proxy/engine"
	"polyclam/proxy/hook"
	"polyclam/proxy/policy"
	"polyclam/proxy/resolve"
	"polyclam/proxy/spool"
)

// File is a configuration file, with defaults for the keys that it does not set. The tags
// name the keys, see package decode. A File holds no open resources.
type File struct {
	// ScanPaths are the roots below which path commands may read; empty: no restriction.
	ScanPaths []string `toml:"scan_paths"`
	// ShutdownGrace is how long sessions may continue after SIGTERM.
	ShutdownGrace time.Duration `toml:"shutdown_grace" range:"1ns..24h"`

	// DrainDelay is how long the daemon reports that it is not ready before it stops.
	DrainDelay time.Duration `toml:"drain_delay" range:"0s..1h"`

	Listeners []Listener `toml:"listener"`
	Engines   []Engine   `toml:"engine"`
	Policy    Policy     `toml:"policy"`
	Rules     []Rule     `toml:"rule"`
	Limits    Limits     `toml:"limits"`
	Store     Spool      `toml:"spool"`
	Log       Log        `toml:"log"`
	OnFind    OnFind     `toml:"on_find"`
	HTTP      HTTP       `toml:"http"`
	Admin     Admin      `toml:"admin"`
	Cache     Cache      `toml:"cache"`

	Name     string    // path of the file, or DefaultName
	Modified time.Time // of the file; zero: no file
	Warnings Problems  // what is allowed but doubtful
	// Services are the listeners that do not speak clamd's protocol: those of [http] and
	// [admin], and for agent checks.
	Services []Listener
	// Overridden names the environment variables that replaced a part of the file.
	Overridden []string

	cache          *cache.Cache // that of the engines, see UseCache; nil: none
	cacheMemorySet bool         // cache.memory is in the file
	cacheMemory    int64        // set by FitSpool: cache.memory before it was bounded
	inMemory       int64        // set by FitSpool: bytes of short streams on the heap
	records        int64        // set by FitSpool: see RecordBytes
	spoolTotalLine int          // line of limits.spool_total; 0: not in the file
	lines          position.Table
}

// Engine is an [[engine]] table, which also holds the keys of its backend.
type Engine struct {
	Name    string `toml:"name"`
	Backend string `toml:"backend"` // a key of the registry
	// Addresses lists the nodes; it is empty for an engine without an address. Parse
	// moves Address there.
	Address   string        `toml:"address"`
	Addresses []string      `toml:"addresses"`
	Mode      engine.Mode   `toml:"mode"`
	Required  bool          `toml:"required"`
	Timeout   time.Duration `toml:"timeout" range:"1ns..24h"`
	MaxDelay  time.Duration `toml:"max_delay" range:"1ns..24h"`
	// Resolve is the longest time between lookups of a name; NameServers are asked, or those
	// of the machine; MaxNodes is how many nodes one name may have.
	Resolve        time.Duration `toml:"resolve" range:"1s..1h"`
	NameServers    decode.List   `toml:"name_servers"`
	MaxNodes       int           `toml:"max_nodes" range:"1..64"`
	MaxScans       int           `toml:"max_scans" range:"1..10000"`
	MaxSize        int64         `toml:"max_size"` // 0: no limit
	Canary         bool          `toml:"canary"`
	CanaryInterval time.Duration `toml:"canary_interval" range:"1s..24h"`
	SizeCheck      bool          `toml:"size_check"`
	Hedge          bool          `toml:"hedge"`
	PoisonTime     time.Duration `toml:"poison_time" range:"0s..24h"` // 0: off
	// MaxSignatureAge is the age above which signatures count as old; 0: never.
	MaxSignatureAge Age `toml:"max_signature_age"`
	// Stale says what happens to a node with older ones: staleUse or staleSuspend.
	Stale    string   `toml:"stale"`
	CacheTTL CacheTTL `toml:"cache_ttl"`

	config     backends.Config // the backend's keys; nil: unknown backend
	host       string          // of the only address, if that was found by name: see Resolved
	readsPaths bool            // the engine reads files in the spool's directory
	readsFiles bool            // the engine gets descriptors
}

func newEngine(name, backend string) Engine {
	d := engine.Defaults()
	e := Engine{
		Name: name, Backend: backend,
		Mode: d.Mode, Required: d.Required, Timeout: d.Timeout, MaxScans: d.MaxScans, MaxSize: d.MaxSize,
		Canary: d.Canary, CanaryInterval: d.CanaryInterval, SizeCheck: d.SizeCheck, Hedge: !d.NoHedge, PoisonTime: d.PoisonTime,
		MaxSignatureAge: Age(d.MaxSignatureAge), Stale: staleUse, CacheTTL: autoTTL,
		Resolve: resolve.DefaultInterval, NameServers: decode.List{}, MaxNodes: resolve.MaxTargets,
	}
	if row, ok := registry.Lookup(backend); ok {
		e.config = row.NewConfig()
	}
	return e
}

// Prepare implements decode.Preparer: the backend adds its own keys.
func (e *Engine) Prepare(table map[string]any) (more any, open bool) {
	backend, _ := table["backend"].(string)
	*e = newEngine("", backend)
	return e.config, e.config == nil
}

// nodes returns the address of each node, "" for an engine without an address.
func (e *Engine) nodes() []string {
	if len(e.Addresses) == 0 {
		return []string{""}
	}
	return e.Addresses
}

// ScanMemory is how much memory one scan takes besides the object, if that is more than
// the buffers of a conversation.
func (e *Engine) ScanMemory() int64 {
	if c, ok := e.config.(interface{ ScanMemory() int64 }); ok {
		return c.ScanMemory()
	}
	return 0
}

const inspectBackend = "inspect"

// RunsPrograms reports whether each scan starts a process.
func (e *Engine) RunsPrograms() bool { return e.Backend == "command" }

// Policy is the [policy] table.
type Policy struct {
	Precedence []backends.Category `toml:"precedence"`
	Mode       policy.Mode         `toml:"action"`
	FirstVirus string              `toml:"first_virus"`
	Actions    Actions             `toml:"actions"`
}

// The values of the key first_virus.
const (
	firstVirusAnswer = "answer"
	firstVirusWait   = "wait"
)

// Rule is a [[rule]] table.
type Rule struct {
	Engine   string            `toml:"engine"` // empty: all
	Name     Pattern           `toml:"name"`
	Category backends.Category `toml:"category"`
}

// Limits is the [limits] table.
type Limits struct {
	ClientLimits
	SpoolMemory int64 `toml:"spool_memory"`
	SpoolTotal  int64 `toml:"spool_total"` // 0: no limit
}

// ClientLimits are the limits of package proxy. Its fields match [proxy.Limits], so that
// one type converts to the other.
type ClientLimits struct {
	Stream             int64         `toml:"stream"` // 0: no limit
	CommandReadTimeout time.Duration `toml:"command_read_timeout" range:"1ns..24h"`
	ReadTimeout        time.Duration `toml:"read_timeout" range:"1ns..24h"`
	WriteTimeout       time.Duration `toml:"write_timeout" range:"1ns..24h"`
	StreamMinRate      int64         `toml:"stream_min_rate"`
	StreamMaxTime      time.Duration `toml:"stream_max_time" range:"1ns..24h"`
	Connections        int           `toml:"connections" range:"1..1000000"`
	Waiting            int           `toml:"waiting" range:"0..1000000"`
	Handshakes         int           `toml:"handshakes" range:"2..100000"`
	HandshakeTimeout   time.Duration `toml:"handshake_timeout" range:"100ms..10m"`
	ClientShare        int           `toml:"client_share" range:"1..100"`
	SessionScans       int           `toml:"session_scans" range:"1..10000"`
	DirectoryDepth     int           `toml:"directory_depth" range:"1..1000"`
	FileThreads        int           `toml:"file_threads" range:"4..4096"`
}

// Spool is the [spool] table.
type Spool struct {
	Store     spool.Store   `toml:"store"`
	Directory string        `toml:"directory"`
	PathMode  fs.FileMode   `toml:"path_mode"`
	PathGroup Group         `toml:"path_group"`
	Wait      time.Duration `toml:"wait" range:"1ns..24h"`
}

// Log is the [log] table.
type Log struct {
	Level  string `toml:"level"`
	Format string `toml:"format"` // "json", "console", or "auto": console on a terminal
	SHA256 Hash   `toml:"sha256"` // whose hash is logged
}

// OnFind is the [on_find] table. Its fields match [hook.Config], so that one type converts
// to the other.
type OnFind struct {
	Program    string              `toml:"program"` // empty: none
	Arguments  []string            `toml:"arguments"`
	Categories []backends.Category `toml:"categories"`
	Timeout    time.Duration       `toml:"timeout" range:"1s..24h"`
	MaxRunning int                 `toml:"max_running" range:"1..100"`
	Queue      int                 `toml:"queue" range:"0..100000"`
}

// Levels returns the log levels, the lowest first.
func Levels() []string { return []string{"trace", "debug", "info", "warn", "error"} }

// newFile returns a File with the defaults, without listeners and engines.
func newFile(name string) *File {
	merge, store := policy.Default(), spool.Defaults()
	return &File{
		Name:   name,
		Policy: Policy{Precedence: merge.Precedence, Mode: merge.Mode, FirstVirus: firstVirusAnswer},
		Limits: Limits{ClientLimits(proxy.DefaultLimits()), store.Memory, store.Total},
		Store: Spool{
			Store: store.Store, PathMode: store.PathMode, PathGroup: Group(store.PathGroup), Wait: store.Wait,
		},
		OnFind:        OnFind(hook.Defaults()),
		Log:           Log{Level: "info", Format: "auto", SHA256: Hash(proxy.HashFound)},
		ShutdownGrace: 30 * time.Second,
		HTTP:          defaultHTTP(),
		Admin:         defaultAdmin(),
		Cache:         defaultCache(),
	}
}
