package protocol

import (
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"polyclam/protocol/nowait"
)

// A segment is a pooled receive buffer, small for commands and large for streams. With
// 128 KiB a stream of 1 MiB is 13 to 23 % faster than with 64 KiB. With 4 KiB it takes two
// and a half times the CPU time.
type segment struct {
	b     []byte
	oob   [64]byte // room for ancillary data with a few descriptors
	large bool

	// The arguments of recvmsg(2). On the stack they would double that of an idle client.
	msg syscall.Msghdr
	iov syscall.Iovec
}

// receive is recvmsg(2) into p, a part of s.b that is not empty. The ancillary data is in s.oob
// after that, and its length and the flags in s.msg.
func (s *segment) receive(fd int, p []byte) (int, error) {
	s.iov.Base = unsafe.SliceData(p)
	s.iov.SetLen(len(p))
	s.msg = syscall.Msghdr{Iov: &s.iov, Iovlen: 1, Control: &s.oob[0]}
	s.msg.SetControllen(len(s.oob))
	return nowait.Receive(fd, &s.msg, syscall.MSG_CMSG_CLOEXEC)
}

const (
	smallSegment = 16 << 10 // more than maxCommand, and a small mail in one read
	largeSegment = 128 << 10
	// mostLarge bounds the large segments in use, which may wait for a slow writer. It is
	// more than the CPUs can fill.
	mostLarge = 64
)

// ReceiveBuffers returns the most memory that the receive buffers of n connections use.
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

// free returns the segment to its pool. The client's data in it is overwritten by the next
// receive and never sent.
func (s *segment) free() {
	if s.large {
		largeInUse.Add(-1)
		largeSegments.Put(s)
		return
	}
	smallSegments.Put(s)
}
