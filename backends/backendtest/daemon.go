package backendtest

import (
	"bytes"
	"net"
	"path/filepath"
	"sync"
	"testing"
)

// Daemon is a scripted engine on a socket. Each connection plays one script:
// the first connection the first one and so on, the last script again and again.
type Daemon struct {
	tb       testing.TB
	listener net.Listener
	scripts  []Script
	done     chan struct{} // closed when the test ends
	wg       sync.WaitGroup

	mu    sync.Mutex
	conns []*recorded
}

// recorded is a connection that keeps what it read.
type recorded struct {
	net.Conn
	mu   sync.Mutex
	data bytes.Buffer
}

// mostRecorded bounds what is kept of one connection.
const mostRecorded = 1 << 20

func (r *recorded) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.data.Write(p[:min(n, max(0, mostRecorded-r.data.Len()))])
	return n, err
}

// StartDaemon starts a Daemon on the loopback, network "unix" or "tcp". It ends
// with the test. A script that meets something else than it wants fails the
// test; a peer that goes away does not.
func StartDaemon(tb testing.TB, network string, scripts ...Script) *Daemon {
	tb.Helper()
	if len(scripts) == 0 {
		tb.Fatal("a daemon needs a script")
	}
	address := "127.0.0.1:0"
	if network == "unix" {
		address = filepath.Join(socketDir(tb), "s")
	}
	l, err := net.Listen(network, address)
	if err != nil {
		tb.Fatal(err)
	}
	d := &Daemon{tb: tb, listener: l, scripts: scripts, done: make(chan struct{})}
	tb.Cleanup(d.stop)
	d.wg.Go(d.serve)
	return d
}

// Address is where the daemon listens, as the configuration writes it.
func (d *Daemon) Address() string {
	a := d.listener.Addr()
	return a.Network() + ":" + a.String()
}

// Connections is how many connections there were so far.
func (d *Daemon) Connections() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.conns)
}

// Received is what connection i (from 0) has sent so far, up to 1 MiB.
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

// add keeps c and returns its number. A connection accepted while the daemon
// stops is closed at once, so that its script ends.
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
