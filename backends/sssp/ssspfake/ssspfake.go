// Package ssspfake is a fake savdid for tests. It speaks SSSP 1.0 and recognises EICAR,
// the markers of backendtest and encrypted members of ZIP archives.
//
// Sources of its texts: the greeting, ACC, the answer to QUERY SERVER, VIRUS, OK 0203,
// FAIL 060F, REJ 4, REJ 5 and the DONE lines of 0000, 0203, 0210 and 060F are in the
// client tests of the Moodle plugin antivirus_savdi; FAIL 0212 and its DONE line are in
// rspamd's bug report 2075; EVENT, FILE and TYPE lines are in fuglu. Everything else is
// composed: QUERY ENGINE (with go-savdi's keys), the texts of other codes, and the
// behaviour when all threads are busy.
package ssspfake

import (
	"net"
	"sync"
	"testing"

	"polyclam/backends/backendtest"
	"polyclam/test/testkit"
)

// Options configure the server. The zero value is a savdid on a Unix socket that permits
// SCANDATA of any size.
type Options struct {
	Network string // "unix" (if empty) or "tcp"

	MaxScanData int64 // maxscandata of savdid.conf; 0: no limit
	ScanFile    bool  // permits SCANFILE
	NoScanData  bool  // does not permit SCANDATA
	Threads     int   // concurrent sessions; later ones wait for a greeting; 0: no limit
	CloseFull   bool  // closes later ones immediately

	EventLines    bool // sends progress lines, as with "report: all"
	ACCAfterData  bool // accepts SCANDATA only after its data
	NoQuery       bool // answers QUERY SERVER with REJ 1
	RejectOptions bool // answers OPTIONS with REJ 3
	RejectScans   int  // answers every scan with this REJ, if not 0
	LF            bool // ends lines with LF instead of CRLF
	Slow          bool // takes up to 60 ms for a scan

	backendtest.Misbehaviour // also repeats answers to OPTIONS
}

// Server is a running savdid.
type Server struct {
	tb      testing.TB
	options Options
	address string
	threads chan struct{}
	done    chan struct{} // closed when the test ends

	mu          sync.Mutex
	conns       map[net.Conn]bool
	connections int
	scans       int
	byes        int
}

// Start starts a server that ends with the test. A client that sends data before it is
// accepted fails the test.
func Start(tb testing.TB, o Options) *Server {
	tb.Helper()
	if o.Network == "" {
		o.Network = "unix"
	}
	s := &Server{tb: tb, options: o, done: make(chan struct{}), conns: map[net.Conn]bool{}}
	if o.Threads > 0 {
		s.threads = make(chan struct{}, o.Threads)
	}
	s.address = testkit.Serve(tb, o.Network, s.session)
	tb.Cleanup(func() { close(s.done) })
	return s
}

// Address returns the server's address as the configuration writes it.
func (s *Server) Address() string { return s.address }

// Connections returns the number of sessions so far.
func (s *Server) Connections() int { return s.count(&s.connections) }

// Scans returns the number of accepted scans so far.
func (s *Server) Scans() int { return s.count(&s.scans) }

// Byes returns the number of sessions that ended with BYE.
func (s *Server) Byes() int { return s.count(&s.byes) }

// Open returns the number of open connections.
func (s *Server) Open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// CloseSessions closes all open connections, as savdid does after its requesttimeout.
func (s *Server) CloseSessions() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for nc := range s.conns {
		nc.Close()
	}
}

func (s *Server) count(n *int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return *n
}

func (s *Server) add(n *int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	*n++
	return *n
}

func (s *Server) session(nc net.Conn) {
	s.enter(nc)
	defer s.leave(nc)
	if s.threads != nil {
		select {
		case s.threads <- struct{}{}:
			defer func() { <-s.threads }()
		default:
			if s.options.CloseFull {
				return
			}
			select {
			case s.threads <- struct{}{}:
				defer func() { <-s.threads }()
			case <-s.done:
				return
			}
		}
	}
	newSession(s, nc, s.add(&s.connections)).run()
}

func (s *Server) enter(nc net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns[nc] = true
}

func (s *Server) leave(nc net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, nc)
}
