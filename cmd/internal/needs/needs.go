// Package needs computes how many descriptors and threads, and how much memory, the
// daemon needs at most with a configuration. docs/limits.md explains the formula and
// --check prints it. The daemon compares the result with its own limits, and tests
// compare it with daemons under load.
package needs

import (
	"fmt"
	"runtime"
	"slices"
	"strings"

	"polyclam/cmd/internal/config"
	"polyclam/cmd/internal/size"
	"polyclam/protocol"
	"polyclam/proxy"
	"polyclam/proxy/ops"
	"polyclam/proxy/spool"
)

// The fixed needs of the daemon.
const (
	// ownDescriptors: log, epoll, spool directory, notifications, listeners opened by a
	// reload, and a reserve.
	ownDescriptors = 64
	// ownThreads: the runtime's own, the log, signals, and the first process of a
	// container.
	ownThreads = 24
	ownMemory  = 24 << 20 // program, runtime, free segments of the spool, log
)

// The needs of each item.
const (
	lateDescriptors     = 64 + 64 + 256 // of one client; each further client may have as many to close
	listenerDescriptors = 2             // the socket, and the file of a Unix socket
	scanDescriptors     = 2             // the connection to the engine, and a copy of the object
	programDescriptors  = 6             // during its start; later its output and its handle

	connectionMemory = 8 << 10   // goroutine, buffers, state
	waitingMemory    = 2 << 10   // the connection alone
	serviceMemory    = 64 << 10  // TLS, buffers, an answer
	handshakeMemory  = 128 << 10 // the longest ClientHello, goroutine, state
	clientCertMemory = 256 << 10 // the longest chain of certificates of a client
	tlsMemory        = 72 << 10  // keys, and the buffers for records, after long ones
	scanMemory       = 256 << 10 // buffers of a conversation with an engine
)

// A Term is one summand of a need.
type Term struct {
	N    int64
	What string // "2 x limits.connections"
}

// Need is the most that is needed of something, as a sum.
type Need []Term

// Sum returns the total.
func (n Need) Sum() int64 {
	var sum int64
	for _, t := range n {
		sum += t.N
	}
	return sum
}

// Needs are the needs of a configuration.
type Needs struct {
	Descriptors Need
	Threads     Need // of the daemon
	Programs    Need // processes of engines, without their children
	Memory      Need // in use, without garbage
	Garbage     int64
}

// MemoryAtMost returns the memory including the most garbage that Go leaves without a
// limit.
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
		{spool.MaxKept, "memory of the spool that is kept for the next objects"},
		{listenerDescriptors * int64(len(f.Listeners)+len(f.Services)), "2 for each listener"},
		{proxy.DescriptorsPerConnection * int64(f.Limits.Connections), "2 x limits.connections"},
		{int64(limits.SessionObjects()), "objects of sessions: limits.connections / 16, session_scans at least"},
		{int64(limits.WalkDescriptors()), "walks through directories: limits.connections / 16, enough for 4 MULTISCANs at least"},
		{int64(f.Limits.Waiting), "limits.waiting"},
		{int64(f.Limits.FileThreads), "limits.file_threads"},
		{lateDescriptors, "objects that are hashed or observed after the reply, and files that a file system does not close"},
	}
	if limits.Handshakes > 0 {
		need = append(need, Term{int64(limits.Handshakes), "limits.handshakes"})
	}
	for i := range f.Engines {
		u := &f.Engines[i]
		each := int64(scanDescriptors)
		if u.RunsPrograms() {
			each = programDescriptors
		}
		need = append(need, Term{each * slots(u), fmt.Sprintf("%d x max_scans x nodes of %s", each, u.Name)})
	}
	if n, what := services(f); n > 0 {
		need = append(need, Term{n, what})
	}
	if hooks := findPrograms(f); hooks > 0 {
		need = append(need, Term{programDescriptors * hooks, fmt.Sprintf("%d x on_find.max_running", programDescriptors)})
	}
	return need
}

