// Package needs computes from a configuration what the daemon needs at most:
// descriptors, threads and memory. docs/limits.md explains the formula, --check prints
// it, the daemon compares it with the limits that it runs under, and tests compare it
// with daemons under load.
package needs

import (
	"fmt"
	"runtime"

	"polyclam/cmd/internal/config"
	"polyclam/cmd/internal/size"
	"polyclam/protocol"
	"polyclam/proxy"
	"polyclam/proxy/spool"
)

// What the daemon takes whatever is configured.
const (
	// ownDescriptors: log, epoll, spool directory, notifications, a reload that opens
	// new listeners, and room to move.
	ownDescriptors = 64
	// ownThreads: the runtime's own, the log, signals, and the first process of a
	// container.
	ownThreads = 24
	ownMemory  = 24 << 20 // program, runtime, free segments of the spool, log
)

// What one of each takes.
const (
	lateDescriptors     = 64 + 256 // of one client; each further one may have as many to close
	listenerDescriptors = 2        // the socket, and the file of a Unix socket
	scanDescriptors     = 2        // the connection to the engine, and a copy of the object
	programDescriptors  = 6        // while it is being started; then its output and its handle

	connectionMemory = 8 << 10   // goroutine, buffers, state
	waitingMemory    = 2 << 10   // the connection alone
	scanMemory       = 256 << 10 // buffers of a conversation with an engine
)

// A Term is a part of a need.
type Term struct {
	N    int64
	What string // for people: "2 x limits.connections"
}

// Need is how much of something is needed at most.
type Need []Term

// Sum is the need as a whole.
func (n Need) Sum() int64 {
	var sum int64
	for _, t := range n {
		sum += t.N
	}
	return sum
}

// Needs are all of them.
type Needs struct {
	Descriptors Need
	Threads     Need // of the daemon
	Programs    Need // processes that engines are, without what they start in turn
	Memory      Need // in use, without what Go has not collected yet
	Garbage     int64
}

// MemoryAtMost is the memory with as much garbage as Go lets grow where nothing limits it.
func (n *Needs) MemoryAtMost() int64 { return n.Memory.Sum() + n.Garbage }

// Of returns the needs of a configuration.
func Of(f *config.File) Needs {
	return Needs{
		Descriptors: descriptors(f), Threads: threads(f), Programs: programs(f),
		Memory: memory(f), Garbage: Heap(f),
	}
}

func descriptors(f *config.File) Need {
	limits := f.ProxyLimits()
	need := Need{
		{ownDescriptors, "the daemon itself"},
		{listenerDescriptors * int64(len(f.Listeners)), "2 for each listener"},
		{proxy.DescriptorsPerConnection * int64(f.Limits.Connections), "2 x limits.connections"},
		{int64(limits.SessionObjects()), "objects of sessions: limits.connections / 16, session_scans at least"},
		{int64(limits.WalkDescriptors()), "walks through directories: limits.connections / 16, enough for 4 MULTISCANs at least"},
		{int64(f.Limits.Waiting), "limits.waiting"},
		{int64(f.Limits.FileThreads), "limits.file_threads"},
		{lateDescriptors, "objects that are hashed after the reply, and files that a file system does not close"},
	}
	for i := range f.Engines {
		u := &f.Engines[i]
		each := int64(scanDescriptors)
		if u.RunsPrograms() {
			each = programDescriptors
		}
		need = append(need, Term{each * slots(u), fmt.Sprintf("%d x max_scans x nodes of %s", each, u.Name)})
	}
	return need
}

func threads(f *config.File) Need {
	need := Need{
		{ownThreads, "the daemon itself"},
		{int64(runtime.GOMAXPROCS(0)), "one for each processor"},
		{spool.StoreThreads, "writes to the spool"},
		{int64(f.Limits.FileThreads), "limits.file_threads"},
	}
	for i := range f.Engines {
		u := &f.Engines[i]
		need = append(need, Term{slots(u), "max_scans x nodes of " + u.Name})
	}
	return need
}

func programs(f *config.File) Need {
	var need Need
	for i := range f.Engines {
		if u := &f.Engines[i]; u.RunsPrograms() {
			need = append(need, Term{slots(u) + nodes(u), "max_scans x nodes of " + u.Name + ", and its version"})
		}
	}
	return need
}

// receiveMemory is that of the receive buffers of n connections.
func receiveMemory(n int64) int64 { return protocol.ReceiveBuffers(n) }

func memory(f *config.File) Need {
	s := f.Spool()
	need := Need{
		{ownMemory, "the daemon itself"},
		{connectionMemory * int64(f.Limits.Connections), "8 KiB x limits.connections"},
		{waitingMemory * int64(f.Limits.Waiting), "2 KiB x limits.waiting"},
		{receiveMemory(int64(f.Limits.Connections)), "receive buffers: 16 KiB x limits.connections, 128 KiB for the first 64"},
	}
	if f.SpoolInMemory() {
		need = append(need, Term{s.Total, "limits.spool_total"}, Term{s.InMemory, "copies of short streams for engines"})
	} else {
		need = append(need, Term{s.InMemory, "short streams (the spool is on a disk)"})
	}
	if f.CopiesInMemory() {
		need = append(need, Term{s.Total, "files with names: spool.directory is in memory"})
	}
	for i := range f.Engines {
		u := &f.Engines[i]
		need = append(need, Term{perScan(u) * slots(u), fmt.Sprintf("%s x max_scans x nodes of %s", size.MiB(perScan(u)), u.Name)})
	}
	return need
}

// Heap is the part of the memory that is Go's, without garbage.
func Heap(f *config.File) int64 {
	sum := memory(f).Sum()
	if f.SpoolInMemory() {
		sum -= f.Spool().Total // with the part in the heap, which is added again
	}
	if f.CopiesInMemory() {
		sum -= f.Spool().Total
	}
	return sum
}

// perScan is the memory of one scan.
func perScan(u *config.Engine) int64 { return scanMemory + u.ScanMemory() }

func nodes(u *config.Engine) int64 { return int64(max(1, len(u.Addresses))) }

// slots is how many scans an engine does at the same time.
func slots(u *config.Engine) int64 { return int64(u.MaxScans) * nodes(u) }
