package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/testfile"
	"polyclam/proxy/certs"
	"polyclam/test/testkit"
)

// secureServer is a server whose listener on TCP has TLS.
type secureServer struct {
	*testServer
	ca *testkit.Authority
	to string // its address
}

// source returns the TLS configuration of a listener with a new certificate.
func source(t *testing.T, ca *testkit.Authority, files certs.Files) *tls.Config {
	t.Helper()
	i := ca.Issue("polyclam.test")
	files.Certificate, files.Key = i.Certificate, i.Key
	s, err := certs.Load(files)
	if err != nil {
		t.Fatal(err)
	}
	return s.Config()
}

func newSecureServer(t *testing.T, files certs.Files, change func(*Config), engines ...testEngine) *secureServer {
	t.Helper()
	ca := testkit.NewAuthority(t)
	if files.ClientCA == "" && len(files.ClientNames) > 0 {
		files.ClientCA = ca.File
	}
	conf := source(t, ca, files)
	ts := newServer(t, overTCP(func(c *Config) {
		c.Listeners[1].TLS = conf
		if change != nil {
			change(c)
		}
	}), engines...)
	return &secureServer{ts, ca, ts.listenTCP()}
}

// client returns the configuration of a client that trusts the server.
func (s *secureServer) client() *tls.Config {
	return &tls.Config{RootCAs: s.ca.Pool(), ServerName: "polyclam.test"}
}

// connect connects a client with TLS from an address of the loopback network.
func (s *secureServer) connect(from string) *tls.Conn {
	s.t.Helper()
	c := tls.Client(dialFrom(s.t, from, s.to), s.client())
	if err := c.Handshake(); err != nil {
		s.t.Fatal(err)
	}
	return c
}

// handshaking returns how many handshakes have begun, and how many wait.
func (ts *testServer) handshaking() (begun, waiting int) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	for h := range ts.handshakes {
		if h.begun {
			begun++
		} else {
			waiting++
		}
	}
	return begun, waiting
}

