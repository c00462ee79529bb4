package proxy

import (
	"context"
	"net"
	"runtime/debug"
	"sync"

	"github.com/rs/xid"

	"polyclam/protocol"
	"polyclam/proxy/client"
	"polyclam/proxy/engine"
)

// A session is one client's connection. There may be many that only wait, so what only a
// client with a command needs is in its task.
type session struct {
	srv     *Server
	nc      net.Conn
	conn    *protocol.Conn
	peer    peer            // the client
	address string          // of the listener
	lst     *Listener       // its latest configuration
	counts  *listenerCounts // of the listener
	begun   bool            // a command has come; guarded by connections.mu
	parted  bool            // the timer of parting ends it
	*task                   // nil until the client has sent something
}

// A task is what a session needs from the first bytes of a client on.
type task struct {
	ctx    context.Context         // for all work of the client; carries its key
	cancel context.CancelCauseFunc // ends ctx
	watch  watch

	tag   string // the client's own id for what follows, see XTAG; empty: none
	first xid.ID // of the request outside an IDSESSION, for the log of a panic

	upload *upload    // the INSTREAM whose stream is being received; nil: none
	ids    *idSession // nil: the client has not begun an IDSESSION
	closed sync.Once  // logs the first reason to close an IDSESSION
}

// begin is called when the client has sent something.
func (s *session) begin() {
	s.task = &task{}
	s.ctx, s.cancel = context.WithCancelCause(client.NewContext(s.srv.ctx, s.peer.key))
	s.watch.init(s.conn, &s.srv.unwatched, s.cancel)
}

// crowded reports whether the client has handed over too many files that cannot even be
// closed because their file systems do not answer. Such a client is refused.
func (s *session) crowded() bool {
	if !s.srv.files.Crowded(s.peer.key) {
		return false
	}
	s.srv.tally.connections.Add(1)
	suppressed, ok := s.srv.repeated.Allow(s.peer.key, "crowded")
	if !ok {
		return true
	}
	e := s.srv.log.Warn().Str("client", s.client())
	if suppressed > 0 {
		e = e.Int("suppressed", suppressed)
	}
	e.Str("reason", "too many of its files cannot be closed: their file systems do not answer").Msg("connection refused")
	return true
}

// cutOff closes the connection of an IDSESSION and cancels its scans.
func (s *session) cutOff(why engine.CalledOff) {
	s.cancel(why)
	s.conn.Close()
}

// rescue is deferred by every goroutine that works for a client. It keeps a panic from
// ending the daemon: it logs it and calls abandon, if not nil. The client sees its
// connection closed, never an OK.
func (s *session) rescue(abandon func()) {
	if p := recover(); p != nil {
		id := xid.NilID()
		if s.task != nil {
			id = s.first
		}
		s.panicked(p, id, abandon)
	}
}

// rescue is [session.rescue] for a goroutine that works for one request.
func (r *request) rescue(abandon func()) {
	if p := recover(); p != nil {
		r.s.panicked(p, r.logID, abandon)
	}
}

func (s *session) panicked(p any, id xid.ID, abandon func()) {
	if abandon != nil {
		abandon()
	}
	e := s.srv.log.Error()
	if !id.IsNil() {
		e = e.Str("id", id.String())
	}
	e.Interface("panic", p).Str("client", s.client()).Bytes("stack", debug.Stack()).Msg("panic")
}

// client names the client for the log.
func (s *session) client() string { return s.peer.String() }
