package files

import (
	"context"
	"errors"
	"iter"

	"golang.org/x/sys/unix"

	"polyclam/proxy/client"
)

// A Dir is an open directory of a client. It is for one goroutine.
type Dir struct {
	pool *Pool
	d    *descriptor
}

// Close closes the directory.
func (d *Dir) Close() { d.d.done() }

// ErrGone says that an entry has vanished since it was listed, or that something else,
// such as a link, has replaced it.
var ErrGone = errors.New("gone since it was listed")

// Open opens one entry for the client of ctx. It follows no link, so replacing the entry
// leads nowhere else. Errors are those of [Pool.Open], or wrap ErrGone.
func (d *Dir) Open(ctx context.Context, name string) (Object, error) {
	k := client.FromContext(ctx)
	return d.pool.open(ctx, func() (Object, error) {
		if !d.d.use() {
			return Object{}, ErrGone
		}
		defer d.d.done()
		fd, err := openat(d.d.fd, name, openFlags|unix.O_NOFOLLOW)
		if err != nil {
			return Object{}, d.openError(name, err)
		}
		kind, err := kindOf(fd)
		if err != nil || kind != unix.S_IFREG && kind != unix.S_IFDIR {
			unix.Close(fd)
			return Object{}, ErrGone
		}
		return d.pool.object(k, fd, kind)
	})
}

// openError classifies the error of opening an entry.
func (d *Dir) openError(name string, err error) error {
	if err == unix.ELOOP || err == unix.ENXIO || err == unix.ENOENT {
		return ErrGone
	}
	var st unix.Stat_t
	if err := d.stat(name, &st); err != nil {
		return &LookupError{err}
	}
	return &OpenError{st.Mode&unix.S_IFMT == unix.S_IFDIR, err}
}

func (d *Dir) stat(name string, st *unix.Stat_t) error {
	return retryEINTR(func() error { return unix.Fstatat(d.d.fd, name, st, unix.AT_SYMLINK_NOFOLLOW) })
}

// Entries returns the names of the files and directories in d: files first, and each kind
// in the order of inodes, as clamd does. Links and special files are left out. within
// returns the context for one operation. After an error the entries that could be read
// follow.
//
// A directory whose entries exceed memory is read in batches, and once more for its
// directories. Then the order of inodes holds within a batch, and files still come first.
func (d *Dir) Entries(within func() (context.Context, context.CancelFunc), memory *Memory) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		l := listing{d: d, within: within, memory: memory, yield: yield}
		dirs, all, ok := l.files()
		switch {
		case !ok || !dirs:
		case all != nil:
			l.names(all, true)
		default:
			l.directories()
		}
		if all != nil {
			all.free()
		}
	}
}

// A listing is one call of Entries.
type listing struct {
	d      *Dir
	within func() (context.Context, context.CancelFunc)
	memory *Memory
	yield  func(string, error) bool
}

// files yields the files. It reports whether there are directories too, and returns them
// if everything came in one batch. ok is false if the caller wants no more.
func (l *listing) files() (dirs bool, all *batch, ok bool) {
	wanted := everything
	for {
		b, ok, err := l.read(wanted)
		dirs = dirs || b.dirs
		ok = ok && l.names(b, false)
		if ok && b.last && wanted == everything {
			b.dropFiles()
			return dirs, b, true
		}
		last := b.last
		b.free()
		if !ok || err != nil || last {
			return dirs, nil, ok
		}
		wanted = onlyFiles
	}
}

// directories reads the directory once more and yields the directories.
func (l *listing) directories() {
	ctx, cancel := l.within()
	err := l.d.rewind(ctx)
	cancel()
	if err != nil {
		l.yield("", err)
		return
	}
	for {
		b, ok, err := l.read(onlyDirs)
		ok = ok && l.names(b, true)
		last := b.last
		b.free()
		if !ok || err != nil || last {
			return
		}
	}
}

// read reads the next batch, and yields its error.
func (l *listing) read(wanted want) (b *batch, ok bool, err error) {
	ctx, cancel := l.within()
	defer cancel()
	b, err = l.d.read(ctx, wanted, l.memory)
	return b, err == nil || l.yield("", err), err
}

// names yields the files or the directories of a batch.
func (l *listing) names(b *batch, dirs bool) bool {
	for _, e := range b.entries {
		if e.dir == dirs && !l.yield(b.name(e), nil) {
			return false
		}
	}
	return true
}

// rewind makes the next read start at the first entry.
func (d *Dir) rewind(ctx context.Context) error {
	_, err := Do(ctx, d.pool, "reading the directory", func() (int64, error) {
		if !d.d.use() {
			return 0, ErrGone
		}
		defer d.d.done()
		return unix.Seek(d.d.fd, 0, unix.SEEK_SET)
	}, nil)
	return err
}