func TestHandshakeFailures(t *testing.T) {
	foreign := testkit.NewAuthority(t)
	s := newSecureServer(t, certs.Files{ClientNames: []string{"mail.test"}}, nil, eicarOnly())
	send := func(text string) func(net.Conn) {
		return func(nc net.Conn) {
			io.WriteString(nc, text)
			nc.(*net.TCPConn).CloseWrite()
			io.Copy(io.Discard, nc)
		}
	}
	shake := func(change func(*tls.Config)) func(net.Conn) {
		return func(nc net.Conn) {
			conf := s.client()
			change(conf)
			c := tls.Client(nc, conf)
			if c.Handshake() == nil {
				c.Read(make([]byte, 1))
			}
		}
	}
	with := func(i testkit.Issued) func(net.Conn) {
		return shake(func(c *tls.Config) {
			pair := i.Load(t)
			c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
		})
	}
	good := s.ca.Issue("mail.test")
	asOpenSSL := func(nc net.Conn) { // refuses the certificate with an alert that is not encrypted
		a, b := net.Pipe()
		defer b.Close()
		go tls.Client(a, s.client()).Handshake()
		hello := make([]byte, 4<<10)
		n, _ := b.Read(hello)
		nc.Write(hello[:n])
		nc.Read(make([]byte, 1))
		io.WriteString(nc, "\x14\x03\x03\x00\x01\x01")
		io.WriteString(nc, "\x15\x03\x03\x00\x02\x02\x30")
		nc.(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, nc)
	}
	for i, tt := range []struct {
		name   string
		talk   func(net.Conn)
		reason string
	}{
		{"plain command", send("zPING\x00"), "a plain command instead of TLS"},
		{"HTTP", send("GET / HTTP/1.1\r\n\r\n"), "HTTP instead of TLS"},
		{"PROXY", send("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n"), "a PROXY header from an address that is not in proxy_protocol"},
		{"PROXY 2", send("\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"), "a PROXY header from an address that is not in proxy_protocol"},
		{"garbage", send("\xff\xfe\xfd\xfc\xfb\xfa"), "the client does not use TLS"},
		{"half", send("\x16\x03\x01\x02\x00\x01\x00"), "closed the connection within the TLS handshake"},
		{"TLS 1.1", shake(func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }), "the client offers only TLS 1.1, and TLS 1.2 is needed"},
		{"no certificate", shake(func(c *tls.Config) {}), "the client sent no certificate"},
		{"foreign certificate", with(foreign.Issue("mail.test")), "the client's certificate for mail.test is not from an authority in client_ca"},
		{"expired", with(s.ca.IssueUntil(time.Now().Add(-time.Hour), "mail.test")), "the client's certificate for mail.test expired on 2"},
		{"not yet", with(s.ca.IssueUntil(time.Now().Add(70*24*time.Hour), "mail.test")), "is not valid yet"},
		{"name", with(s.ca.Issue("www.test")), "none of the names in the client's certificate is allowed: www.test"},
		{"wrong CA", shake(func(c *tls.Config) { c.RootCAs = foreign.Pool() }), "the client refused the handshake: "},
		{"wrong CA of OpenSSL", asOpenSSL, "the client refused the handshake: unknown certificate authority"},
		{"own certificate expired", shake(func(c *tls.Config) { c.Time = func() time.Time { return time.Now().Add(40 * 24 * time.Hour) } }), "the client refused the handshake: bad certificate"},
		{"wrong name", shake(func(c *tls.Config) { c.ServerName = "other.test" }), "the client refused the handshake: bad certificate"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			from := fmt.Sprintf("127.0.1.%d", i+1)
			for range 2 { // logged once
				tt.talk(dialFrom(t, from, s.to))
			}
			testkit.Eventually(t, "both failures are counted", func() bool { return s.tally.handshakes.Load() == int64(2*i+2) })
			var lines []string
			for line := range strings.Lines(s.log.String()) {
				if strings.Contains(line, from) {
					lines = append(lines, line)
				}
			}
			if len(lines) != 1 || !strings.Contains(lines[0], tt.reason) || !strings.Contains(lines[0], "handshake failed") || !strings.Contains(lines[0], `"hint"`) || strings.Contains(lines[0], "tls:") {
				t.Errorf("logged %q, want once %q", lines, tt.reason)
			}
			// Others are not affected.
			conf := s.client()
			conf.Certificates = []tls.Certificate{good.Load(t)}
			c := tls.Client(dialFrom(t, "127.0.0.3", s.to), conf)
			pong(t, c)
		})
	}
	if got := s.server().HandshakesFailed; got != 32 {
		t.Errorf("%d failures in the status, want 32", got)
	}
	testkit.Eventually(t, "no handshake is left", func() bool { begun, waiting := s.handshaking(); return begun+waiting == 0 })
}

// TestHandshakeTimeout checks that a handshake without an end is ended.
func TestHandshakeTimeout(t *testing.T) {
	s := newSecureServer(t, certs.Files{}, func(c *Config) { c.Limits.HandshakeTimeout = 20 * time.Millisecond }, eicarOnly())
	for i, text := range []string{"", "\x16\x03"} {
		nc := dialFrom(t, fmt.Sprintf("127.0.1.%d", i+1), s.to)
		io.WriteString(nc, text)
		if !ended(nc) {
			t.Errorf("%q: the connection stays open", text)
		}
	}
	testkit.Eventually(t, "both are logged", func() bool { return s.tally.handshakes.Load() == 2 })
	for _, want := range []string{"the client has not begun the TLS handshake in time", "the client has not completed the TLS handshake in time", "limits.handshake_timeout is 20ms"} {
		testkit.Eventually(t, want, func() bool { return strings.Contains(s.log.String(), want) })
	}
}

// TestHandshakeHealthCheck checks that a balancer that only connects leaves no line.
func TestHandshakeHealthCheck(t *testing.T) {
	s := newSecureServer(t, certs.Files{}, nil, eicarOnly())
	for _, linger := range []int{-1, 0} {
		nc := dialFrom(t, "127.0.0.2", s.to)
		nc.(*net.TCPConn).SetLinger(linger)
		nc.Close()
	}
	pong(t, s.connect("127.0.0.3"))
	testkit.Eventually(t, "no handshake is left", func() bool { begun, waiting := s.handshaking(); return begun+waiting == 0 })
	if n := s.tally.handshakes.Load(); n != 0 || s.log.String() != "" {
		t.Errorf("%d failures, %s", n, s.log)
	}
}

