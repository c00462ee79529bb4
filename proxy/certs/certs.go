// Package certs provides TLS configurations for servers from certificate files, which it
// reads again when they change.
//
// Private keys never appear in its errors.
package certs

import (
	"crypto/tls"
	"sync"
	"sync/atomic"
	"time"
)

// Files are the files of a TLS server, in PEM, and which clients it accepts.
type Files struct {
	Certificate string // with the certificates of intermediate authorities
	Key         string
	ClientCA    string // authorities for client certificates; empty: none are asked for
	// ClientNames are the names of which the client's certificate must have one as a
	// subject alternative name: a DNS name, or a URI if there is "://" in it. The common
	// name does not count. Empty: any certificate of ClientCA will do.
	ClientNames []string

	// Refused is called when the files have changed and cannot be used, once for each
	// error, and Changed when new ones are in use. Other goroutines call them. They may
	// be nil.
	Refused func(error)
	Changed func(expires time.Time)
}

const (
	// checkPause is the least time between two looks at the files.
	checkPause = time.Second
	// checkWait is how long a handshake waits for the look that it has begun. A file
	// system that hangs delays one handshake.
	checkWait = 100 * time.Millisecond
	// settleTime is how long a file must be unchanged before its state can be trusted: on
	// a file system with a coarse clock two changes may look the same. Errors within this
	// time are not reported: another program may be writing certificate and key.
	settleTime = 2 * time.Second
)

// A Source provides the current certificate. It is safe for concurrent use and holds no
// resources: it looks at the files only when handshakes ask for it.
type Source struct {
	files Files
	now   func() time.Time // for tests
	used  atomic.Pointer[loaded]

	mu      sync.Mutex
	checked time.Time     // when the last look began
	running chan struct{} // closed when the look under way has ended; nil: none is
	seen    stamp         // of the files that were read last; empty: read them again
	refused string        // the last error that was reported
}

// Load reads the files. An error is one or several [*FileError], joined. Load may hang with
// the file system.
func Load(f Files) (*Source, error) {
	s := &Source{files: f, now: time.Now}
	seen := s.files.stamp()
	l, err := f.load()
	if err != nil {
		return nil, err
	}
	s.used.Store(l)
	s.checked = s.now()
	if seen.settled(s.checked) {
		s.seen = seen
	}
	return s, nil
}

// Config returns the configuration of a server. Each handshake uses the certificate as it
// is on disk. If that cannot be used, the one before stays in use. So it does for a moment
// if the file system does not answer.
func (s *Source) Config() *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.current(), nil },
	}
}

// Warnings returns what is doubtful about the files, as they were when they were read.
func (s *Source) Warnings() []string { return s.used.Load().warnings }

// current returns the configuration for one handshake.
func (s *Source) current() *tls.Config {
	if running := s.beginCheck(); running != nil {
		timer := time.NewTimer(checkWait)
		defer timer.Stop()
		select {
		case <-running:
		case <-timer.C:
		}
	}
	return s.used.Load().config
}

// beginCheck begins to look at the files, unless that has just been done or is being done.
// The channel is closed when it has ended.
func (s *Source) beginCheck() chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if s.running != nil || now.Sub(s.checked) < checkPause {
		return nil
	}
	running := make(chan struct{})
	s.checked, s.running = now, running
	go func() {
		defer close(running)
		s.check()
	}()
	return running
}

// check reads the files if they have changed. Only one goroutine runs it at a time.
func (s *Source) check() {
	seen := s.files.stamp() // before the files are read: a later change must not go unnoticed
	settled := seen.settled(s.now())
	s.mu.Lock()
	unchanged := s.seen != nil && s.seen.equal(seen)
	s.mu.Unlock()
	var l *loaded
	var err error
	if !unchanged {
		l, err = s.files.load()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = nil
	if unchanged {
		return
	}
	if s.seen = nil; settled {
		s.seen = seen
	}
	switch {
	case err == nil:
		s.use(l)
	case settled && err.Error() != s.refused:
		s.refused = err.Error()
		if s.files.Refused != nil {
			go s.files.Refused(err)
		}
	}
}

// use makes l the current state. The caller holds mu.
func (s *Source) use(l *loaded) {
	s.refused = ""
	if before := s.used.Load(); before.sum == l.sum {
		return // also keeps the tickets of sessions valid
	}
	s.used.Store(l)
	if s.files.Changed != nil {
		go s.files.Changed(l.expires)
	}
}
