package spool

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// The names of what is ours in Config.Dir begin so. rand.Text adds 26 letters
// and digits.
const (
	subPrefix  = "polyclam-spool-"
	filePrefix = "polyclam-"
)

// A directory is the place of one process within Config.Dir: a subdirectory
// that is locked by flock(2) as long as it is in use. The lock goes with the
// process, however that ends; so that the next New knows what nobody uses any
// more. systemd-tmpfiles leaves a locked directory alone, too.
//
// It is counted by references: the spool holds one and so does every content.
type directory struct {
	parent string
	mode   fs.FileMode // of files with a name
	group  int         // of files with a name; 0: that of the process
	refs   atomic.Int64

	mu        sync.RWMutex // held for writing while sub is replaced
	sub       *os.File     // the subdirectory, locked
	anonymity bool         // the file system has O_TMPFILE
	discarded bool         // the subdirectory was removed by discard
}

// openDirectory makes cfg.Dir if needed, checks it, removes leftovers and makes
// a subdirectory.
func openDirectory(cfg Config) (*directory, error) {
	d := &directory{parent: cfg.Dir, mode: cfg.PathMode, group: cfg.PathGroup}
	if err := d.checkParent(); err != nil {
		return nil, err
	}
	removeLeftovers(d.parent)
	sub, err := d.makeSub()
	if err != nil {
		return nil, err
	}
	d.sub = sub
	d.refs.Store(1)
	f, err := d.openTmpfile()
	if err == nil {
		f.Close()
		d.anonymity = true
		return d, nil
	}
	if cfg.Store == Tmpfile {
		d.release()
		return nil, fmt.Errorf("store %q: %w; not every file system has O_TMPFILE: want another directory, or store %q", Tmpfile, err, Memfd)
	}
	return d, nil
}

// serves reports whether d is what cfg asks for and is still in place.
func (d *directory) serves(cfg Config) bool {
	if d.parent != cfg.Dir || d.mode != cfg.PathMode || d.group != cfg.PathGroup {
		return false
	}
	if cfg.Store == Tmpfile && !d.anonymity || d.checkParent() != nil {
		return false
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	return inPlace(d.sub)
}

// searchMode is the mode of directories: others may go through to a file whose
// name they were told, if they may read the file, and nobody may list.
func (d *directory) searchMode() fs.FileMode {
	mode := fs.FileMode(0o700)
	if d.mode&0o040 != 0 {
		mode |= 0o010
	}
	if d.mode&0o004 != 0 {
		mode |= 0o001
	}
	return mode
}

// checkParent makes the configured directory if it does not exist, and refuses
// one in which everybody could replace our subdirectory.
func (d *directory) checkParent() error {
	info, err := os.Stat(d.parent)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(d.parent), 0o755); err != nil {
			return err
		}
		if err := os.Mkdir(d.parent, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		} else if err == nil {
			return d.grant(d.parent)
		}
		info, err = os.Stat(d.parent)
	}
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return errors.New("not a directory")
	}
	if mode := info.Mode(); mode&0o002 != 0 && mode&fs.ModeSticky == 0 {
		return fmt.Errorf("everybody may write there (mode %#o) and replace files: want the sticky bit, as in 01777, or a mode such as 0755", mode.Perm())
	}
	return nil
}

// grant gives a directory of ours its group and mode.
func (d *directory) grant(path string) error {
	if d.group > 0 {
		if err := os.Lchown(path, -1, d.group); err != nil {
			return fmt.Errorf("path group: %w", err)
		}
	}
	return os.Chmod(path, d.searchMode())
}

// makeSub makes and locks a subdirectory.
func (d *directory) makeSub() (*os.File, error) {
	const tries = 10
	for range tries {
		path := filepath.Join(d.parent, subPrefix+rand.Text())
		if err := os.Mkdir(path, 0o700); err != nil {
			return nil, err
		}
		sub, err := lock(path)
		if err != nil {
			os.Remove(path)
			return nil, err
		}
		if sub == nil {
			continue // another process took it for a leftover
		}
		if err := d.grant(path); err != nil {
			sub.Close()
			os.Remove(path)
			return nil, err
		}
		return sub, nil
	}
	return nil, fmt.Errorf("somebody removed each of %d new subdirectories", tries)
}

// lock opens and locks the directory at path. It returns nil if another process
// holds the lock, or if the directory is gone.
func lock(path string) (*os.File, error) {
	sub, err := os.OpenFile(path, unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(sub.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil && inPlace(sub) {
		return sub, nil
	}
	sub.Close()
	if err == nil || err == unix.EWOULDBLOCK {
		return nil, nil
	}
	return nil, fmt.Errorf("lock %s: %w", path, err)
}

// inPlace reports whether an open directory is still what its name says.
func inPlace(sub *os.File) bool {
	have, err := sub.Stat()
	if err != nil {
		return false
	}
	want, err := os.Lstat(sub.Name())
	return err == nil && os.SameFile(have, want)
}

func (d *directory) retain() { d.refs.Add(1) }

func (d *directory) release() {
	if d.refs.Add(-1) > 0 {
		return
	}
	d.mu.Lock() // against discard
	defer d.mu.Unlock()
	// While it is locked, so that nobody makes it theirs. It is empty unless
	// somebody else put something there.
	os.Remove(d.sub.Name())
	d.sub.Close()
}

// discard removes the subdirectory and our files in it, even those still in use. What
// is open already stays readable.
func (d *directory) discard() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.discarded = true
	if d.refs.Load() > 0 && inPlace(d.sub) {
		removeFiles(d.sub)
	}
}

// renew makes a new subdirectory if somebody has removed the old one. It
// reports whether there is one now, so that another try is worthwhile.
func (d *directory) renew() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if inPlace(d.sub) {
		return true // perhaps since another goroutine renewed it
	}
	if d.discarded || d.checkParent() != nil {
		return false
	}
	sub, err := d.makeSub()
	if err != nil {
		return false
	}
	d.sub.Close()
	d.sub = sub
	return true
}
