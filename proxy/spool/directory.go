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

	"polyclam/proxy/files"
)

// The prefixes of polyclam's names in Config.Dir. rand.Text adds 26 letters and digits.
const (
	subPrefix  = "polyclam-spool-"
	filePrefix = "polyclam-"
)

// A directory is one process's subdirectory of Config.Dir, locked by flock(2) while it is in
// use. The lock ends with the process, however it ends, so the next New recognizes leftovers.
// systemd-tmpfiles leaves a locked directory alone too.
//
// It is reference-counted: the spool holds one reference, and so does every object.
type directory struct {
	parent string
	mode   fs.FileMode // of named files
	group  int         // of named files; 0: that of the process
	refs   atomic.Int64

	mu         sync.RWMutex // held for writing while sub is replaced
	sub        *os.File     // the subdirectory, locked
	hasTmpfile bool         // the file system has O_TMPFILE
	discarded  bool         // the subdirectory was removed by discard
}

// openDirectory creates cfg.Dir if needed, checks it, removes leftovers and creates a
// subdirectory.
func openDirectory(cfg Config) (*directory, error) {
	d := &directory{parent: cfg.Dir, mode: cfg.PathMode, group: cfg.PathGroup}
	if err := d.checkParent(); err != nil {
		return nil, adviseDirectory(err)
	}
	removeLeftovers(d.parent)
	sub, err := d.makeSub()
	if err != nil {
		return nil, adviseDirectory(err)
	}
	d.sub = sub
	d.refs.Store(1)
	f, err := d.openTmpfile()
	if err == nil {
		f.Close()
		d.hasTmpfile = true
		return d, nil
	}
	if cfg.Store == Tmpfile {
		d.release()
		return nil, fmt.Errorf("store %q: %w; not every file system has O_TMPFILE: want another directory, or store %q", Tmpfile, err, Memfd)
	}
	return d, nil
}

// serves reports whether d matches cfg and is still in place.
func (d *directory) serves(cfg Config) bool {
	if d.parent != cfg.Dir || d.mode != cfg.PathMode || d.group != cfg.PathGroup {
		return false
	}
	if cfg.Store == Tmpfile && !d.hasTmpfile || d.checkParent() != nil {
		return false
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	return inPlace(d.sub)
}

// searchMode is the mode of directories: users who may read a named file may also reach it,
// but only the owner may list the directory.
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

// parentMode is the mode of the configured directory if polyclam creates it: every user may
// pass through, whatever the mode and group of the files are after a reload. The
// subdirectory, whose name no user can guess or list, decides who reaches the files.
const parentMode fs.FileMode = 0o711

// checkParent creates the configured directory if it does not exist, and refuses one in
// which any user could replace the subdirectory.
func (d *directory) checkParent() error {
	if err := checkKernelFS(d.parent); err != nil {
		return err
	}
	info, err := os.Stat(d.parent)
	if errors.Is(err, fs.ErrNotExist) {
		if err := checkDangling(d.parent); err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(d.parent), 0o755); err != nil {
			return err
		}
		if err := os.Mkdir(d.parent, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		} else if err == nil {
			return os.Chmod(d.parent, parentMode)
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
		return fmt.Errorf("any user may write there (mode %#o) and replace files: want the sticky bit, as in 01777, or a mode such as 0755", mode.Perm())
	}
	return nil
}

// checkKernelFS refuses a directory on, or to be created on, one of the kernel's own file
// systems.
func checkKernelFS(dir string) error {
	if parent := nearest(dir); files.OnKernelFS(parent) {
		return fmt.Errorf("%s is one of the kernel's own file systems: want a directory on a disk or a tmpfs", parent)
	}
	return nil
}

// nearest returns dir, or the nearest directory above it that exists.
func nearest(dir string) string {
	for {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) || dir == "/" {
			return dir
		}
		dir = filepath.Dir(dir)
	}
}

// checkDangling returns an error if a path that does not exist ends at a symbolic link: a
// directory cannot be created there.
func checkDangling(path string) error {
	for existing := nearest(path); path != existing; path = filepath.Dir(path) {
		if _, err := os.Lstat(path); err == nil {
			return fmt.Errorf("%s is a symbolic link to something that does not exist", path)
		}
	}
	return nil
}

// grant sets the group and mode of a directory.
func (d *directory) grant(path string) error {
	if d.group > 0 {
		if err := os.Lchown(path, -1, d.group); err != nil {
			return fmt.Errorf("path group: %w", err)
		}
	}
	return os.Chmod(path, d.searchMode())
}

// makeSub creates and locks a subdirectory.
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
	return nil, fmt.Errorf("each of %d new subdirectories was removed by another process", tries)
}

// lock opens and locks the directory at path. It returns nil if another process holds the
// lock, or if the directory is gone.
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

// inPlace reports whether the name of an open directory still leads to it.
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
	// Remove it while it is locked, so that no other process takes it over. It is empty
	// unless another program put something there.
	os.Remove(d.sub.Name())
	d.sub.Close()
}

// discard removes the subdirectory and polyclam's files in it, even those in use. Open
// files stay readable.
func (d *directory) discard() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.discarded = true
	if d.refs.Load() > 0 && inPlace(d.sub) {
		removeFiles(d.sub)
	}
}

// renew creates a new subdirectory if the old one was removed. It reports whether there is one
// now, so that the caller can try again.
func (d *directory) renew() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if inPlace(d.sub) {
		return true // another goroutine may have renewed it
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
