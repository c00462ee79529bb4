package files

import (
	"context"
	"iter"
)

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
