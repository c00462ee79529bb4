package inspect

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
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

	// The budgets of that search, for one object with all that is in it. What
	// lies beyond is Partial.
	MaxBytes   Size          `toml:"max_bytes"`   // read or unpacked; bounds the memory of a scan too
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
		errs = append(errs, fmt.Errorf("address = %q: inspect is built in and has no address; leave the key out", address))
	}
	for _, name := range c.Hashes {
		if !filepath.IsAbs(name) {
			errs = append(errs, fmt.Errorf("hashes: %q must be an absolute path, as in \"/etc/polyclam/local.hdb\"", name))
		}
	}
	if c.MaxBytes < 1<<20 || c.MaxBytes > 4<<30 {
		errs = append(errs, fmt.Errorf("max_bytes = %d: want 1MiB to 4GiB", int64(c.MaxBytes)))
	}
	if c.MaxDepth < 1 || c.MaxDepth > 32 {
		errs = append(errs, fmt.Errorf("max_depth = %d: want 1 to 32", c.MaxDepth))
	}
	if c.MaxMembers < 1 || c.MaxMembers > 10_000_000 {
		errs = append(errs, fmt.Errorf("max_members = %d: want 1 to 10000000", c.MaxMembers))
	}
	if c.MaxTime < time.Millisecond || c.MaxTime > 10*time.Minute {
		errs = append(errs, fmt.Errorf("max_time = %q: want \"1ms\" to \"10m\"", c.MaxTime))
	}
	return errors.Join(errs...)
}

// Size is a number of bytes, in the configuration a plain number or one with a
// unit: "64MiB", "512KiB", "1GiB".
type Size int64

var units = []struct {
	suffix string
	factor int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"", 1}}

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *Size) UnmarshalText(text []byte) error {
	for _, u := range units {
		number, ok := strings.CutSuffix(string(text), u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(strings.TrimSpace(number), 10, 63)
		if err != nil || int64(n) > (1<<63-1)/u.factor {
			break
		}
		*s = Size(int64(n) * u.factor)
		return nil
	}
	return fmt.Errorf("%q is not a size, as in \"64MiB\", \"512KiB\" or 65536", text)
}

// ScanMemory is how much memory a scan takes at most.
func (c *Config) ScanMemory() int64 { return int64(c.MaxBytes) + 4<<20 }

// limits returns the budgets of a walk.
func (c *Config) limits() walk.Limits {
	return walk.Limits{MaxBytes: int64(c.MaxBytes), MaxDepth: c.MaxDepth, MaxMembers: c.MaxMembers}
}
