package files

import (
	"cmp"
	"context"
	"encoding/binary"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// A Want says which entries Read is to return.
type Want int

// The wants of Read.
const (
	Everything Want = iota
	OnlyFiles
	OnlyDirs
)

// A Batch is some of the entries of a directory, files before directories, lower
// inodes before higher. Links and special files are left out.
type Batch struct {
	Last bool // the directory has no more entries
	Dirs bool // there are directories among what was read, wanted or not

	names   []byte
	entries []entry
	memory  *Memory
	held    int64
}

// entry is an entry of a batch.
type entry struct {
	inode      uint64
	start, end uint32 // of its name
	dir        bool
}

const entrySize = 24

// Len is the number of entries.
func (b *Batch) Len() int { return len(b.entries) }

// Name is the name of an entry.
func (b *Batch) Name(i int) string { return string(b.names[b.entries[i].start:b.entries[i].end]) }

// IsDir reports whether an entry is a directory.
func (b *Batch) IsDir(i int) bool { return b.entries[i].dir }

// Free gives the memory of the batch back.
func (b *Batch) Free() {
	b.memory.give(b.held)
	b.names, b.entries, b.held = nil, nil, 0
}

// DropFiles leaves the directories only, and gives back the memory of the files.
func (b *Batch) DropFiles() {
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

// trim gives back what of the memory is not used.
func (b *Batch) trim() {
	need := min(b.held, int64(cap(b.names))+entrySize*int64(cap(b.entries)))
	b.memory.give(b.held - need)
	b.held = need
}

// scratches are the buffers of getdents64(2).
var scratches = sync.Pool{New: func() any { return new([16 << 10]byte) }}

// Read returns the next batch of entries, as many as memory has room for. With an
// error it returns what it could read. The caller frees the batch.
func (d *Dir) Read(ctx context.Context, want Want, memory *Memory) (*Batch, error) {
	held := memory.take()
	type result struct {
		b   *Batch
		err error
	}
	r, err := Do(ctx, d.pool, "reading the directory", func() (result, error) {
		b := &Batch{memory: memory, held: held}
		if !d.d.use() {
			return result{b, ErrGone}, nil
		}
		defer d.d.done()
		err := d.fill(b, want)
		slices.SortFunc(b.entries, compareEntries)
		b.trim()
		return result{b, err}, nil
	}, func(r result) { r.b.Free() })
	if r.b == nil {
		r.b = &Batch{memory: memory}
		if stuck, ok := err.(*StuckError); ok && !stuck.begun {
			memory.give(held)
		}
		return r.b, err
	}
	return r.b, r.err
}

// fill reads entries until b is full or the directory ends.
func (d *Dir) fill(b *Batch, want Want) error {
	scratch := scratches.Get().(*[16 << 10]byte)
	defer scratches.Put(scratch)
	for {
		var n int
		err := again(func() (err error) {
			n, err = unix.Getdents(d.d.fd, scratch[:])
			return err
		})
		if err != nil || n == 0 {
			b.Last = true
			return err
		}
		for rest := scratch[:n]; len(rest) > 0; {
			e, ok := parseEntry(rest)
			if !ok {
				return unix.EIO
			}
			rest = rest[e.length:]
			d.add(b, e, want)
			if b.full() {
				_, err := unix.Seek(d.d.fd, e.next, unix.SEEK_SET)
				return err
			}
		}
	}
}

// full reports whether another entry may be too much. 1 KiB has room for the longest
// name of any file system.
func (b *Batch) full() bool {
	return int64(len(b.names))+entrySize*int64(len(b.entries)) > b.held-1<<10
}

// A dirent is one entry as getdents64(2) gives it.
type dirent struct {
	inode  uint64
	next   int64 // for lseek(2): the entry after this one
	kind   byte
	length int
	name   []byte
}

// parseEntry reads the first entry of b.
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

// add takes an entry that is wanted. What cannot be looked at is taken too: to open it
// says why.
func (d *Dir) add(b *Batch, e dirent, want Want) {
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
	b.Dirs = b.Dirs || dir
	if !dir && e.kind != unix.DT_REG || dir && want == OnlyFiles || !dir && want == OnlyDirs {
		return
	}
	start := uint32(len(b.names))
	b.names = append(b.names, name...)
	b.entries = append(b.entries, entry{e.inode, start, uint32(len(b.names)), dir})
}

// compareEntries sorts files before directories, and lower inodes before higher.
func compareEntries(a, b entry) int {
	switch {
	case a.dir != b.dir && a.dir:
		return 1
	case a.dir != b.dir:
		return -1
	}
	return cmp.Or(cmp.Compare(a.inode, b.inode), cmp.Compare(a.start, b.start))
}

// The memory of walks.
const (
	// MemoryOfAll bounds the entries that all walks hold.
	MemoryOfAll = 32 << 20
	// MemoryOfWalk bounds those of one walk: the batch that it is at, and the
	// directories of the levels above that are still to come.
	MemoryOfWalk = 512 << 10

	// leastBatch is the memory that a batch gets in any case, or walks would stop.
	leastBatch = 4 << 10
)

// A Memory says how much of the entries of directories may be held. It is safe for
// concurrent use.
type Memory struct {
	all  *Memory // nil: this is the memory of all
	mu   sync.Mutex
	left int64
}

// NewMemory returns the memory of all walks.
func NewMemory() *Memory { return &Memory{left: MemoryOfAll} }

// Walk returns the memory of one walk.
func (m *Memory) Walk() *Memory { return &Memory{all: m, left: MemoryOfWalk} }

// take grants half of what is left, so that others and the levels below get some.
func (m *Memory) take() int64 {
	if m.all == nil {
		return m.grant(MemoryOfWalk / 2)
	}
	n := m.all.take()
	got := m.grant(n)
	m.all.give(n - got)
	return got
}

func (m *Memory) grant(wanted int64) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := max(leastBatch, min(wanted, m.left/2))
	m.left -= n
	return n
}

func (m *Memory) give(n int64) {
	m.mu.Lock()
	m.left += n
	m.mu.Unlock()
	if m.all != nil {
		m.all.give(n)
	}
}