func TestOverTLS(t *testing.T) {
	s := newSecureServer(t, certs.Files{}, func(c *Config) { c.Limits.Stream = 8 << 20 }, eicarOnly())
	big := strings.Repeat("0123456789abcdef", 6<<16)
	eicar := string(testfile.EICAR())
	for _, tt := range []struct{ name, send, want string }{
		{"ping", "zPING\x00", "PONG\x00"},
		{"bare", "PING\n", "PONG\n"},
		{"clean", "zINSTREAM\x00" + stream("clean", 2), "stream: OK\x00"},
		{"EICAR", "nINSTREAM\n" + stream(eicar, 10), "stream: Eicar-Test-Signature FOUND\n"},
		{"big", "zINSTREAM\x00" + stream(big+eicar, 100_000), "stream: OK\x00"}, // the engine looks at the first MiB
		{"over the limit", "zINSTREAM\x00" + stream(big+big, 1<<20), "INSTREAM size limit exceeded. ERROR\x00"},
		{"session", "zIDSESSION\x00zINSTREAM\x00" + stream("a", 1) + "zPING\x00zEND\x00", "1: stream: OK\x002: PONG\x00"},
		{"descriptor", "zFILDES\x00x", "No file descriptor received. ERROR\x00"},
		{"STREAM", "zSTREAM\x00", "UNKNOWN COMMAND\x00"},
	} {
		for _, half := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/half-close=%v", tt.name, half), func(t *testing.T) {
				c := s.connect("127.0.0.1")
				go func() {
					io.WriteString(c, tt.send)
					if half {
						c.CloseWrite()
					}
				}()
				got := readAll(t, c) // up to close_notify: a cut is an error
				parts := strings.SplitAfter(got, "\x00")
				if tt.name == "session" && len(parts) == 3 && strings.HasPrefix(parts[0], "2") {
					got = parts[1] + parts[0]
				}
				if got != tt.want {
					t.Errorf("got %q, want %q", got, tt.want)
				}
			})
		}
	}
	if n := s.tally.handshakes.Load(); n != 0 {
		t.Errorf("%d handshakes failed", n)
	}
}

// TestVanishedOverTLS checks that a client that resets its connection ends its scan.
func TestVanishedOverTLS(t *testing.T) {
	started, ended := make(chan struct{}, 1), make(chan error, 1)
	engine := backends.Func(func(ctx context.Context, o backends.Object) (backends.Result, error) {
		started <- struct{}{}
		<-ctx.Done()
		ended <- context.Cause(ctx)
		return backends.Result{}, ctx.Err()
	})
	s := newSecureServer(t, certs.Files{}, nil, testEngine{name: "slow", backend: engine})
	c := s.connect("127.0.0.1")
	io.WriteString(c, "zINSTREAM\x00"+stream("x", 1))
	<-started
	tc := c.NetConn().(*net.TCPConn)
	tc.SetLinger(0)
	tc.Close()
	if err := <-ended; !errors.Is(err, errGone) {
		t.Errorf("the scan ended with %v", err)
	}
}

// TestSlowHandshakes has a client with many handshakes that never end, while another scans.
func TestSlowHandshakes(t *testing.T) {
	const places, waiting = 8, 12
	s := newSecureServer(t, certs.Files{}, func(c *Config) {
		c.Limits.Handshakes, c.Limits.Waiting, c.Limits.ClientShare = places, waiting, 75
	}, eicarOnly())
	most := 0
	for i := range 200 {
		nc := dialFrom(t, "127.0.0.2", s.to)
		if i%2 == 0 {
			io.WriteString(nc, "\x16\x03\x01")
		}
		begun, _ := s.handshaking()
		most = max(most, begun)
	}
	const share, waits = places * 75 / 100, waiting * 75 / 100
	testkit.Eventually(t, "the slow client has its share", func() bool {
		begun, queued := s.handshaking()
		most = max(most, begun)
		return begun == share && queued == waits
	})
	for range 20 {
		c := s.connect("127.0.0.3")
		io.WriteString(c, "zINSTREAM\x00"+stream(string(testfile.EICAR()), 10))
		if got := readAll(t, c); got != "stream: Eicar-Test-Signature FOUND\x00" {
			t.Fatalf("the other client: %q", got)
		}
		c.Close()
	}
	if most > share {
		t.Errorf("%d handshakes of one client at the same time, want %d at most", most, share)
	}
	if served, _ := s.connectionsOf(peerOf(dialFrom(t, "127.0.0.9", s.to)).key); served != 0 {
		t.Errorf("%d handshakes have a place of connections", served)
	}
}

