package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Store is where objects are kept that are too large for memory.
type Store string

// The stores. The package comment compares them.
const (
	Memfd   Store = "memfd"   // anonymous memory, memfd_create(2); the default
	Tmpfile Store = "tmpfile" // a file without a name in Dir, O_TMPFILE of open(2)
)

// Config holds the settings of a spool.
type Config struct {
	// Memory is the largest size in bytes of a stream that stays in memory; a longer one is
	// moved to the store.
	Memory int64
	// InMemory bounds the bytes of all streams together that stay in memory; beyond that even
	// short ones go to the store. 0: no bound. It also bounds the copies that File makes,
	// since only objects in memory need them.
	InMemory int64
	// Total is the quota in bytes for all objects, in memory and in files, as the system
	// counts them: whole pages and segments. 0: none. Less than one page, 4 KiB, is
	// refused.
	Total int64
	// Store is where large objects go; empty: Memfd.
	Store Store
	// Dir is the absolute path of the directory for the files of Tmpfile and for named
	// files. It is created if it does not exist. Empty: objects have no Path, and the store
	// must be Memfd.
	Dir string
	// PathMode is the mode of named files; 0: 0600.
	PathMode fs.FileMode
	// PathGroup is the group of named files. Numbers below 1 leave the group of the
	// process: -1 by convention, and 0 so that it can be left out.
	PathGroup int
	// Share is how much of Total one client may take, in per cent of what the others leave,
	// see [client.Within]. 0: no limit.
	Share int
	// Largest is how large an upload may become, see the package comment. 0: unknown.
	Largest int64
	// Keep is how many bytes of memfds are kept for the next objects, but at most an eighth
	// of Total; 0: none. They are kept only where the system has locks of open file
	// descriptions, and /proc is mounted.
	Keep int64
	// Hash computes the SHA-256 of large streams while they arrive: the caller will ask for
	// it.
	Hash bool
	// Wait is how long a write waits for quota before it fails with ErrQuota; 0: not at
	// all.
	Wait time.Duration
}

// Segments is how many bytes of the largest free segments are kept, if that is more than the
// 4 MiB that always are: enough for four of the longest objects in memory, at most Keep.
func (cfg Config) Segments() int64 {
	n := min(4*cfg.Memory, cfg.Keep)
	if cfg.InMemory > 0 {
		n = min(n, cfg.InMemory/4)
	}
	return n
}

// settings is a checked Config with its run-time state. It does not change once in use. Every
// object retains its settings.
type settings struct {
	Config
	memfdFlags int
	keeps      bool       // memfds are kept for the next objects
	dir        *directory // nil without Dir
}

// keptPart: memfds that are kept take at most 1/keptPart of the quota.
const keptPart = 8

// keep is how many bytes of memfds are kept.
func (t *settings) keep() int64 {
	switch {
	case !t.keeps:
		return 0
	case t.Total > 0:
		return min(t.Keep, t.Total/keptPart)
	}
	return t.Keep
}

func (t *settings) retain() {
	if t.dir != nil {
		t.dir.retain()
	}
}

func (t *settings) release() {
	if t.dir != nil {
		t.dir.release()
	}
}

// open checks cfg and prepares the directory, or shares that of old if it is the same. The
// returned settings are retained once.
func open(cfg Config, old *settings) (*settings, error) {
	cfg = cfg.withDefaults()
	if err := check(cfg); err != nil {
		return nil, err
	}
	set := &settings{Config: cfg}
	if cfg.Store == Memfd {
		flags, err := memfdFlags()
		if err != nil {
			return nil, err
		}
		set.memfdFlags = flags
		set.keeps = cfg.Keep > 0 && probeMemory(flags) == nil
	}
	if cfg.Dir == "" {
		return set, nil
	}
	cfg.Dir = filepath.Clean(cfg.Dir)
	if old != nil && old.dir != nil && old.dir.serves(cfg) {
		set.dir = old.dir
		set.dir.retain()
		return set, nil
	}
	dir, err := openDirectory(cfg)
	if err != nil {
		return nil, fmt.Errorf("directory %q: %w", cfg.Dir, err)
	}
	set.dir = dir
	return set, nil
}