// services returns the most connections of [http], [admin] and agent checks.
func services(f *config.File) (n int64, what string) {
	var parts []string
	for _, s := range []struct {
		service config.Service
		n       int
		name    string
	}{{config.ServiceHTTP, ops.MaxConnections, "[http]"}, {config.ServiceAdmin, ops.MaxAdminConnections, "[admin]"}, {config.ServiceAgent, ops.MaxAgents, "agent checks"}} {
		if slices.ContainsFunc(f.Services, func(l config.Listener) bool { return l.Service == s.service }) {
			n += int64(s.n)
			parts = append(parts, fmt.Sprintf("%d for %s", s.n, s.name))
		}
	}
	return n, "connections: " + strings.Join(parts, ", ")
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
	if hooks := findPrograms(f); hooks > 0 {
		need = append(need, Term{hooks, "on_find.max_running"})
	}
	return need
}

// findPrograms returns how many programs of [on_find] run concurrently.
func findPrograms(f *config.File) int64 {
	if f.OnFind.Program == "" {
		return 0
	}
	return int64(f.OnFind.MaxRunning)
}

// receiveMemory returns the size of the receive buffers of n connections.
func receiveMemory(n int64) int64 { return protocol.ReceiveBuffers(n) }

// handshakes returns the memory for TLS and PROXY headers.
func handshakes(f *config.File) (need Need) {
	n := int64(f.ProxyLimits().Handshakes)
	if n == 0 {
		return nil
	}
	need = Need{{handshakeMemory * n, "128 KiB x limits.handshakes"}}
	if slices.ContainsFunc(f.Listeners, func(l config.Listener) bool { return l.ClientCA != "" }) {
		need = append(need, Term{clientCertMemory * n, "client certificates: 256 KiB x limits.handshakes"})
	}
	if each := tlsEach(f); each > 0 {
		need = append(need, Term{each * int64(f.Limits.Connections), "TLS: 72 KiB x limits.connections"})
	}
	return need
}

// tlsEach returns how much memory each connection takes for TLS, if any may have it.
func tlsEach(f *config.File) int64 {
	if slices.ContainsFunc(f.Listeners, func(l config.Listener) bool { return l.TLS }) {
		return tlsMemory
	}
	return 0
}

func memory(f *config.File) Need {
	s := f.Spool()
	need := Need{
		{ownMemory, "the daemon itself"},
		{f.RecordBytes(), "records of recent scans"},
		{connectionMemory * int64(f.Limits.Connections), "8 KiB x limits.connections"},
		{waitingMemory * int64(f.Limits.Waiting), "2 KiB x limits.waiting"},
		{receiveMemory(int64(f.Limits.Connections)), "receive buffers: 16 KiB x limits.connections, 128 KiB for the first 64"},
	}
	if f.Cache.Memory > 0 {
		need = append(need, Term{f.Cache.Memory, "cache.memory"})
	}
	if n := s.Segments(); n > 4<<20 {
		need = append(need, Term{n, "free memory for streams that stay in memory"})
	}
	if n, what := services(f); n > 0 {
		need = append(need, Term{serviceMemory * n, "64 KiB x " + what})
	}
	need = append(need, handshakes(f)...)
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

// Heap returns the memory on Go's heap, without garbage.
func Heap(f *config.File) int64 {
	sum := memory(f).Sum()
	if f.SpoolInMemory() {
		sum -= f.Spool().Total // includes the part on the heap, which has its own term
	}
	if f.CopiesInMemory() {
		sum -= f.Spool().Total
	}
	return sum
}

// perScan returns how much memory one scan takes.
func perScan(u *config.Engine) int64 { return scanMemory + u.ScanMemory() }

func nodes(u *config.Engine) int64 { return int64(u.MostNodes()) }

// slots returns how many scans an engine runs concurrently.
func slots(u *config.Engine) int64 { return int64(u.MaxScans) * nodes(u) }