// TestHandshakesAtShutdown has one handshake that completes while the server stops, and one
// that does not, and one that waits.
func TestHandshakesAtShutdown(t *testing.T) {
	s := newSecureServer(t, certs.Files{}, func(c *Config) { c.Limits.Handshakes, c.Limits.Waiting, c.Limits.ClientShare = 3, 4, 75 }, eicarOnly())
	late, never, queued := dialFrom(t, "127.0.0.2", s.to), dialFrom(t, "127.0.0.2", s.to), dialFrom(t, "127.0.0.2", s.to)
	testkit.Eventually(t, "two have begun and one waits", func() bool { begun, waiting := s.handshaking(); return begun == 2 && waiting == 1 })
	down := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		down <- s.Shutdown(ctx)
	}()
	testkit.Eventually(t, "the shutdown has begun", s.isClosing)
	pong(t, tls.Client(late, s.client()))
	if !ended(never) || !ended(queued) {
		t.Error("a connection without a handshake stays open")
	}
	if err := <-down; err != nil {
		t.Error(err)
	}
}

// TestHandshakesCutOff checks that the end of the grace ends handshakes too.
func TestHandshakesCutOff(t *testing.T) {
	s := newSecureServer(t, certs.Files{}, func(c *Config) { c.Limits.Handshakes, c.Limits.Waiting, c.Limits.ClientShare = 3, 4, 75 }, eicarOnly())
	a, b, c := dialFrom(t, "127.0.0.2", s.to), dialFrom(t, "127.0.0.2", s.to), dialFrom(t, "127.0.0.2", s.to)
	testkit.Eventually(t, "one waits", func() bool { begun, waiting := s.handshaking(); return begun == 2 && waiting == 1 })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if !ended(a) || !ended(b) || !ended(c) {
		t.Error("a connection stays open")
	}
	s.serving.Wait() // nothing is left that would hold up another Shutdown
}

// TestReloadOfTLS changes the keys of a listener without closing its socket.
func TestReloadOfTLS(t *testing.T) {
	s := newSecureServer(t, certs.Files{}, nil, eicarOnly())
	serial := func() string {
		return s.connect("127.0.0.1").ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	before := s.connect("127.0.0.1")
	first := serial()
	apply := func(conf *tls.Config) {
		next := testConfig(s.cfg.Listeners[0].Address, []testEngine{eicarOnly()})
		overTCP(func(c *Config) { c.Listeners[1].TLS = conf })(next)
		s.Apply(next)
	}
	// The listener waits in accept with what it has reserved for the old configuration.
	apply(nil)
	pong(t, dialFrom(t, "127.0.0.1", s.to))
	apply(source(t, s.ca, certs.Files{}))
	if second := serial(); second == first {
		t.Error("the old certificate is used after the reload")
	}
	pong(t, before)
}

// TestWriteOfTLSItself checks that what TLS writes while it reads has a deadline.
func TestWriteOfTLSItself(t *testing.T) {
	ln := testkit.Listen(t, "tcp")
	dialFrom(t, "127.0.0.1", ln.Addr().String()) // never reads
	nc, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	w := &wire{TCPConn: nc.(*net.TCPConn), done: true}
	w.SetWriteDeadline(time.Now().Add(-time.Second)) // of an earlier reply
	if _, err := w.Write([]byte("x")); err != nil {
		t.Errorf("after the deadline of an earlier reply: %v", err)
	}
	w.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
	for err == nil {
		_, err = w.TCPConn.Write(make([]byte, 1<<20))
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v", err)
	}
}
