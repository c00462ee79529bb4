// Package ssspfake is a savdid for tests: it speaks SSSP 1.0 and scans what it is
// sent, as far as EICAR, the marks of backendtest and encrypted members of ZIP
// archives go.
//
// Where its words come from: the greeting, ACC, the answer to QUERY SERVER, VIRUS,
// OK 0203, FAIL 060F, REJ 4, REJ 5 and the DONE lines of 0000, 0203, 0210 and 060F
// are those that the Moodle plugin antivirus_savdi tests its client with; FAIL 0212
// and its DONE line are from rspamd's bug report 2075; EVENT, FILE and TYPE lines are
// those that fuglu shows. Everything else is composed: QUERY ENGINE (the keys are
// go-savdi's), the texts of other codes, what happens when a thread is missing.
package ssspfake

import (
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"polyclam/backends/backendtest"
)

// Options say how the server is configured. The zero value is a savdid on a Unix
// socket that permits SCANDATA of any size.
type Options struct {
	Network string // "unix" (if empty) or "tcp"

	MaxScanData int64 // maxscandata of savdid.conf; 0: no limit
	ScanFile    bool  // permits SCANFILE
	NoScanData  bool  // does not permit SCANDATA
	Threads     int   // sessions at once; further ones wait for a greeting; 0: any number
	CloseFull   bool  // further ones are closed at once

	EventLines    bool // answers carry progress lines, as with "report: all"
	ACCAfterData  bool // ACC of SCANDATA comes when the data is there
	NoQuery       bool // QUERY SERVER is not known: REJ 1
	RejectOptions bool // OPTIONS are wrong: REJ 3
	RejectScans   int  // every scan is refused with this REJ, if not 0
	LF            bool // lines end in LF alone
	Slow          bool // a scan takes up to 60 ms

	backendtest.Misbehaviour // repeats answers to OPTIONS, too
}

// Server is a running savdid.
type Server struct {
	tb       testing.TB
	options  Options
	listener net.Listener
	threads  chan struct{}
	done     chan struct{}
	wg       sync.WaitGroup

	mu          sync.Mutex
	conns       map[net.Conn]bool
	connections int
	scans       int
	byes        int
}

// Start starts a server, which ends with the test. A client that sends data before
// it is accepted fails the test.
func Start(tb testing.TB, o Options) *Server {
	tb.Helper()
	network, address := "unix", ""
	if o.Network == "tcp" {
		network, address = "tcp", "127.0.0.1:0"
	} else {
		dir, err := os.MkdirTemp("", "polyclam")
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { os.RemoveAll(dir) })
		address = filepath.Join(dir, "sssp.sock")
	}
	l, err := net.Listen(network, address)
	if err != nil {
		tb.Fatal(err)
	}
	s := &Server{tb: tb, options: o, listener: l, done: make(chan struct{}), conns: map[net.Conn]bool{}}
	if o.Threads > 0 {
		s.threads = make(chan struct{}, o.Threads)
	}
	tb.Cleanup(s.stop)
	s.wg.Go(s.serve)
	return s
}

// Address is where the server listens, as the configuration writes it.
func (s *Server) Address() string {
	a := s.listener.Addr()
	return a.Network() + ":" + a.String()
}

// Connections is how many connections there were so far.
func (s *Server) Connections() int { return s.count(&s.connections) }

// Scans is how many scans were accepted so far.
func (s *Server) Scans() int { return s.count(&s.scans) }

// Byes is how many sessions ended with BYE.
func (s *Server) Byes() int { return s.count(&s.byes) }

// Open is how many connections there are.
func (s *Server) Open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// CloseSessions closes all connections there are, as savdid does after its
// requesttimeout.
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

func (s *Server) serve() {
	for {
		nc, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.wg.Go(func() { s.session(nc) })
	}
}

func (s *Server) session(nc net.Conn) {
	defer nc.Close()
	if !s.enter(nc) {
		return
	}
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

func (s *Server) enter(nc net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.done:
		return false
	default:
	}
	s.conns[nc] = true
	return true
}

func (s *Server) leave(nc net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, nc)
}

func (s *Server) stop() {
	s.mu.Lock()
	close(s.done)
	s.mu.Unlock()
	s.listener.Close()
	s.CloseSessions()
	s.wg.Wait()
}
