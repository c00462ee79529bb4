package protocol

import (
	"sync"
	"sync/atomic"
)

// A segment is a pooled receive buffer. Small ones serve commands and what comes
// along with them, large ones the bodies of streams: 128 KiB and more make a 1 MiB
// stream 13 to 23 % faster than 64 KiB, 4 KiB make it cost two and a half times the
// processor time.
type segment struct {
	b     []byte
	oob   [64]byte // room for ancillary data with a few descriptors
	large bool
}

const (
	smallSegment = 16 << 10 // more than maxCommand, and a small mail in one read
	largeSegment = 128 << 10
	// mostLarge is how many large ones may be in use: more than processors can fill.
	// What waits with one, because its writer does, must not use up the memory.
	mostLarge = 64
)

// ReceiveBuffers is the memory of all receive buffers that are in use while n
// connections receive, at most.
func ReceiveBuffers(n int64) int64 {
	return min(n, mostLarge)*largeSegment + max(0, n-mostLarge)*smallSegment
}

var largeInUse atomic.Int64

var (
	smallSegments = sync.Pool{New: func() any { return &segment{b: make([]byte, smallSegment)} }}
	largeSegments = sync.Pool{New: func() any { return &segment{b: make([]byte, largeSegment), large: true} }}
)

func newSegment(large bool) *segment {
	if large && largeInUse.Add(1) <= mostLarge {
		return largeSegments.Get().(*segment)
	}
	if large {
		largeInUse.Add(-1)
	}
	return smallSegments.Get().(*segment)
}

// free gives the segment back. What it holds is a client's: it is overwritten by
// the next receive and never sent.
func (s *segment) free() {
	if s.large {
		largeInUse.Add(-1)
		largeSegments.Put(s)
		return
	}
	smallSegments.Put(s)
}
