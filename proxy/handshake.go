package proxy

import (
	"crypto/tls"
	"errors"
	"net"
	"runtime/debug"
	"time"

	"polyclam/protocol"
	"polyclam/proxy/balancer"
	"polyclam/proxy/client"
)

// A handshake is what a connection does before it is a session: it receives the PROXY header
// of a trusted load balancer, or completes a TLS handshake, or one after the other. It takes
// no place among limits.connections, but one among limits.handshakes, see handshakes.go.
type handshake struct {
	srv     *Server
	nc      net.Conn
	address string
	peer    peer // the load balancer, until the header has come
	headed  bool // the PROXY header has come

	// Guarded by connections.mu.
	key     client.Key // of its place; that of the peer may be another by now
	begun   bool       // it has its place
	dropped bool       // Shutdown has closed the connection while it waited for a place
}

// shakes reports whether connections to l begin with a handshake.
func (l *Listener) shakes() bool { return l.TLS != nil || l.Balancers.Any() }

// needsHandshake reports whether connections to the listener at address begin with a
// handshake.
func (s *Server) needsHandshake(address string) bool {
	l := s.generations.listener(address)
	return l != nil && l.shakes()
}

// run does what is left of the handshake, and then serves the connection. It runs in its
// own goroutine, within the connection's deadline.
func (h *handshake) run() {
	defer h.srv.wg.Done()
	c := (*session)(nil)
	moved := false
	defer func() {
		if p := recover(); p != nil {
			h.srv.log.Error().Interface("panic", p).Stringer("client", h.peer).Bytes("stack", debug.Stack()).Msg("panic")
			c = nil
		}
		if !moved {
			h.end(c)
		}
	}()
	l := h.srv.generations.listener(h.address)
	if l == nil {
		return
	}
	from := h.peer
	if !h.headed && l.Balancers.Has(h.peer.addr.Addr()) {
		var err error
		if from, err = h.header(); err != nil {
			h.failed(err, nil, l)
			return
		}
	}
	if !h.srv.allowed(h.nc, from, h.address, l) { // also after a reload while it waited
		return
	}
	if l.TLS != nil && from.key != h.peer.key {
		moved = true
		if !h.srv.moveHandshake(h, from) {
			h.refused()
		}
		return
	}
	h.peer = from
	nc, err := h.secure(l)
	if err != nil {
		h.failed(err, nc, l)
		return
	}
	c = h.srv.session(nc, h.peer, h.address, l)
}

// end passes the connection on to its session, or closes it if there is none.
func (h *handshake) end(c *session) {
	if !h.srv.endHandshake(h, c) {
		if c != nil {
			h.srv.tally.connections.Add(1)
		}
		h.nc.Close()
	}
}

// refused closes a connection for which there is no place.
func (h *handshake) refused() {
	h.srv.tally.connections.Add(1)
	h.nc.Close()
}

// header receives the PROXY header, and returns the client that it names.
func (h *handshake) header() (peer, error) {
	header, err := balancer.Read(h.nc)
	h.headed = true
	switch {
	case err != nil:
		return peer{}, err
	case header.Own:
		return h.peer, nil
	case !header.Addr.IsValid():
		return h.peer.onBalancer(), nil
	}
	return h.peer.proxied(header.Addr), nil
}

// secure does the TLS handshake, if the listener has TLS. After an error it also returns the
// connection, to say what the client has sent.
func (h *handshake) secure(l *Listener) (net.Conn, error) {
	tc, ok := h.nc.(*net.TCPConn)
	if l.TLS == nil || !ok {
		return h.nc, nil
	}
	w := &wire{TCPConn: tc}
	c := tls.Server(w, l.TLS)
	err := c.Handshake()
	w.done = true
	if err != nil {
		return w, err
	}
	return secureConn{c}, nil
}

// failed counts and logs a handshake that has failed. A client that connects and leaves
// without a word, such as a health check, has not failed. l is the listener and nc what
// secure has returned, or nil.
func (h *handshake) failed(err error, nc net.Conn, l *Listener) {
	f := explainHandshake(err, nc, l, h.srv.generations.config().Limits.HandshakeTimeout)
	if f.quiet || h.srv.isClosing() && errors.Is(err, net.ErrClosed) {
		return
	}
	defer h.srv.tally.handshakes.Add(1) // what is counted has been logged
	suppressed, ok := h.srv.repeated.Allow(h.peer.key, "handshake "+f.kind)
	if !ok {
		return
	}
	e := h.srv.log.Warn().Stringer("client", h.peer).Str("listener", h.address)
	if suppressed > 0 {
		e = e.Int("suppressed", suppressed)
	}
	if f.hint != "" {
		e = e.Str("hint", f.hint)
	}
	e.Str("reason", f.reason).Msg("handshake failed")
}

// session returns a new session on nc.
func (s *Server) session(nc net.Conn, p peer, address string, l *Listener) *session {
	return &session{
		srv: s, nc: nc, conn: protocol.NewConn(nc), peer: p, address: address, lst: l, counts: s.counters.of(address),
	}
}

// handshakeEnd returns when a handshake that begins now must be complete.
func handshakeEnd(limits Limits, stopping bool) time.Time {
	within := limits.HandshakeTimeout
	if stopping {
		within = min(within, firstCommand)
	}
	return time.Now().Add(within)
}
