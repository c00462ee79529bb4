package engineconn

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/internal/engineconn/linetest"
	"polyclam/test/testkit"
)

func TestKept(t *testing.T) {
	d := backendtest.StartDaemon(t, "unix", backendtest.Script{say("HELLO\n"), want("Q\n"), say("ok\n.\n"), want("Q\n"), say("!X\n.\n"), want("BYE\n"), backendtest.Drain()})
	c := asker(t, d.Address())
	for _, want := range []string{"ok", "virus"} {
		if r, err := c.Scan(t.Context(), ask); outcome(r, err) != want {
			t.Errorf("got %+v, %v", r, err)
		}
	}
	c.Close()
	c.Close()
	if n := d.Connections(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// TestScanAfterClose checks that a scan after Close uses its own connection.
func TestScanAfterClose(t *testing.T) {
	backendtest.NoLeaks(t)
	d := backendtest.StartDaemon(t, "unix", backendtest.Script{say("HELLO\n"), want("Q\n"), say("ok\n.\n"), want("BYE\n"), backendtest.Drain()})
	c := asker(t, d.Address())
	c.Close()
	for range 2 {
		if r, err := c.Scan(t.Context(), ask); outcome(r, err) != "ok" {
			t.Errorf("got %+v, %v", r, err)
		}
	}
	if n := d.Connections(); n != 2 || c.Idle() != 0 {
		t.Errorf("%d connections, %d kept", n, c.Idle())
	}
}

// TestDead checks that a kept connection that is dead or not silent is replaced, once.
func TestDead(t *testing.T) {
	for name, end := range map[string]backendtest.Script{
		"closed":       {backendtest.Close()},
		"reset":        {backendtest.Reset()},
		"closed, busy": {backendtest.Discard(1), backendtest.Close()},
		"reset, busy":  {want("Q\n"), backendtest.Reset()},
		"stray answer": {say("ok\n.\n"), backendtest.Drain()},
	} {
		t.Run(name, func(t *testing.T) {
			backendtest.NoLeaks(t)
			idle, ended := make(chan struct{}), make(chan struct{})
			first := append(backendtest.Script{say("HELLO\n"), want("Q\n"), say("ok\n.\n"), backendtest.Wait(idle)}, end[0])
			if strings.Contains(name, "busy") {
				close(ended)
			} else {
				first = append(first, func(*backendtest.Session) error { close(ended); return nil })
			}
			d := backendtest.StartDaemon(t, "tcp", append(first, end[1:]...), backendtest.Script{say("HELLO\n"), want("Q\n"), say("!X\n.\n"), backendtest.Drain()})
			c := asker(t, d.Address())
			if r, err := c.Scan(t.Context(), ask); outcome(r, err) != "ok" {
				t.Fatalf("first: %+v, %v", r, err)
			}
			close(idle)
			<-ended
			if r, err := c.Scan(t.Context(), ask); outcome(r, err) != "virus" || d.Connections() != 2 {
				t.Errorf("second: %+v, %v, %d connections", r, err, d.Connections())
			}
		})
	}
}

func TestDeadTwice(t *testing.T) {
	d := backendtest.StartDaemon(t, "unix",
		backendtest.Script{say("HELLO\n"), want("Q\n"), say("ok\n.\n"), backendtest.Discard(1), backendtest.Close()},
		backendtest.Script{say("HELLO\n"), want("Q\n"), backendtest.Close()})
	c := asker(t, d.Address())
	if r, err := c.Scan(t.Context(), ask); err != nil {
		t.Fatal(r, err)
	}
	if r, err := c.Scan(t.Context(), ask); backends.Deaths(err) != 2 || d.Connections() != 2 {
		t.Errorf("got %+v, %v, %d connections", r, err, d.Connections())
	}
}

// TestSuspect checks that an object that may have killed the engine gets a connection of its
// own, and is sent once.
func TestSuspect(t *testing.T) {
	d := backendtest.StartDaemon(t, "unix",
		backendtest.Script{say("HELLO\n"), want("Q\n"), say("ok\n.\n"), backendtest.Drain()},
		backendtest.Script{say("HELLO\n"), want("Q\n"), backendtest.CloseWrite(), backendtest.Drain()})
	c := asker(t, d.Address())
	if r, err := c.Scan(t.Context(), ask); err != nil {
		t.Fatal(r, err)
	}
	if r, err := c.Scan(backends.WithSuspect(t.Context()), ask); backends.Deaths(err) != 1 || d.Connections() != 2 {
		t.Errorf("got %+v, %v, %d connections", r, err, d.Connections())
	}
}

// TestNotKept checks that the next request gets a new connection after more than one
// answer or an invalid one.
func TestNotKept(t *testing.T) {
	for _, reply := range []string{"!X\n.\nok\n.\n", "!X\n.\nx", "!X\n" + strings.Repeat("A", maxLine+1) + "\n.\n"} {
		d := backendtest.StartDaemon(t, "unix",
			backendtest.Script{say("HELLO\n"), want("Q\n"), say(reply), backendtest.Drain()},
			backendtest.Script{say("HELLO\n"), want("Q\n"), say("ok\n.\n"), backendtest.Drain()})
		c := asker(t, d.Address())
		for _, want := range []string{"virus+swerr", "ok"} {
			if r, err := c.Scan(t.Context(), ask); outcome(r, err) != want {
				t.Errorf("%.20q: got %+v, %v", reply, r, err)
			}
		}
	}
}

// TestAsk checks that a connection is not asked about the same subject twice, and that a
// scan runs again after a stray answer.
func TestAsk(t *testing.T) {
	d := backendtest.StartDaemon(t, "unix", backendtest.Script{linetest.Serve("", '\n', func(command string, _ io.Reader) (string, bool) { return command + "\n", false })})
	c := client(t, "unix", strings.TrimPrefix(d.Address(), "unix:"), keep)
	scan := func(subject string, strays int) {
		t.Helper()
		runs := 0
		r, err := c.Scan(t.Context(), func(conn *Conn, a *backends.Answer) error {
			if runs++; runs <= strays {
				return conn.Stray(errors.New("something else"))
			}
			if err := conn.SetSubject(subject); err != nil {
				return err
			}
			if err := conn.Command(subject + "\n"); err != nil {
				return err
			}
			line, err := conn.Line()
			if line == subject {
				a.Add(backends.OK, 0, "")
			}
			return err
		})
		if outcome(r, err) != "ok" {
			t.Errorf("%s: %+v, %v", subject, r, err)
		}
	}
	for i, tt := range []struct {
		subject     string
		strays      int
		connections int
	}{{"a", 0, 1}, {"b", 0, 1}, {"a", 0, 2}, {"b", 0, 2}, {"c", 1, 3}, {"d", 0, 3}} {
		if scan(tt.subject, tt.strays); d.Connections() != tt.connections {
			t.Errorf("scan %d: %d connections, want %d", i, d.Connections(), tt.connections)
		}
	}
	conn := NewConn(linetest.Deaf(""))
	if err := errors.New("x"); conn.Stray(err) != err {
		t.Error("a stray answer on a new connection")
	}
	for i := range maxSubjects {
		if err := conn.SetSubject(fmt.Sprint(i)); err != nil || conn.noReuse != (i == maxSubjects-1) {
			t.Fatalf("%d: %v, noReuse %v", i, err, conn.noReuse)
		}
	}
}

func TestReap(t *testing.T) {
	d := backendtest.StartDaemon(t, "unix", backendtest.Script{say("HELLO\n"), want("Q\n"), say("ok\n.\n"), backendtest.Drain()})
	c := asker(t, d.Address())
	if r, err := c.Scan(t.Context(), ask); err != nil {
		t.Fatal(r, err)
	}
	c.pool.Reap(time.Now())
	if c.Idle() != 1 {
		t.Error("reaped too soon")
	}
	c.pool.Reap(time.Now().Add(idleLimit))
	if c.Idle() != 0 {
		t.Error("not reaped")
	}
}

// TestStray checks that a repeated answer never answers the next request.
func TestStray(t *testing.T) {
	address := serve(t, "unix", echo(func(nc net.Conn, n int) {
		time.Sleep(5 * time.Millisecond)
		io.WriteString(nc, "CLEAN\n")
	}), echo(nil))
	c := client(t, "unix", address, keep)
	if r, err := scan(t.Context(), c, []byte("x")); err != nil || r.Category != backends.OK {
		t.Fatal(r, err)
	}
	waitForStray(t, c)
	if r, err := scan(t.Context(), c, []byte("virus")); err != nil || r.Category != backends.Virus {
		t.Errorf("got %+v, %v", r, err)
	}
}

// waitForStray waits until a stray answer has arrived on the kept connection.
func waitForStray(t *testing.T, c *Client) {
	t.Helper()
	testkit.Eventually(t, "a stray answer", func() bool {
		conn, ok := c.pool.Take(t.Context()) // closes a connection that is not silent
		if ok {
			c.pool.Put(conn)
		}
		return !ok
	})
}

// TestRest checks that a request gets a new connection while a kept one must rest.
func TestRest(t *testing.T) {
	c := client(t, "unix", serve(t, "unix", echo(nil)), func(c *Client) { c.Keep, c.Cooldown = true, time.Hour })
	for range 3 {
		if r, err := scan(t.Context(), c, nil); err != nil || r.Category != backends.OK {
			t.Fatal(r, err)
		}
	}
	if n := c.Idle(); n != 3 {
		t.Errorf("%d connections for 3 requests", n)
	}
}

// TestStrayWhileSending repeats an answer between the check for silence and the end of the
// next request.
func TestStrayWhileSending(t *testing.T) {
	began := make(chan struct{})
	repeat := func(nc net.Conn) {
		r := bufio.NewReader(nc)
		r.ReadString('\n')
		io.WriteString(nc, "CLEAN\n")
		r.ReadString('\n') // the next request has begun
		io.WriteString(nc, "CLEAN\n")
		close(began)
		<-t.Context().Done()
	}
	c := client(t, "unix", serve(t, "unix", repeat, echo(nil)), keep)
	if r, err := scan(t.Context(), c, nil); err != nil || r.Category != backends.OK {
		t.Fatal(r, err)
	}
	requests := 0
	r, err := c.Scan(t.Context(), func(conn *Conn, a *backends.Answer) error {
		requests++
		size := 2 * bufferSize
		err := conn.Send(func(w io.Writer) error {
			fmt.Fprintf(w, "SCAN %d\n", size)
			w.Write(make([]byte, size-5)) // flushes the first buffer
			if requests == 1 {
				<-began
			}
			_, err := io.WriteString(w, "virus")
			return err
		})
		if err != nil {
			return err
		}
		line, err := conn.Line()
		if line == "VIRUS" {
			a.Found(backends.Virus, 1, "Test", "")
		} else {
			a.Add(backends.OK, 0, "")
		}
		return err
	})
	if err != nil || r.Category != backends.Virus || requests != 2 {
		t.Errorf("got %+v, %v, after %d requests", r, err, requests)
	}
}

// TestStrayThenClosed checks that an engine that repeats an answer and closes, while the
// next request is being sent, has not answered that request.
func TestStrayThenClosed(t *testing.T) {
	first := func(nc net.Conn) {
		r := bufio.NewReader(nc)
		r.ReadString('\n')
		io.WriteString(nc, "CLEAN\n")
		r.ReadString('\n') // the next request has begun
		io.WriteString(nc, "VIRUS\n")
	}
	c := client(t, "unix", serve(t, "unix", first, echo(nil)), keep)
	if r, err := scan(t.Context(), c, nil); err != nil || r.Category != backends.OK {
		t.Fatal(r, err)
	}
	if r, err := scan(t.Context(), c, make([]byte, 8<<20)); err != nil || r.Category != backends.OK {
		t.Errorf("got %+v, %v for a clean object", r, err)
	}
}
