package page

import (
	"fmt"
	"math"

	"polyclam/proxy"
	"polyclam/proxy/files"
	"polyclam/proxy/ops/human"
)

// A resource is what the daemon uses of something that is bounded.
type resource struct {
	Name, Note  string
	Used, Bound string
	Bounded     bool
	Percent     int
	Class       string
}

// newResource returns a resource with a bound; 0: none. format formats both.
func newResource(name string, used, bound int64, format func(int64) string, note string) resource {
	r := resource{Name: name, Note: note, Used: format(used), Bound: "none"}
	if bound <= 0 {
		return r
	}
	r.Bound, r.Bounded = format(bound), true
	r.Percent = int(min(100, max(0, float64(used)/float64(bound)*100)))
	switch {
	case r.Percent >= 95:
		r.Class = bad
	case r.Percent >= 80:
		r.Class = warn
	}
	return r
}

func resources(s *proxy.Snapshot) []resource {
	p, c := &s.Process, &s.Connections
	goLimit := p.GoMemoryLimit
	if goLimit == math.MaxInt64 { // Go's word for no limit
		goLimit = 0
	}
	group := ""
	if s.Server.MemoryNeeded > 0 {
		group = "the configuration can need " + human.Size(s.Server.MemoryNeeded)
	}
	return []resource{
		newResource("Connections", int64(c.Served), int64(c.Limit), number, ""),
		newResource("Connections that wait", int64(c.Waiting), int64(c.WaitingLimit), number, ""),
		newResource("Spool", s.Spool.Used, s.Spool.Total, human.Size, spoolNote(s)),
		newResource("Memory", p.Memory, s.Server.MemoryLimit, human.Size, group),
		newResource("Memory managed by Go", p.GoMemory, goLimit, human.Size, ""),
		newResource("Memory of the cache", s.Cache.Memory.Bytes, s.Cache.Memory.Limit, human.Size, ""),
		newResource("Descriptors", int64(p.Descriptors), int64(min(p.DescriptorLimit, math.MaxInt64)), number, ""),
		newResource("Threads for files of clients", int64(s.Files.Busy), int64(s.Files.Limit), number, threadsNote(&s.Files)),
		newResource("Threads for hashes", int64(s.Hashing.Busy), int64(s.Hashing.Limit), number, threadsNote(&s.Hashing)),
		newResource("Threads of the process", int64(p.Threads), 0, number, ""),
	}
}

func spoolNote(s *proxy.Snapshot) string {
	if s.Spool.Waiting == 0 {
		return ""
	}
	return number(s.Spool.Waiting) + " uploads wait for room"
}

func threadsNote(f *files.Stats) string {
	switch {
	case f.WrittenOff > 0:
		return fmt.Sprintf("%d hang in a file system", f.WrittenOff)
	case f.Waiting > 0:
		return fmt.Sprintf("%d operations wait", f.Waiting)
	}
	return ""
}

// A loss is something that was refused or lost.
type loss struct {
	Name, Note, Count string
	Zero              bool
	Class             string
}

func losses(s *proxy.Snapshot) (list []loss) {
	add := func(name string, n uint64, class, note string) {
		if n == 0 {
			class = ""
		}
		list = append(list, loss{name, note, number(n), n == 0, class})
	}
	r := &s.Server.Refusals
	add("Lines of the log lost", s.LogLinesLost, bad, "its reader is too slow")
	add("Connections refused", uint64(r.ConnectionsRefused), warn, "")
	add("Connections not allowed", uint64(r.NotAllowed), warn, "their clients are not in allow of the listener")
	add("Handshakes failed", uint64(r.HandshakesFailed), warn, "TLS, or the PROXY header of a load balancer")
	add("Commands refused", uint64(r.CommandsRefused), warn, "")
	add("Not scanned: the client had gone", uint64(r.NotScannedGone), "", "or was too slow")
	add("Not scanned: too large", uint64(r.NotScannedLimit), warn, "larger than the limit on streams")
	add("Not scanned: no room in the spool", uint64(r.NotScannedSpool), bad, "")
	add("Not scanned: may not read the file", uint64(r.NotScannedDenied), warn, "")
	add("Not scanned: no such file", uint64(r.NotScannedPath), "", "")
	add("Not scanned: its file system did not answer", uint64(r.NotScannedHung), bad, "")
	add("Not scanned: too many scans", uint64(r.NotScannedRate), warn, "more than scans_per_second of the listener")
	add("Not scanned: not sent as the protocol says", uint64(r.NotScannedOther), warn, "")
	if s.OnFind.Runs+s.OnFind.Failures+s.OnFind.Dropped > 0 {
		add("Runs of [on_find] that failed", uint64(s.OnFind.Failures), bad, "")
		add("Findings without a run of [on_find]", uint64(s.OnFind.Dropped), bad, "")
	}
	return list
}
