package nullclamd

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"polyclam/backends/testfile"
	"polyclam/protocol"
)

func serve(t *testing.T) *protocol.Client { return serveSlow(t, 0) }

// serveSlow serves with a delay.
func serveSlow(t *testing.T, delay time.Duration) *protocol.Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	s, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	s.Delay = delay
	ended := make(chan error, 1)
	go func() { ended <- s.Serve() }()
	t.Cleanup(func() {
		s.Close()
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Serve: %v", err)
		}
	})
	return &protocol.Client{Network: "unix", Address: path}
}

func file(t *testing.T, content []byte) *os.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestServer(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c := serve(t)
	if err := c.Ping(ctx); err != nil {
		t.Error(err)
	}
	if v, err := c.Version(ctx); v != version || err != nil {
		t.Errorf("version %q, %v", v, err)
	}
	bad := append([]byte(nil), eicarBegin...)
	for _, tt := range []struct {
		name    string
		content []byte
		found   bool
	}{
		{"empty", nil, false},
		{"small", []byte("x"), false},
		{"large", bytes.Repeat([]byte("abc"), 300_000), false},
		{"file of one buffer", make([]byte, readBuffer), false},
		{"test file", bad, true},
		{"mail with the test file", testfile.MailedEICAR(testfile.Nonce{1}), true},
		{"test file after a byte", append([]byte(" "), bad...), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := c.Open(ctx)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			f := file(t, tt.content)
			for range 2 {
				stream, errS := c.Instream(ctx, bytes.NewReader(tt.content))
				handed, errF := c.Fildes(ctx, f)
				inSession, errI := s.Instream(ctx, bytes.NewReader(tt.content))
				handedIn, errH := s.Fildes(ctx, f)
				if err := errors.Join(errS, errF, errI, errH); err != nil {
					t.Fatal(err)
				}
				for _, r := range []protocol.Reply{stream, handed, inSession, handedIn} {
					if r.Found() != tt.found {
						t.Errorf("%q", r)
					}
				}
			}
		})
	}
}

// TestPieces sends a request byte by byte.
func TestPieces(t *testing.T) {
	c := serve(t)
	nc, err := net.Dial("unix", c.Address)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(time.Minute))
	for _, b := range []byte("zINSTREAM\x00\x00\x00\x00\x02ab\x00\x00\x00\x01c\x00\x00\x00\x00") {
		if _, err := nc.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
	}
	var reply bytes.Buffer
	if _, err := reply.ReadFrom(nc); err != nil || reply.String() != "stream: OK\x00" {
		t.Errorf("%q, %v", reply.String(), err)
	}
}

// TestDelay checks that delayed scans run beside each other, that each gets its own answer,
// and that clients that left do not disturb.
func TestDelay(t *testing.T) {
	const delay = 30 * time.Millisecond
	c := serveSlow(t, delay)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	gone, err := net.Dial("unix", c.Address)
	if err != nil {
		t.Fatal(err)
	}
	gone.Write([]byte("zINSTREAM\x00\x00\x00\x00\x00"))
	gone.Close()
	const clients = 40
	failed := make(chan error, clients)
	for i := range clients {
		go func() {
			object := []byte("clean")
			if i%2 == 1 {
				object = testfile.EICAR()
			}
			for range 3 {
				begin := time.Now()
				r, err := c.Instream(ctx, bytes.NewReader(object))
				if err == nil && r.Found() != (i%2 == 1) {
					err = errors.New("the answer of another object")
				}
				if err == nil && time.Since(begin) < delay {
					err = errors.New("too early")
				}
				if err != nil {
					failed <- err
					return
				}
			}
			failed <- nil
		}()
	}
	for range clients {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
}