func (cfg Config) withDefaults() Config {
	if cfg.Store == "" {
		cfg.Store = Memfd
	}
	if cfg.PathMode == 0 {
		cfg.PathMode = 0o600
	}
	cfg.PathGroup = max(cfg.PathGroup, 0)
	return cfg
}

// check reports everything that is wrong with cfg.
func check(cfg Config) error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if cfg.Memory < 0 {
		bad("memory of %d bytes: want 0 or more", cfg.Memory)
	}
	if cfg.InMemory < 0 {
		bad("%d bytes in memory: want 0 or more", cfg.InMemory)
	}
	if cfg.Total < 0 || cfg.Total > 0 && cfg.Total < page {
		bad("total of %d bytes: want at least %d, or 0 for no quota", cfg.Total, page)
	}
	if cfg.Share < 0 || cfg.Share > 100 {
		bad("share of %d per cent: want 1 to 100, or 0 for none", cfg.Share)
	}
	if cfg.Keep < 0 {
		bad("%d bytes of kept memfds: want 0 or more", cfg.Keep)
	}
	if cfg.Largest < 0 {
		bad("largest upload of %d bytes: want 0 or more", cfg.Largest)
	}
	if cfg.Wait < 0 {
		bad("wait of %v: want 0 or more", cfg.Wait)
	}
	if cfg.Store != Memfd && cfg.Store != Tmpfile {
		bad("store %q: want %q or %q", cfg.Store, Memfd, Tmpfile)
	}
	if cfg.Store == Tmpfile && cfg.Dir == "" {
		bad("store %q: want a directory for it", Tmpfile)
	}
	if cfg.Dir != "" && !filepath.IsAbs(cfg.Dir) {
		bad("directory %q: want an absolute path", cfg.Dir)
	}
	// Line protocols send the path to engines.
	if strings.ContainsFunc(cfg.Dir, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		bad("directory %q: want a path without control characters", cfg.Dir)
	}
	if cfg.PathMode&^0o664 != 0 || cfg.PathMode&0o400 == 0 {
		bad("path mode %#o: want the owner to read, no execute bits and no write bit for others, as in 0600 or 0640", uint32(cfg.PathMode))
	}
	return errors.Join(errs...)
}

// probe checks that set works, by doing what scans will do.
func (s *Spool) probe(set *settings) error {
	f, err := set.anonymous()
	if err != nil {
		return fmt.Errorf("store %q: %w", set.Store, err)
	}
	if _, err := f.Write([]byte("x")); err != nil {
		f.Close()
		return fmt.Errorf("store %q: %w", set.Store, err)
	}
	if f, err = set.seal(f); err != nil {
		return fmt.Errorf("store %q: %w", set.Store, err)
	}
	defer f.Close()
	if _, err := f.ReadAt(make([]byte, 1), 0); err != nil {
		return fmt.Errorf("store %q: %w", set.Store, err)
	}
	if set.dir == nil {
		return nil
	}
	name, err := set.dir.put(func(f *os.File) error { _, err := f.WriteString("x"); return err })
	if err != nil {
		return fmt.Errorf("directory %q: %w", set.Dir, err)
	}
	set.dir.remove(name)
	return nil
}

// Check reports what New would fail with. It changes nothing: it does not create
// cfg.Dir, so that the check may run as another user than the spool.
func Check(cfg Config) error {
	dir := filepath.Clean(cfg.Dir)
	if cfg.Dir != "" {
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			if err := check(cfg.withDefaults()); err != nil {
				return fmt.Errorf("spool: %w", err)
			}
			if err := mayCreate(dir); err != nil {
				return fmt.Errorf("spool: directory %q: %w", dir, adviseDirectory(err))
			}
			cfg.Dir, cfg.Store = "", Memfd
		}
	}
	s, err := New(cfg)
	if err != nil {
		return err
	}
	return s.Close()
}

// mayCreate checks that this process could create a directory, with its parents.
func mayCreate(dir string) error {
	if err := checkKernelFS(dir); err != nil {
		return err
	}
	if err := checkDangling(dir); err != nil {
		return err
	}
	parent := nearest(dir)
	info, err := os.Stat(parent)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a directory", parent)
	}
	if err := unix.Access(parent, unix.W_OK|unix.X_OK); err != nil {
		return &fs.PathError{Op: "mkdir", Path: dir, Err: err}
	}
	return nil
}
