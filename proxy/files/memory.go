package files

import "sync"

const (
	// MemoryOfAll is the memory for the entries that all walks hold together.
	MemoryOfAll = 32 << 20
	// MemoryOfWalk is the memory for the entries of one walk: its current batch, and the
	// remaining directories of the levels above.
	MemoryOfWalk = 512 << 10

	// minBatch is the memory that every batch gets, or walks could not make progress.
	minBatch = 4 << 10
)

// A Memory limits the directory entries that are held at the same time. It is safe for
// concurrent use.
type Memory struct {
	all  *Memory // nil: this is the memory of all walks
	mu   sync.Mutex
	left int64
}

// NewMemory returns the memory of all walks.
func NewMemory() *Memory { return &Memory{left: MemoryOfAll} }

// Walk returns the memory of one walk.
func (m *Memory) Walk() *Memory { return &Memory{all: m, left: MemoryOfWalk} }

// take grants half of what is left, so that other walks and the levels below get some.
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
	n := max(minBatch, min(wanted, m.left/2))
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
