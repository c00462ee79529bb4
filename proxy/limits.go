package proxy

import (
	"time"

	"polyclam/proxy/budget"
)

// Limits limit what clients may use.
type Limits struct {
	Stream             int64         // bytes of one stream, clamd's StreamMaxLength; 0: no limit
	CommandReadTimeout time.Duration // from accept to the first complete command
	ReadTimeout        time.Duration // between commands of an IDSESSION and between pieces of a stream
	WriteTimeout       time.Duration // for a whole reply
	StreamMinRate      int64         // bytes a second over each ReadTimeout spent on a stream; 0: no limit
	StreamMaxTime      time.Duration // for one stream, all pauses included; 0: no limit
	Connections        int           // served at the same time; more wait in the backlog
	Waiting            int           // accepted connections beyond their client's share
	Handshakes         int           // TLS handshakes and PROXY headers under way
	HandshakeTimeout   time.Duration // for each of them
	ClientShare        int           // per cent for one client, see [client.Within]; 0: no share
	SessionScans       int           // scans in flight in one IDSESSION
	DirectoryDepth     int           // clamd's MaxDirectoryRecursion
	FileThreads        int           // for operations on clients' files; 0: files.DefaultThreads
}

// DescriptorsPerConnection is how many descriptors a connection takes: its own, and that
// of the object that it sends, hands over or names.
const DescriptorsPerConnection = 2

// sharedPart is the number of connections for each descriptor in the budgets that sessions
// share for further objects, and that walks through directories share.
const sharedPart = 16

// minWalks is how many walks of the largest kind always have descriptors. With the default
// client_share one client leaves a quarter, and that must be enough for another client's
// walk.
const minWalks = 4

// SessionObjects is how many objects all sessions together may have in use beyond one for
// each connection: enough for one session to use its session_scans, and a sixteenth of the
// connections. Sessions that want more read on when one of their objects is done.
func (l Limits) SessionObjects() int { return max(l.SessionScans, l.Connections/sharedPart) }

// WalkDescriptors is how many descriptors all walks through directories together may have
// open: enough for four MULTISCANs, and a sixteenth of the connections. Walks that want
// more wait.
func (l Limits) WalkDescriptors() int {
	return max(minWalks*l.walkNeeds(true), l.Connections/sharedPart)
}

// walkNeeds is how many descriptors one walk may have open: each directory from the one
// that the client named to directory_depth below it, and an entry of the last one.
// MULTISCAN has further files open.
func (l Limits) walkNeeds(multi bool) int {
	n := l.DirectoryDepth + 1 + 1
	if multi {
		n += l.multiscanFiles()
	}
	return n
}

// multiscanFiles is how many files one MULTISCAN has open.
func (l Limits) multiscanFiles() int { return max(1, l.SessionScans) }

// Descriptors is how many descriptors clients may use under l.
func (l Limits) Descriptors() int {
	return DescriptorsPerConnection*l.Connections + l.SessionObjects() + l.WalkDescriptors() + l.Waiting + l.Handshakes
}

// Fit returns l with fewer connections, served and waiting, so that clients use at most n
// descriptors. It leaves at least one connection even if that exceeds n.
func (l Limits) Fit(n int) Limits {
	if l.Descriptors() <= n {
		return l
	}
	waiting, handshakes := l.Waiting, l.Handshakes
	low, high := 1, l.Connections
	for low < high { // more connections never take fewer descriptors
		l.Connections = (low + high + 1) / 2
		l.Waiting = min(waiting, l.SessionObjects())
		l.Handshakes = min(handshakes, l.SessionObjects())
		if l.Descriptors() <= n {
			low = l.Connections
		} else {
			high = l.Connections - 1
		}
	}
	l.Connections = low
	l.Waiting = min(waiting, l.SessionObjects())
	l.Handshakes = min(handshakes, l.SessionObjects())
	return l
}

func (l Limits) connections() budget.Limit     { return l.share(l.Connections) }
func (l Limits) waiting() budget.Limit         { return l.share(l.Waiting) }
func (l Limits) handshakes() budget.Limit      { return l.share(l.Handshakes) }
func (l Limits) sessionObjects() budget.Limit  { return l.share(l.SessionObjects()) }
func (l Limits) walkDescriptors() budget.Limit { return l.share(l.WalkDescriptors()) }

func (l Limits) share(total int) budget.Limit {
	return budget.Limit{Total: int64(total), Share: l.ClientShare}
}
