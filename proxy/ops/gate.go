package ops

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"time"

	"polyclam/proxy"
	"polyclam/proxy/client"
)

// A gate bounds the connections of an [endpoint]. When all places are taken, a new
// connection takes the place of an old one: of the client that has most, the oldest without
// a request. So clients that are slow, or keep connections for nothing, do not lock others
// out. It is safe for concurrent use.
type gate struct {
	max int

	mu      sync.Mutex
	next    uint64 // number of the next connection
	conns   map[*conn]struct{}
	clients map[client.Key]int
}

// conn is a connection that came through a gate.
type conn struct {
	net.Conn
	gate   *gate
	ln     net.Listener
	client client.Key

	// The rest is guarded by gate.mu.
	number   uint64
	requests int  // under way
	retired  bool // to be closed after the last one
}

func newGate(n int) *gate {
	return &gate{max: n, conns: map[*conn]struct{}{}, clients: map[client.Key]int{}}
}

// enter returns nc as a connection of g, or nil if there is no place for it.
func (g *gate) enter(nc net.Conn, ln net.Listener) *conn {
	c := &conn{Conn: nc, gate: g, ln: ln, client: proxy.ClientOf(nc)}
	g.mu.Lock()
	var victim *conn
	if len(g.conns) >= g.max {
		if victim = g.victim(c.client); victim == nil {
			g.mu.Unlock()
			nc.Close()
			return nil
		}
		g.remove(victim)
	}
	c.number = g.next
	g.next++
	g.conns[c] = struct{}{}
	g.clients[c.client]++
	g.mu.Unlock()
	if victim != nil {
		victim.Conn.Close()
	}
	return c
}

// victim returns the connection that makes room for one of client k, or nil: one without a
// request, or one of a client that has more than k would have. The caller holds mu.
func (g *gate) victim(k client.Key) (victim *conn) {
	for c := range g.conns {
		if c.requests > 0 && g.clients[c.client] <= g.clients[k]+1 {
			continue
		}
		if victim == nil || g.worse(c, victim) {
			victim = c
		}
	}
	return victim
}

// worse reports whether a makes room before b does.
func (g *gate) worse(a, b *conn) bool {
	if (a.requests > 0) != (b.requests > 0) {
		return a.requests == 0
	}
	if n, m := g.clients[a.client], g.clients[b.client]; n != m {
		return n > m
	}
	return a.number < b.number
}

// remove forgets c. The caller holds mu.
func (g *gate) remove(c *conn) {
	if _, ok := g.conns[c]; !ok {
		return
	}
	delete(g.conns, c)
	if g.clients[c.client]--; g.clients[c.client] == 0 {
		delete(g.clients, c.client)
	}
}

// Close implements [net.Conn].
func (c *conn) Close() error {
	c.gate.mu.Lock()
	c.gate.remove(c)
	c.gate.mu.Unlock()
	return c.Conn.Close()
}

// retire closes the connections of a listener, or all if it is nil, as soon as they have no
// request.
func (g *gate) retire(ln net.Listener) {
	g.mu.Lock()
	var idle []*conn
	for c := range g.conns {
		if ln != nil && c.ln != ln {
			continue
		}
		c.retired = true
		if c.requests == 0 {
			idle = append(idle, c)
		}
	}
	g.mu.Unlock()
	for _, c := range idle {
		c.Close()
	}
}

// begin counts a request of c, and reports whether the connection is to be closed after it.
func (c *conn) begin() (retired bool) {
	c.gate.mu.Lock()
	defer c.gate.mu.Unlock()
	c.requests++
	return c.retired
}

func (c *conn) end() {
	c.gate.mu.Lock()
	defer c.gate.mu.Unlock()
	c.requests--
	if c.retired && c.requests == 0 {
		time.AfterFunc(replyGrace, func() { c.Close() })
	}
}

// replyGrace is how long a client has to receive the last reply on a connection that is to
// be closed.
const replyGrace = time.Second

type connKey struct{}

// withConn puts the connection into the context of its requests.
func withConn(ctx context.Context, nc net.Conn) context.Context {
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn()
	}
	return context.WithValue(ctx, connKey{}, nc)
}

// connOf returns what withConn has put into ctx, or nil.
func connOf(ctx context.Context) *conn {
	c, _ := ctx.Value(connKey{}).(*conn)
	return c
}

// counted counts the requests of each connection.
func (g *gate) counted(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := connOf(r.Context())
		if c == nil {
			h.ServeHTTP(w, r)
			return
		}
		if c.begin() {
			w.Header().Set("Connection", "close")
		}
		defer c.end()
		h.ServeHTTP(w, r)
	})
}

// gateListener accepts the connections of a listener through the gate of an endpoint, with
// TLS if it is configured at that moment.
type gateListener struct {
	net.Listener
	endpoint *endpoint
}

// Accept implements [net.Listener].
func (l *gateListener) Accept() (net.Conn, error) {
	for {
		nc, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c := l.endpoint.gate.enter(nc, l.Listener)
		if c == nil {
			continue
		}
		if l.endpoint.tls != nil {
			if config := l.endpoint.tls(); config != nil {
				return tls.Server(c, config), nil
			}
		}
		return c, nil
	}
}
