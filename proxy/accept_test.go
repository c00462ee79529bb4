package proxy

import (
	"errors"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"polyclam/proxy/spool"
	"polyclam/test/testkit"
)

// brokenListener accepts the connections in conns, or returns err while that is set.
type brokenListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once

	mu    sync.Mutex
	err   error
	calls int
}

func (b *brokenListener) Accept() (net.Conn, error) {
	b.mu.Lock()
	err := b.err
	b.calls++
	b.mu.Unlock()
	if err != nil {
		return nil, &net.OpError{Op: "accept", Net: "unix", Err: os.NewSyscallError("accept4", err)}
	}
	select {
	case nc := <-b.conns:
		return nc, nil
	case <-b.closed:
		return nil, net.ErrClosed
	}
}

func (b *brokenListener) Close() error {
	b.once.Do(func() { close(b.closed) })
	return nil
}

func (b *brokenListener) Addr() net.Addr { return &net.UnixAddr{Name: "/broken", Net: "unix"} }

func (b *brokenListener) set(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err, b.calls = err, 0
}

func (b *brokenListener) called() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.calls
}

// TestAcceptErrors makes Accept fail for a while. That must cost no processor time and few
// log lines, and must not affect other listeners.
func TestAcceptErrors(t *testing.T) {
	tests := []struct {
		err  error
		hint string
	}{
		{syscall.EMFILE, "raise LimitNOFILE= in the unit, or lower limits.connections"},
		{syscall.ENFILE, "fs.file-max"},
		{syscall.ENOMEM, "MemoryMax="},
		{syscall.ENOBUFS, "MemoryMax="},
		{syscall.EPERM, "firewall"},
		{syscall.ECONNABORTED, ""},
		{syscall.EPROTO, ""},
	}
	for _, tt := range tests {
		t.Run(tt.err.Error(), func(t *testing.T) {
			ts := newServer(t, nil, eicarOnly())
			b := &brokenListener{conns: make(chan net.Conn), closed: make(chan struct{}), err: tt.err}
			served := make(chan error, 1)
			begin := time.Now()
			go func() { served <- ts.Serve(b, ts.cfg.Listeners[0].Address) }()
			testkit.Eventually(t, "a few calls of Accept", func() bool { return b.called() >= 8 })
			// The pauses are 5, 10, 20, 40, 80, 100, 100 ... ms.
			if n, most := b.called(), 5+int(time.Since(begin)/lastAcceptPause)+1; n > most {
				t.Errorf("%d calls in %v, want at most %d", n, time.Since(begin), most)
			}
			if got := ts.ask("zPING\x00"); got != "PONG\x00" {
				t.Errorf("the other listener: %q", got)
			}
			b.set(nil)
			server, client := net.Pipe()
			defer client.Close()
			b.conns <- server
			client.SetDeadline(time.Now().Add(patience))
			client.Write([]byte("zPING\x00"))
			if got := readRecord(t, client, 0); got != "PONG" {
				t.Errorf("after the failure: %q", got)
			}
			log := ts.log.String()
			if strings.Count(log, `"connections cannot be accepted"`) != 1 || strings.Count(log, `"connections are accepted again"`) != 1 {
				t.Errorf("log: %s", log)
			}
			if !strings.Contains(log, tt.hint) || !strings.Contains(log, `"error":"`+tt.err.Error()+`"`) ||
				strings.Contains(log, `"hint"`) != (tt.hint != "") {
				t.Errorf("log lacks %q: %s", tt.hint, log)
			}
			b.Close()
			if err := <-served; !errors.Is(err, net.ErrClosed) {
				t.Errorf("Serve: %v", err)
			}
		})
	}
}

// TestAcceptErrorLog checks that a listener that fails often writes two log lines a minute.
func TestAcceptErrorLog(t *testing.T) {
	var log syncBuffer
	sp, err := spool.New(spool.Config{Memory: 1 << 10, Total: 1 << 20, Store: spool.Memfd, PathGroup: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer sp.Close()
	srv := NewServer(ServerOptions{Config: testConfig("unix:/x", nil), Spool: sp, Log: zerolog.New(&log)})
	defer srv.Shutdown(t.Context())
	a := acceptor{srv: srv, served: &served{}, address: "unix:/x"}
	lines := func() (n int) { return strings.Count(log.String(), "\n") }
	for range 5 {
		a.pause = 0
		if err := a.failed(syscall.EMFILE); err != nil {
			t.Fatal(err)
		}
		a.failed(syscall.EMFILE)
		a.recovered()
	}
	if lines() != 2 {
		t.Errorf("%d lines: %s", lines(), log.String())
	}
	a.logged = a.logged.Add(-acceptLogPause)
	a.failed(syscall.EMFILE)
	if lines() != 3 || !strings.Contains(log.String(), `"failures":9,`) {
		t.Errorf("a minute later: %s", log.String())
	}
}
