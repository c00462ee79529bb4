package proxy

// DescriptorsPerConnection is how many descriptors a connection takes: its own, and
// that of the object that it sends, hands over or names.
const DescriptorsPerConnection = 2

// sharedPart is how many connections there are for each descriptor that sessions share
// for further objects, and for each that walks through directories share.
const sharedPart = 16

// walksAtLeast is how many walks of the largest kind there are descriptors for. With
// client_share at its default one client leaves a quarter, and that must be enough for
// another one's walk.
const walksAtLeast = 4

// SessionObjects is how many objects all sessions together may have under way beyond
// one for each connection: enough for one session to use its session_scans, and a
// sixteenth of the connections. Sessions that want more read on when one of their
// objects is done.
func (l Limits) SessionObjects() int { return max(l.SessionScans, l.Connections/sharedPart) }

// WalkDescriptors is how many descriptors all walks through directories together may
// have open: enough for four MULTISCANs, and a sixteenth of the connections. Walks that
// want more wait.
func (l Limits) WalkDescriptors() int {
	return max(walksAtLeast*l.walkNeeds(true), l.Connections/sharedPart)
}

// walkNeeds is how many descriptors one walk may have open: each directory from the one
// that the client named down to directory_depth below it, and an entry of the last one.
// MULTISCAN has further files open.
func (l Limits) walkNeeds(multi bool) int {
	n := l.DirectoryDepth + 1 + 1
	if multi {
		n += l.filesAtOnce()
	}
	return n
}

// filesAtOnce is how many files one MULTISCAN has open.
func (l Limits) filesAtOnce() int { return max(1, l.SessionScans) }

// Descriptors is how many descriptors clients may take under l.
func (l Limits) Descriptors() int {
	return DescriptorsPerConnection*l.Connections + l.SessionObjects() + l.WalkDescriptors() + l.Waiting
}

// Fit returns l with fewer connections, served and waiting, so that clients take n
// descriptors at most, as far as that leaves each of these one connection.
func (l Limits) Fit(n int) Limits {
	if l.Descriptors() <= n {
		return l
	}
	waiting := l.Waiting
	low, high := 1, l.Connections
	for low < high { // more connections never take fewer descriptors
		l.Connections = (low + high + 1) / 2
		l.Waiting = min(waiting, l.SessionObjects())
		if l.Descriptors() <= n {
			low = l.Connections
		} else {
			high = l.Connections - 1
		}
	}
	l.Connections = low
	l.Waiting = min(waiting, l.SessionObjects())
	return l
}
