package wire

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
)

func client(tb testing.TB, address string, change func(*Options)) *Client {
	tb.Helper()
	o := DefaultOptions()
	if change != nil {
		change(&o)
	}
	c, err := o.Client("test", "tcp:127.0.0.1:1", address, "", 1<<10)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { c.Close() })
	return c
}

// kept returns a client that keeps connections and reuses them immediately.
func kept(tb testing.TB, address string) *Client {
	tb.Helper()
	c := client(tb, address, func(o *Options) { o.KeepAlive = true })
	c.conns.Cooldown = 0
	c.conns.Open()
	return c
}

func post(o backends.Object) *Request {
	b := BodyOf(o)
	return &Request{Method: "POST", Target: "/scan?x=1", Fields: []Field{{"X-A", "b"}}, Body: &b}
}

func say(s string) backendtest.Step { return backendtest.Send(backendtest.Composed(s)) }

func want(s string) backendtest.Step { return backendtest.Want(backendtest.Composed(s)) }

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"

// lines returns a step that reads n lines.
func lines(n int) backendtest.Step {
	return func(s *backendtest.Session) error {
		for range n {
			if err := backendtest.WantUntil('\n', 1000, nil)(s); err != nil {
				return err
			}
		}
		return nil
	}
}

// TestRequest checks the bytes of requests on a kept connection.
func TestRequest(t *testing.T) {
	backendtest.NoLeaks(t)
	d := backendtest.StartDaemon(t, "tcp", backendtest.Script{
		lines(5), want("abc"), say(ok), lines(5), want("abc"), say(ok), backendtest.Drain(),
	}, backendtest.Script{lines(5), want("abc"), say(ok), backendtest.Drain()})
	c := kept(t, d.Address())
	scan := func() {
		t.Helper()
		r, err := c.Do(backendtest.Context(t), post(backendtest.Bytes(t, []byte("abc"))))
		if err != nil || r.Status != 200 || string(r.Body) != "OK" || !r.Measured {
			t.Fatalf("got %+v, %v", r, err)
		}
	}
	scan()
	scan()
	if n := d.Connections(); n != 1 {
		t.Errorf("%d connections", n)
	}
	head := "POST /scan?x=1 HTTP/1.1\r\nHost: " + strings.TrimPrefix(d.Address(), "tcp:") + "\r\nX-A: b\r\nContent-Length: 3\r\n\r\nabc"
	if got, want := string(d.Received(0)), head+head; got != want {
		t.Errorf("sent %q, want %q", got, want)
	}
	c.Close()
	c.Close()
	scan() // on a new connection
	if n := c.conns.Idle(); n != 0 || d.Connections() != 2 {
		t.Errorf("%d kept of %d connections", n, d.Connections())
	}
}

func TestWithoutKeeping(t *testing.T) {
	d := backendtest.StartDaemon(t, "tcp", backendtest.Script{lines(4), say(ok), backendtest.Drain()})
	c := client(t, d.Address(), nil)
	for range 2 {
		if _, err := c.Do(backendtest.Context(t), &Request{Method: "GET", Target: "/c"}); err != nil {
			t.Fatal(err)
		}
	}
	if n := d.Connections(); n != 2 {
		t.Errorf("%d connections", n)
	}
	if got := string(d.Received(0)); !strings.Contains(got, "Connection: close\r\n") || strings.Contains(got, "Content-Length") {
		t.Errorf("sent %q", got)
	}
}

