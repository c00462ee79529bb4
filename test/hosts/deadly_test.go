package hosts

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"polyclam/test/clamdtest"
	"polyclam/test/testkit"
)

// deadly is in an object that kills clamd.
const deadly = "polyclam-test-marker-that-kills"

// A mortal is a clamd that dies when it gets an object with deadly in it, and is started again.
// Connections pass through it: it kills clamd when it has forwarded the marker. Until clamd is
// back, it refuses connections, or lets them wait as the socket of clamav-daemon.socket does.
type mortal struct {
	t       *testing.T
	port    string
	waits   bool
	serving sync.WaitGroup

	mu     sync.Mutex
	clamd  *clamdtest.Clamd
	l      net.Listener
	conns  map[net.Conn]bool
	deaths int
	closed bool
}

func startMortal(t *testing.T, waits bool) *mortal {
	m := &mortal{t: t, waits: waits, port: clamdtest.Port(t), clamd: clamdtest.Start(t, clamdtest.Options{Daily: true}), conns: map[net.Conn]bool{}}
	m.mu.Lock()
	m.listen()
	m.mu.Unlock()
	t.Cleanup(func() {
		m.mu.Lock()
		m.closed = true
		m.stopListening()
		m.hangUp()
		m.mu.Unlock()
		m.serving.Wait()
	})
	return m
}

func (m *mortal) address() string { return "tcp:127.0.0.1:" + m.port }

// listen accepts connections. The caller holds mu.
func (m *mortal) listen() {
	l, err := net.Listen("tcp", "127.0.0.1:"+m.port)
	if err != nil {
		m.t.Error(err)
		return
	}
	m.l = l
	m.serving.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			m.mu.Lock()
			if l != m.l {
				nc.Close()
			} else {
				m.conns[nc] = true
				m.serving.Go(func() { m.serve(nc) })
			}
			m.mu.Unlock()
		}
	})
}

// stopListening refuses connections. The caller holds mu.
func (m *mortal) stopListening() {
	if m.l != nil {
		m.l.Close()
		m.l = nil
	}
}

// hangUp closes all connections. The caller holds mu.
func (m *mortal) hangUp() {
	for nc := range m.conns {
		nc.Close()
	}
	clear(m.conns)
}

func (m *mortal) serve(client net.Conn) {
	defer client.Close()
	clamd, err := net.DialTimeout("unix", m.clamd.Socket, hang)
	for m.waits && err != nil && !m.isClosed() {
		time.Sleep(10 * time.Millisecond)
		clamd, err = net.DialTimeout("unix", m.clamd.Socket, hang)
	}
	if err != nil {
		return
	}
	defer clamd.Close()
	m.serving.Go(func() {
		io.Copy(client, clamd)
		client.Close()
	})
	var tail []byte
	for b := make([]byte, 32<<10); ; {
		n, err := client.Read(b)
		if n > 0 {
			if _, err := clamd.Write(b[:n]); err != nil {
				return
			}
			if tail = append(tail, b[:n]...); bytes.Contains(tail, []byte(deadly)) {
				m.die()
				return
			}
			tail = tail[max(len(tail)-len(deadly), 0):]
		}
		if err != nil {
			return
		}
	}
}

func (m *mortal) die() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.deaths++
	m.clamd.Kill()
	if !m.waits {
		m.stopListening()
	}
	m.hangUp()
	if !m.closed {
		m.serving.Go(m.revive)
	}
}

// reviveTime is about as long as a supervisor needs to start clamd again.
const reviveTime = 200 * time.Millisecond

func (m *mortal) revive() {
	time.Sleep(reviveTime)
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.closed {
		m.clamd.Restart()
		if m.l == nil {
			m.listen()
		}
	}
}

func (m *mortal) isClosed() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.closed
}

func (m *mortal) died() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.deaths
}

// TestDeadlyObject sends an object that kills clamd again and again to two hosts with a clamd
// each, as a mail server does that tries the next MX after each tempfail.
func TestDeadlyObject(t *testing.T) {
	for name, waits := range map[string]bool{"refuses": false, "waits": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testDeadlyObject(t, waits)
		})
	}
}

func testDeadlyObject(t *testing.T, waits bool) {
	const sends = 30
	s := startStore(t)
	var clamds [2]*mortal
	var hosts [2]*host
	for i := range hosts {
		clamds[i] = startMortal(t, waits)
		hosts[i] = s.startHost(t, options{clamd: clamds[i].address(), engine: "canary_interval = \"5s\""})
	}
	killer := "a mail with " + deadly
	withheld, errors := 0, 0
	for i := range sends {
		h := hosts[i%2]
		testkit.Eventually(t, "clamd is back", func() bool {
			return strings.Contains(h.status(), " state=up")
		})
		reply := h.scan(killer)
		if !strings.HasSuffix(reply, " ERROR\x00") {
			t.Errorf("send %d: %q", i+1, reply)
		}
		errors++
		if record, _ := h.record(fmt.Sprint("a harmless mail ", i)); strings.Contains(record, "category=ok") {
			continue
		}
		testkit.Eventually(t, "harmless mails pass", func() bool {
			record, _ := h.record(fmt.Sprint("a harmless mail ", i))
			return strings.Contains(record, "category=ok")
		})
	}
	for _, h := range hosts {
		if strings.Contains(h.ask(stream("XINSTREAM", killer)), "on all hosts it died or hung") {
			withheld++
		}
	}
	deaths := []int{clamds[0].died(), clamds[1].died()}
	if deaths[0]+deaths[1] > 3 || deaths[0] == 0 || deaths[1] == 0 {
		t.Errorf("deaths %v, want at most 3 in all, and one on each host", deaths)
	}
	if withheld == 0 {
		t.Error("no host says that the object is withheld because of all hosts")
	}
	t.Logf("measured: %d sends: %v deaths on hosts 1 and 2, %d ERROR, 0 OK", sends, deaths, errors)

	// A host that starts now does not get it either.
	m := startMortal(t, waits)
	three := s.startHost(t, options{clamd: m.address()})
	if reply := three.scan(killer); !strings.HasSuffix(reply, " ERROR\x00") || m.died() != 0 {
		t.Errorf("a new host: %q, %d deaths", reply, m.died())
	}
}
