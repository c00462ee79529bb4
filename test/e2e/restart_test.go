package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"polyclam/test/clamdtest"
)

const (
	restarts       = 3
	restartClients = 8
)

// restartConfig has an engine that is up as soon as polyclamd is.
const restartConfig = `
[[listener]]
address = "unix:${DIR}/p.sock"
mode = "0666"

[[listener]]
address = "tcp:127.0.0.1:${PORT}"

[[engine]]
name = "inspect"
backend = "inspect"
`

// spilling is restartConfig with a spool that keeps only short streams in memory.
const spilling = restartConfig + `
[limits]
spool_memory = "64KiB"
`

// TestRestartUnderLoad stops polyclamd and starts it again while clients scan. In
// between, connections are refused, but every client with a connection gets a reply.
func TestRestartUnderLoad(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		t.Run(network, func(t *testing.T) {
			p := clamdtest.StartPolyclam(t, restartConfig, clamdtest.Options{Port: clamdtest.Port(t)})
			address := p.Socket
			if network == "tcp" {
				address = p.TCP
			}
			l := startLoad(network, address)
			for range restarts {
				l.more(t, 500)
				p.Stop()
				if err := p.Restart(); err != nil {
					t.Fatal(err)
				}
			}
			l.more(t, 500)
			l.end()
			t.Logf("count: restart, %s: %d scans, %d attempts refused, %d lost", network, l.scans.Load(), l.refused.Load(), len(l.lost))
			for _, what := range l.lost {
				t.Errorf("lost: %s", what)
			}
		})
	}
}

// load is a number of clients that scan one object after the other.
type load struct {
	network, address string
	ctx              context.Context
	cancel           context.CancelFunc
	clients          sync.WaitGroup
	scans, refused   atomic.Int64

	mu   sync.Mutex
	lost []string
}

func startLoad(network, address string) *load {
	l := &load{network: network, address: address}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	for range restartClients {
		l.clients.Go(func() {
			for l.ctx.Err() == nil {
				l.scan()
			}
		})
	}
	return l
}

// scan is one attempt. A refused connection is no loss: the client knows that nothing
// happened.
func (l *load) scan() {
	nc, err := net.DialTimeout(l.network, l.address, hang)
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, os.ErrNotExist) {
		l.refused.Add(1)
		time.Sleep(time.Millisecond)
		return
	}
	if err != nil {
		l.lose(fmt.Errorf("connect: %w", err))
		return
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(hang))
	if _, err := io.WriteString(nc, instream("nothing to find in here")); err != nil {
		l.lose(fmt.Errorf("send: %w", err))
		return
	}
	switch b, err := io.ReadAll(nc); {
	case err != nil:
		l.lose(fmt.Errorf("receive: %w", err))
	case string(b) != "stream: OK\x00":
		l.lose(fmt.Errorf("reply %q", b))
	default:
		l.scans.Add(1)
	}
}

func (l *load) lose(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lost = append(l.lost, err.Error())
}

// more waits for n more scans.
func (l *load) more(t *testing.T, n int64) {
	t.Helper()
	want := l.scans.Load() + n
	poll(t, "scans", func() bool { return l.scans.Load() >= want })
}

func (l *load) end() {
	l.cancel()
	l.clients.Wait()
}
