package line

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
)

var (
	say  = func(s string) backendtest.Step { return backendtest.Send(backendtest.Composed(s)) }
	want = func(s string) backendtest.Step { return backendtest.Want(backendtest.Composed(s)) }
)

// client is for a protocol of the test's own: "HELLO" is greeted, "Q" is answered
// by lines up to ".".
func client(t *testing.T, address string) *Client {
	t.Helper()
	c, err := New("test", "unix:/s", address, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	c.Hello = func(conn *Conn) error {
		text, err := conn.Line()
		if err == nil && text != "HELLO" {
			err = errors.New("no greeting")
		}
		return err
	}
	c.Bye = "BYE\n"
	c.Keep(true)
	t.Cleanup(func() { c.Close() })
	return c
}

func ask(conn *Conn, t *Tally) error {
	if err := conn.Command("Q\n"); err != nil {
		return err
	}
	for {
		text, err := conn.Line()
		switch {
		case err != nil:
			return err
		case text == ".":
			return nil
		case strings.HasPrefix(text, "!"):
			t.Found(backends.Virus, 1, text[1:], text)
		default:
			t.Add(backends.Category(text), 2, text)
		}
	}
}

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func category(r backends.Result, err error) backends.Category {
	if err != nil {
		return backends.CategoryOf(err)
	}
	return r.Category
}

func TestAnswers(t *testing.T) {
	for _, tt := range []struct {
		reply string
		want  backends.Category
	}{
		{"ok\n.\n", backends.OK},
		{"ok\r\n.\r\n", backends.OK},
		{".\n", backends.SWErr}, // nothing was said
		{"ok\nencrypted\nok\n.\n", backends.Encrypted},
		{"ok\n!X\n.\n", backends.Virus},
		{"!X\nswerr\n.\n", backends.Virus},
		{"nonsense\n.\n", backends.SWErr},
		{"interrupted\n.\n", backends.Interrupted},
		{"", backends.CannotExecute},
		{"o", backends.SWErr},
		{"ok\n", backends.SWErr},
		{"ok\n.", backends.SWErr},
		{"suspicious\nencrypted\n", backends.SWErr}, // they do not stand without an end
		{"!X\n", backends.Virus},
		{"!X", backends.SWErr},
		{"!X\nok", backends.Virus},
		{"ok\n.\nok\n.\n", backends.SWErr},
		{"ok\n.\nx", backends.SWErr},
		{"!X\n.\nok\n.\n", backends.Virus},
		{"!Heuristics.Encrypted.Zip\n", backends.SWErr}, // not a virus by its name
		{strings.Repeat("A", maxLine) + "\n.\n", backends.SWErr},
		{strings.Repeat("A", 4*maxLine), backends.SWErr},
		{strings.Repeat("\n", maxLines+2), backends.SWErr},
		{strings.Repeat("ok\n", maxLines-1) + ".\n", backends.OK},
		{strings.Repeat("ok\n", maxLines) + ".\n", backends.SWErr},
	} {
		backendtest.NoLeaks(t)
		d := backendtest.StartDaemon(t, "unix", backendtest.Script{say("HELLO\n"), want("Q\n"), say(tt.reply), backendtest.CloseWrite(), backendtest.Drain()})
		c := client(t, d.Address())
		r, err := c.Scan(testContext(t), ask)
		if got := category(r, err); got != tt.want {
			t.Errorf("%.60q: got %+v, %v", tt.reply, r, err)
		}
		if err != nil && !strings.HasPrefix(err.Error(), "test "+d.Address()+": ") {
			t.Errorf("%v does not name the engine", err)
		}
		c.Close()
	}
}

func TestGreeting(t *testing.T) {
	for reply, want := range map[string]backends.Category{"": backends.CannotExecute, "HELL": backends.SWErr, "GO AWAY\n": backends.SWErr} {
		d := backendtest.StartDaemon(t, "tcp", backendtest.Script{say(reply), backendtest.CloseWrite(), backendtest.Drain()})
		if r, err := client(t, d.Address()).Scan(testContext(t), ask); category(r, err) != want || err == nil {
			t.Errorf("%q: got %+v, %v", reply, r, err)
		}
	}
}

func TestKept(t *testing.T) {
	turn := backendtest.Script{want("Q\n"), say("ok\n.\n"), want("Q\n"), say("!X\n.\n")}
	d := backendtest.StartDaemon(t, "unix", append(append(backendtest.Script{say("HELLO\n")}, turn...), want("BYE\n"), backendtest.Drain()))
	c, ctx := client(t, d.Address()), testContext(t)
	for _, want := range []backends.Category{backends.OK, backends.Virus} {
		if r, err := c.Scan(ctx, ask); category(r, err) != want {
			t.Errorf("got %+v, %v", r, err)
		}
	}
	c.Close()
	c.Close()
	if n := d.Connections(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// TestLate: a scan after Close gets a connection of its own, which is not kept.
func TestLate(t *testing.T) {
	backendtest.NoLeaks(t)
	d := backendtest.StartDaemon(t, "unix", backendtest.Script{say("HELLO\n"), want("Q\n"), say("ok\n.\n"), want("BYE\n"), backendtest.Drain()})
	c := client(t, d.Address())
	c.Close()
	for range 2 {
		if r, err := c.Scan(testContext(t), ask); err != nil || r.Category != backends.OK {
			t.Errorf("got %+v, %v", r, err)
		}
	}
	if n := d.Connections(); n != 2 {
		t.Errorf("%d connections", n)
	}
}

// TestDead: a kept connection that is dead or not quiet is replaced, once.
func TestDead(t *testing.T) {
	for name, end := range map[string]backendtest.Script{
		"closed":         {backendtest.Close()},
		"reset":          {backendtest.Reset()},
		"closed, asked":  {backendtest.Discard(1), backendtest.Close()},
		"reset, asked":   {want("Q\n"), backendtest.Reset()},
		"says something": {say("ok\n.\n"), backendtest.Drain()},
	} {
		t.Run(name, func(t *testing.T) {
			backendtest.NoLeaks(t)
			idle, ended := make(chan struct{}), make(chan struct{})
			first := append(backendtest.Script{say("HELLO\n"), want("Q\n"), say("ok\n.\n"), backendtest.Wait(idle)}, end...)
			asked := strings.Contains(name, "asked")
			if !asked {
				n := len(first) - len(end) + 1
				first = append(append(append(backendtest.Script{}, first[:n]...), func(*backendtest.Session) error { close(ended); return nil }), first[n:]...)
			}
			d := backendtest.StartDaemon(t, "tcp", first, backendtest.Script{say("HELLO\n"), want("Q\n"), say("!X\n.\n"), backendtest.Drain()})
			c := client(t, d.Address())
			if r, err := c.Scan(testContext(t), ask); category(r, err) != backends.OK {
				t.Fatalf("first: %+v, %v", r, err)
			}
			close(idle)
			if !asked {
				<-ended
			}
			if r, err := c.Scan(testContext(t), ask); category(r, err) != backends.Virus {
				t.Errorf("second: %+v, %v", r, err)
			}
			if n := d.Connections(); n != 2 {
				t.Errorf("%d connections", n)
			}
		})
	}
}

func TestDeadTwice(t *testing.T) {
	d := backendtest.StartDaemon(t, "unix",
		backendtest.Script{say("HELLO\n"), want("Q\n"), say("ok\n.\n"), backendtest.Discard(1), backendtest.Close()},
		backendtest.Script{say("HELLO\n"), want("Q\n"), backendtest.Close()})
	c := client(t, d.Address())
	if _, err := c.Scan(testContext(t), ask); err != nil {
		t.Fatal(err)
	}
	if r, err := c.Scan(testContext(t), ask); !errors.Is(err, backends.ErrNoReply) {
		t.Errorf("got %+v, %v", r, err)
	}
	if n := d.Connections(); n != 2 {
		t.Errorf("%d connections", n)
	}
}

func TestIrregularIsNotKept(t *testing.T) {
	d := backendtest.StartDaemon(t, "unix",
		backendtest.Script{say("HELLO\n"), want("Q\n"), say("!X\n.\nok\n.\n"), backendtest.Drain()},
		backendtest.Script{say("HELLO\n"), want("Q\n"), say("ok\n.\n"), backendtest.Drain()})
	c := client(t, d.Address())
	for _, want := range []backends.Category{backends.Virus, backends.OK} {
		if r, err := c.Scan(testContext(t), ask); category(r, err) != want {
			t.Errorf("got %+v, %v", r, err)
		}
	}
}

func TestContextEnds(t *testing.T) {
	backendtest.NoLeaks(t)
	d := backendtest.StartDaemon(t, "unix", backendtest.Script{say("HELLO\n"), want("Q\n"), say("ok\n"), backendtest.Hang()})
	c := client(t, d.Address())
	why := errors.New("why")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(20*time.Millisecond, func() { cancel(why) })
	if r, err := c.Scan(ctx, ask); category(r, err) != backends.Interrupted || err == nil {
		t.Errorf("got %+v, %v", r, err)
	}
	if _, err := c.Scan(ctx, ask); category(backends.Result{}, err) != backends.Interrupted || !errors.Is(err, why) {
		t.Errorf("ended before: %v", err)
	}
	if n := d.Connections(); n != 1 {
		t.Errorf("%d connections", n)
	}
	short, cancelShort := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancelShort()
	if _, err := c.Scan(short, ask); category(backends.Result{}, err) != backends.Interrupted {
		t.Errorf("deadline: %v", err)
	}
}

func TestReap(t *testing.T) {
	d := backendtest.StartDaemon(t, "unix", backendtest.Script{say("HELLO\n"), want("Q\n"), say("ok\n.\n"), backendtest.Drain()})
	c := client(t, d.Address())
	if _, err := c.Scan(testContext(t), ask); err != nil {
		t.Fatal(err)
	}
	c.pool.Reap(time.Now())
	if c.pool.Len() != 1 {
		t.Error("reaped too soon")
	}
	c.pool.Reap(time.Now().Add(maxIdle))
	if c.pool.Len() != 0 {
		t.Error("not reaped")
	}
}

func TestNew(t *testing.T) {
	for _, tt := range []struct {
		address string
		timeout time.Duration
		want    []string
	}{
		{"", time.Second, []string{"address", "unix:/s"}},
		{"/s", time.Second, []string{"unix:"}},
		{"unix:/s", 0, []string{"connect_timeout"}},
		{"nonsense", -1, []string{"nonsense", "connect_timeout"}},
	} {
		c, err := New("test", "unix:/s", tt.address, tt.timeout)
		if err == nil || c != nil {
			t.Errorf("%q: no error", tt.address)
			continue
		}
		for _, part := range tt.want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q: %q is not in %v", tt.address, part, err)
			}
		}
	}
}
