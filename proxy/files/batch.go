package files

import (
	"cmp"
	"context"
	"encoding/binary"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// A want selects the entries that read returns.
type want int

const (
	everything want = iota
	onlyFiles
	onlyDirs
)

// A batch is some of the entries of a directory, sorted by compareEntries.
type batch struct {
	last bool // the directory has no more entries
	dirs bool // directories were read, wanted or not

	names   []byte
	entries []entry
	memory  *Memory
	held    int64
}

type entry struct {
	inode      uint64
	start, end uint32 // of its name
	dir        bool
}

const entrySize = 24

func (b *batch) name(e entry) string { return string(b.names[e.start:e.end]) }

// free returns the memory of the batch.
func (b *batch) free() {
	b.memory.give(b.held)
	b.names, b.entries, b.held = nil, nil, 0
}

// dropFiles removes the files, and returns their memory.
func (b *batch) dropFiles() {
	kept := make([]entry, 0, len(b.entries))
	names := make([]byte, 0, min(len(b.names), 1<<10))
	for _, e := range b.entries {
		if e.dir {
			start := uint32(len(names))
			names = append(names, b.names[e.start:e.end]...)
			kept = append(kept, entry{e.inode, start, uint32(len(names)), true})
		}
	}
	b.names, b.entries = names, slices.Clip(kept)
	b.trim()
}

// trim returns the memory that the batch does not use.
func (b *batch) trim() {
	need := min(b.held, int64(cap(b.names))+entrySize*int64(cap(b.entries)))
	b.memory.give(b.held - need)
	b.held = need
}

// direntBuffers are the buffers of getdents64(2).
var direntBuffers = sync.Pool{New: func() any { return new([16 << 10]byte) }}

// read returns the next batch of entries, as many as memory has room for. With an error
// it returns what it could read. The caller frees the batch.
func (d *Dir) read(ctx context.Context, wanted want, memory *Memory) (*batch, error) {
	held := memory.take()
	type result struct {
		b   *batch
		err error
	}
	r, err := Do(ctx, d.pool, "reading the directory", func() (result, error) {
		b := &batch{memory: memory, held: held}
		if !d.d.use() {
			return result{b, ErrGone}, nil
		}
		defer d.d.done()
		err := d.fill(b, wanted)
		slices.SortFunc(b.entries, compareEntries)
		b.trim()
		return result{b, err}, nil
	}, func(r result) { r.b.free() })
	if r.b == nil {
		r.b = &batch{memory: memory}
		if stuck, ok := err.(*StuckError); ok && !stuck.begun {
			memory.give(held)
		}
		return r.b, err
	}
	return r.b, r.err
}

// fill reads entries until b is full or the directory ends.
func (d *Dir) fill(b *batch, wanted want) error {
	buf := direntBuffers.Get().(*[16 << 10]byte)
	defer direntBuffers.Put(buf)
	for {
		var n int
		err := retryEINTR(func() (err error) {
			n, err = unix.Getdents(d.d.fd, buf[:])
			return err
		})
		if err != nil || n == 0 {
			b.last = true
			return err
		}
		for rest := buf[:n]; len(rest) > 0; {
			e, ok := parseEntry(rest)
			if !ok {
				return unix.EIO
			}
			rest = rest[e.length:]
			d.add(b, e, wanted)
			if b.full() {
				_, err := unix.Seek(d.d.fd, e.next, unix.SEEK_SET)
				return err
			}
		}
	}
}

// full reports whether another entry might exceed the memory. 1 KiB has room for the
// longest name of any file system.
func (b *batch) full() bool {
	return int64(len(b.names))+entrySize*int64(len(b.entries)) > b.held-1<<10
}

// A dirent is one entry as getdents64(2) returns it.
type dirent struct {
	inode  uint64
	next   int64 // for lseek(2): the entry after this one
	kind   byte
	length int
	name   []byte
}

// parseEntry parses the first entry of b.
func parseEntry(b []byte) (dirent, bool) {
	const header = 19
	if len(b) < header {
		return dirent{}, false
	}
	e := dirent{
		inode:  binary.NativeEndian.Uint64(b),
		next:   int64(binary.NativeEndian.Uint64(b[8:])),
		length: int(binary.NativeEndian.Uint16(b[16:])),
		kind:   b[18],
	}
	if e.length <= header || e.length > len(b) {
		return dirent{}, false
	}
	e.name = b[header:e.length]
	if end := slices.Index(e.name, 0); end >= 0 {
		e.name = e.name[:end]
	}
	return e, len(e.name) > 0
}

// add adds e if it is wanted. It also adds an entry that cannot be examined: the attempt to
// open it will return the reason.
func (d *Dir) add(b *batch, e dirent, wanted want) {
	name := string(e.name)
	if name == "." || name == ".." {
		return
	}
	if e.kind == unix.DT_UNKNOWN {
		var st unix.Stat_t
		switch err := d.stat(name, &st); {
		case err == unix.ENOENT:
			return
		case err != nil:
			e.kind = unix.DT_REG
		default:
			e.kind, e.inode = byte(st.Mode&unix.S_IFMT>>12), st.Ino
		}
	}
	dir := e.kind == unix.DT_DIR
	b.dirs = b.dirs || dir
	if !dir && e.kind != unix.DT_REG || dir && wanted == onlyFiles || !dir && wanted == onlyDirs {
		return
	}
	start := uint32(len(b.names))
	b.names = append(b.names, name...)
	b.entries = append(b.entries, entry{e.inode, start, uint32(len(b.names)), dir})
}

// compareEntries sorts files before directories, and lower inodes before higher ones.
func compareEntries(a, b entry) int {
	switch {
	case a.dir != b.dir && a.dir:
		return 1
	case a.dir != b.dir:
		return -1
	}
	return cmp.Or(cmp.Compare(a.inode, b.inode), cmp.Compare(a.start, b.start))
}
