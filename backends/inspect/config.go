package inspect

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"time"

	"polyclam/backends"
	"polyclam/backends/inspect/internal/walk"
)

// Config holds the keys of an [[engine]] table with backend = "inspect".
type Config struct {
	// Hashes are files with hash lists of known malware, see the package documentation.
	// Open reads them, and Reload reads them again.
	Hashes []string `toml:"hashes"`
	// Encrypted enables the search for encrypted parts.
	Encrypted bool `toml:"encrypted"`

	// The budgets of that search, for one object and everything in it. An object that
	// exceeds one is Partial.
	MaxBytes   int64         `toml:"max_bytes"`   // read or unpacked; also limits the memory of a scan
	MaxDepth   int           `toml:"max_depth"`   // containers within containers
	MaxMembers int           `toml:"max_members"` // members looked into
	MaxTime    time.Duration `toml:"max_time"`
}

// NewConfig returns a *Config with the defaults.
func NewConfig() backends.Config {
	return &Config{
		Encrypted:  true,
		MaxBytes:   64 << 20,
		MaxDepth:   8,
		MaxMembers: 10_000,
		MaxTime:    5 * time.Second,
	}
}

// Open implements [backends.Config]. It reads the hash lists.
func (c *Config) Open(address string) (backends.Backend, error) {
	if err := c.check(address); err != nil {
		return nil, err
	}
	b := &Backend{config: *c, slots: walk.NewSlots(runtime.GOMAXPROCS(0))}
	if err := b.load(); err != nil {
		return nil, err
	}
	return b, nil
}

func (c *Config) check(address string) error {
	var errs []error
	if address != "" {
		errs = append(errs, backends.KeyErrorf("address", "inspect is built in and has no address; delete the key"))
	}
	for i, name := range c.Hashes {
		if !filepath.IsAbs(name) {
			errs = append(errs, backends.KeyErrorf(hashesKey(i), "%q is not an absolute path; write one such as \"/etc/polyclam/local.hdb\"", name))
		}
	}
	if c.MaxBytes < 1<<20 || c.MaxBytes > 4<<30 {
		errs = append(errs, backends.KeyErrorf("max_bytes", "must be between \"1MiB\" and \"4GiB\", not %d", c.MaxBytes))
	}
	if c.MaxDepth < 1 || c.MaxDepth > 32 {
		errs = append(errs, backends.KeyErrorf("max_depth", "must be between 1 and 32, not %d", c.MaxDepth))
	}
	if c.MaxMembers < 1 || c.MaxMembers > 10_000_000 {
		errs = append(errs, backends.KeyErrorf("max_members", "must be between 1 and 10000000, not %d", c.MaxMembers))
	}
	if c.MaxTime < time.Millisecond || c.MaxTime > 10*time.Minute {
		errs = append(errs, backends.KeyErrorf("max_time", "must be between \"1ms\" and \"10m\", not %q", c.MaxTime))
	}
	return errors.Join(errs...)
}

// hashesKey is the key of one hash list.
func hashesKey(i int) string { return fmt.Sprintf("hashes[%d]", i) }

// ScanMemory is the most memory that a scan takes.
func (c *Config) ScanMemory() int64 { return c.MaxBytes + 4<<20 }

// limits returns the budgets of a walk.
func (c *Config) limits() walk.Limits {
	return walk.Limits{MaxBytes: c.MaxBytes, MaxDepth: c.MaxDepth, MaxMembers: c.MaxMembers}
}
