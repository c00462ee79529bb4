package backendtest

import (
	"bytes"
	"net"
	"sync"
	"testing"

	"polyclam/test/testkit"
)

// Daemon is a scripted engine on a socket. Each connection plays the next script; the
// last script repeats.
type Daemon struct {
	tb       testing.TB
	listener net.Listener
	scripts  []Script
	done     chan struct{} // closed when the test ends
	wg       sync.WaitGroup

	mu    sync.Mutex
	conns []*recorded
}

// recorded is a connection that records what it reads.
type recorded struct {
	net.Conn
	mu   sync.Mutex
	data bytes.Buffer
}

// maxRecorded limits what is recorded per connection.
const maxRecorded = 1 << 20

func (r *recorded) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.data.Write(p[:min(n, max(0, maxRecorded-r.data.Len()))])
	return n, err
}

// StartDaemon starts a Daemon on network "unix" or "tcp" that ends with the test. A
// script that receives something unexpected fails the test; a peer that closes its
// connection does not.
func StartDaemon(tb testing.TB, network string, scripts ...Script) *Daemon {
	tb.Helper()
	if len(scripts) == 0 {
		tb.Fatal("a daemon needs a script")
	}
	d := &Daemon{tb: tb, listener: testkit.Listen(tb, network), scripts: scripts, done: make(chan struct{})}
	tb.Cleanup(d.stop)
	d.wg.Go(d.serve)
	return d
}

// Address returns the daemon's address as the configuration writes it.
func (d *Daemon) Address() string { return testkit.Address(d.listener) }

// Connections returns the number of connections so far.
func (d *Daemon) Connections() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.conns)
}

// Received returns what connection i (from 0) has sent so far, at most 1 MiB.
func (d *Daemon) Received(i int) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	if i >= len(d.conns) {
		return nil
	}
	c := d.conns[i]
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.Clone(c.data.Bytes())
}

func (d *Daemon) serve() {
	for {
		nc, err := d.listener.Accept()
		if err != nil {
			return
		}
		c := &recorded{Conn: nc}
		script := d.scripts[min(d.add(c), len(d.scripts)-1)]
		d.wg.Go(func() {
			defer nc.Close()
			script.play(d.tb, &Session{Conn: c, Done: d.done})
		})
	}
}

// add records c and returns its number. A connection accepted while the daemon stops is
// closed immediately, so that its script ends.
func (d *Daemon) add(c *recorded) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.conns = append(d.conns, c)
	select {
	case <-d.done:
		c.Close()
	default:
	}
	return len(d.conns) - 1
}

func (d *Daemon) stop() {
	close(d.done)
	d.listener.Close()
	d.mu.Lock()
	for _, c := range d.conns {
		c.Close()
	}
	d.mu.Unlock()
	d.wg.Wait()
}
