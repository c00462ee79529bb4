package redis_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"github.com/rs/zerolog"

	"polyclam/backends"
	"polyclam/proxy/cache"
	"polyclam/proxy/cache/redis"
	"polyclam/test/clamdtest"
	"polyclam/test/testkit"
)

// server is a redis-server of a test.
type server struct {
	t       testing.TB
	program string
	args    []string
	cmd     *exec.Cmd
	socket  string
	address string // 127.0.0.1:port; empty: only the socket
	admin   rueidis.Client
}

// startServer starts a redis-server on a Unix socket.
func startServer(t testing.TB, args ...string) *server {
	t.Helper()
	s := &server{t: t, program: clamdtest.RequireProgram(t, "redis-server"), socket: filepath.Join(testkit.SocketDir(t), "s")}
	s.args = append([]string{"--port", "0", "--unixsocket", s.socket, "--save", "", "--dir", t.TempDir()}, args...)
	s.start()
	t.Cleanup(s.kill)
	return s
}

// startNode starts a redis-server on a port, with a Unix socket too.
func startNode(t testing.TB, args ...string) *server {
	t.Helper()
	port := clamdtest.Port(t)
	s := startServer(t, append([]string{"--port", port, "--bind", "127.0.0.1"}, args...)...)
	s.address = net.JoinHostPort("127.0.0.1", port)
	return s
}

func (s *server) start() {
	s.t.Helper()
	s.cmd = exec.Command(s.program, s.args...)
	out := &lockedBuffer{}
	s.cmd.Stdout, s.cmd.Stderr = out, out
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	testkit.Eventually(s.t, "redis-server has its socket", func() bool {
		nc, err := net.Dial("unix", s.socket)
		if err == nil {
			nc.Close()
		}
		return err == nil
	})
	s.t.Cleanup(func() {
		if s.t.Failed() {
			s.t.Logf("redis-server:\n%s", out.String())
		}
	})
}

// kill ends the server with SIGKILL.
func (s *server) kill() {
	if s.admin != nil {
		s.admin.Close()
		s.admin = nil
	}
	if s.cmd != nil {
		s.cmd.Process.Signal(syscall.SIGCONT)
		s.cmd.Process.Kill()
		s.cmd.Wait()
		s.cmd = nil
		os.Remove(s.socket)
	}
}

// signal sends a signal to the server.
func (s *server) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// do runs a command as the default user, and returns its answer as text.
func (s *server) do(args ...string) string {
	s.t.Helper()
	text, err := s.try(args...)
	if err != nil {
		s.t.Fatalf("%s: %v", strings.Join(args[:1], " "), err)
	}
	return text
}

// serverTime is how long a busy machine may take to write a value of 512 MiB.
const serverTime = time.Minute

func (s *server) try(args ...string) (string, error) {
	if s.admin == nil {
		c, err := rueidis.NewClient(rueidis.ClientOption{
			InitAddress: []string{s.socket}, ForceSingleClient: true, DisableCache: true, ConnWriteTimeout: serverTime,
			DialCtxFn: func(ctx context.Context, _ string, d *net.Dialer, _ *tls.Config) (net.Conn, error) {
				return d.DialContext(ctx, "unix", s.socket)
			},
		})
		if err != nil {
			return "", err
		}
		s.admin = c
	}
	ctx, cancel := context.WithTimeout(context.Background(), serverTime)
	defer cancel()
	r := s.admin.Do(ctx, s.admin.B().Arbitrary(args...).Build())
	if err := r.Error(); err != nil {
		return "", err
	}
	text, err := r.ToString()
	if err != nil {
		return "", nil // not a text
	}
	return text, nil
}

// lockedBuffer is a buffer for several goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

var secret = []byte("0123456789abcdef0123456789abcdef")

// host is the cache of one host, with nothing in memory.
type host struct {
	*cache.Cache
	t   testing.TB
	log *lockedBuffer
}

func newHost(t testing.TB, o redis.Options, budget time.Duration) *host {
	t.Helper()
	h := &host{t: t, log: &lockedBuffer{}}
	o.Prefix, o.Name = "polyclam:", "redis of the test"
	h.Cache = cache.New(cache.Config{Store: redis.Open(o), Secret: secret, Budget: budget, Log: zerolog.New(h.log)})
	t.Cleanup(h.Close)
	return h
}

// wide is a budget that a server which runs keeps on any machine.
const wide = 5 * time.Second

func (s *server) host(o redis.Options) *host {
	o.Addresses = []string{s.socket}
	return newHost(s.t, o, wide)
}

func (h *host) waitUp() {
	h.t.Helper()
	testkit.Eventually(h.t, "the store is used", func() bool { return h.Stats().Shared.State == "up" })
}

// logged waits for a text in the log.
func (h *host) logged(text string) {
	h.t.Helper()
	testkit.Eventually(h.t, "the log has "+text, func() bool { return strings.Contains(h.log.String(), text) })
}

func key(name string) (k cache.Key) {
	copy(k[:], name)
	return k
}

// result is the result of the object with a name, which is that of what is found in it.
func result(name string) cache.Entry {
	return cache.Entry{Result: backends.Found(1, name), Scanned: time.Now()}
}

// has reports whether the host finds the right result of an object. A wrong one ends the test.
func (h *host) has(name string) bool {
	h.t.Helper()
	hit := h.Lookup(context.Background(), []cache.Key{key(name)})[0]
	if hit == nil {
		return false
	}
	if hit.Source != cache.Shared || hit.Result.Category != backends.Virus || hit.Result.Findings[0].Name != name {
		h.t.Fatalf("%s: a wrong hit %+v", name, hit)
	}
	return true
}

// add adds the result of an object, and waits until the server has it.
func (h *host) add(names ...string) {
	h.t.Helper()
	for _, name := range names {
		h.Add(key(name), result(name), time.Hour)
	}
	for _, name := range names {
		testkit.Eventually(h.t, name+" is in the store", func() bool { return h.has(name) })
	}
}

// name returns the name of the server's key for an object.
func (s *server) name(of string) string {
	s.t.Helper()
	h := s.host(redis.Options{})
	h.waitUp()
	h.add(of)
	h.Close()
	k := s.do("RANDOMKEY")
	if !strings.HasPrefix(k, "polyclam:1:e:") {
		s.t.Fatalf("the key is %q", k)
	}
	return k
}