// TestAnswers plays valid and invalid answers.
func TestAnswers(t *testing.T) {
	chunked := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	for _, tt := range []struct {
		name, answer string
		body         string
		measured     bool
		failure      backends.Category // empty: none
	}{
		{"length", ok, "OK", true, ""},
		{"bare line feeds", "HTTP/1.1 200 OK\nContent-Length: 2\n\nOK", "OK", true, ""},
		{"chunks", chunked + "1\r\nO\r\n1;x=y\r\nK\r\n0\r\n\r\n", "OK", true, ""},
		{"until the end", "HTTP/1.0 200 OK\r\n\r\nOK", "OK", false, ""},
		{"interim", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + ok, "OK", true, ""},
		{"no body", "HTTP/1.1 204 No Content\r\n\r\n", "", true, ""},
		{"endless interim answers", strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 10) + ok, "", false, backends.SWErr},
		{"switching", "HTTP/1.1 101 Switching Protocols\r\n\r\n" + ok, "", false, backends.SWErr},
		{"short", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nOK", "", false, backends.SWErr},
		{"longer than announced", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK AND MORE", "", false, backends.SWErr},
		{"two answers", ok + ok, "", false, backends.SWErr},
		{"incomplete chunk", chunked + "2\r\nO", "", false, backends.SWErr},
		{"no last chunk", chunked + "2\r\nOK\r\n", "", false, backends.SWErr},
		{"endless chunk", chunked + "ffffffffffffffff\r\nOK", "", false, backends.SWErr},
		{"endless length", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\nOK", "", false, backends.SWErr},
		{"negative length", "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nOK", "", false, backends.SWErr},
		{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 1\r\n\r\nOK", "", false, backends.SWErr},
		{"large body", "HTTP/1.0 200 OK\r\n\r\n" + strings.Repeat("A", 2<<10), "", false, backends.SWErr},
		{"large head", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("A", 128<<10) + "\r\n\r\n", "", false, backends.SWErr},
		{"large status line", strings.Repeat("A", 128<<10), "", false, backends.SWErr},
		{"status 99", "HTTP/1.1 099 X\r\n\r\n", "", false, backends.SWErr},
		{"garbage", "\x00\xff%s\r\n\r\n", "", false, backends.SWErr},
		{"another protocol", "ICAP/1.0 200 OK\r\n\r\n", "", false, backends.SWErr},
		{"nothing", "", "", false, backends.CannotExecute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			backendtest.NoLeaks(t)
			d := backendtest.StartDaemon(t, "unix", backendtest.Script{lines(5), want("abc"), say(tt.answer), backendtest.CloseWrite(), backendtest.Drain()})
			c := kept(t, d.Address())
			r, err := c.Do(backendtest.Context(t), post(backendtest.Bytes(t, []byte("abc"))))
			if tt.failure != "" {
				if err == nil || backends.CategoryOf(err) != tt.failure || len(err.Error()) > 1000 {
					t.Errorf("got %+v, %v", r, err)
				}
				return
			}
			if err != nil || string(r.Body) != tt.body || r.Measured != tt.measured {
				t.Errorf("got %+v, %v", r, err)
			}
		})
	}
}

// TestDeadConnection checks that a dead kept connection is replaced, once.
func TestDeadConnection(t *testing.T) {
	whole := func() []backendtest.Step { return []backendtest.Step{lines(3), say(ok)} }
	for name, end := range map[string][]backendtest.Step{
		"closed while idle": {backendtest.Close()},
		"closed when busy":  {backendtest.Discard(1), backendtest.Close()},
		"reset when busy":   {backendtest.Discard(1), backendtest.Reset()},
	} {
		t.Run(name, func(t *testing.T) {
			backendtest.NoLeaks(t)
			d := backendtest.StartDaemon(t, "tcp", append(whole(), end...), append(whole(), backendtest.Drain()))
			c := kept(t, d.Address())
			for range 2 {
				if r, err := c.Do(backendtest.Context(t), &Request{Method: "GET", Target: "/"}); err != nil || string(r.Body) != "OK" {
					t.Fatalf("got %+v, %v", r, err)
				}
			}
			if n := d.Connections(); n != 2 {
				t.Errorf("%d connections", n)
			}
		})
	}
	t.Run("not twice", func(t *testing.T) {
		d := backendtest.StartDaemon(t, "tcp", append(whole(), end()...), backendtest.Script(end()))
		c := kept(t, d.Address())
		if _, err := c.Do(backendtest.Context(t), &Request{Method: "GET", Target: "/"}); err != nil {
			t.Fatal(err)
		}
		_, err := c.Do(backendtest.Context(t), &Request{Method: "GET", Target: "/"})
		if !errors.Is(err, backends.ErrNoReply) || d.Connections() != 2 {
			t.Errorf("got %v after %d connections", err, d.Connections())
		}
	})
}

func end() []backendtest.Step { return []backendtest.Step{backendtest.Discard(1), backendtest.Close()} }

// TestStrayAnswer checks that input on an idle connection never answers a request.
func TestStrayAnswer(t *testing.T) {
	sent := make(chan struct{})
	d := backendtest.StartDaemon(t, "tcp",
		backendtest.Script{lines(3), say(ok),
			backendtest.Sleep(20 * time.Millisecond), say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nSTRAY"), func(*backendtest.Session) error { close(sent); return nil }, backendtest.Drain()},
		backendtest.Script{backendtest.Discard(1), say(ok), backendtest.Drain()})
	c := kept(t, d.Address())
	if _, err := c.Do(backendtest.Context(t), &Request{Method: "GET", Target: "/"}); err != nil {
		t.Fatal(err)
	}
	<-sent
	r, err := c.Do(backendtest.Context(t), &Request{Method: "GET", Target: "/"})
	if err != nil || string(r.Body) != "OK" {
		t.Errorf("got %+v, %v", r, err)
	}
}

// TestEarly checks that an answer before the end of the object counts only if it is a
// virus, and that nothing hangs.
func TestEarly(t *testing.T) {
	backendtest.NoLeaks(t)
	for name, after := range map[string][]backendtest.Step{
		"stops reading": {backendtest.Hang()},
		"closes":        {backendtest.CloseWrite(), backendtest.Sleep(50 * time.Millisecond), backendtest.Close()},
		"drains":        {backendtest.Drain()},
	} {
		for _, want := range []backends.Category{backends.OK, backends.Virus, backends.Encrypted} {
			t.Run(name+" "+string(want), func(t *testing.T) {
				d := backendtest.StartDaemon(t, "tcp", append(backendtest.Script{backendtest.Discard(1), say(ok)}, after...))
				c := kept(t, d.Address())
				r, err := c.Scan(backendtest.Context(t), post(backendtest.LargeObject(t, 16<<20)), says(want))
				if found := r.Category == backends.Virus && err == nil; found != (want == backends.Virus) || !found && backends.CategoryOf(err) != backends.SWErr {
					t.Errorf("got %+v, %v", r, err)
				}
				if c.conns.Idle() > 0 {
					t.Error("the connection is kept")
				}
			})
		}
	}
}

// says returns a judge that gives every answer the category c.
func says(c backends.Category) func(r *Response, a *backends.Answer) {
	return func(r *Response, a *backends.Answer) { a.Add(c, r.Status, string(r.Body)) }
}

// TestShortObject checks that a scan of an object that ends too early fails.
func TestShortObject(t *testing.T) {
	backendtest.NoLeaks(t)
	for _, size := range []int{0, 10, 1 << 20} {
		d := backendtest.StartDaemon(t, "tcp", backendtest.Script{backendtest.Drain()})
		_, err := client(t, d.Address(), nil).Do(backendtest.Context(t), post(backendtest.Short(backendtest.LargeObject(t, size))))
		var object *backends.ObjectError
		if !errors.As(err, &object) || !strings.Contains(err.Error(), "reading the object: it ends after") {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

func TestBody(t *testing.T) {
	for _, size := range []int{0, 1, 2, 3, 4, 64<<10 - 1, 64 << 10, 64<<10 + 1, 200_001} {
		o := backendtest.LargeObject(t, size)
		for _, encode := range []bool{false, true} {
			b := Body{Before: "<", After: ">", Object: o, Size: o.Size(), Base64: encode}
			want := "<" + string(o.Data()) + ">"
			if encode {
				want = "<" + base64.StdEncoding.EncodeToString(o.Data()) + ">"
			}
			var got bytes.Buffer
			n, err := b.WriteTo(&got)
			if err != nil || got.String() != want || n != b.Len() || n != int64(len(want)) {
				t.Errorf("size %d, base64 %v: %d bytes, Len %d, want %d, %v", size, encode, n, b.Len(), len(want), err)
			}
		}
	}
	b := Body{Before: "only"}
	if n, err := b.WriteTo(io.Discard); n != 4 || err != nil || b.Len() != 4 {
		t.Errorf("%d, %v", n, err)
	}
}
