package engineconn

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/internal/engineconn/linetest"
)

var (
	say  = func(s string) backendtest.Step { return backendtest.Send(backendtest.Composed(s)) }
	want = func(s string) backendtest.Step { return backendtest.Want(backendtest.Composed(s)) }
)

// asker is a client of a protocol of the tests' own: the engine says HELLO, and answers
// "Q" with lines up to ".".
func asker(t *testing.T, address string) *Client {
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
	c.Bye, c.Keep = "BYE\n", true
	c.Open()
	t.Cleanup(func() { c.Close() })
	return c
}

func ask(conn *Conn, a *backends.Answer) error {
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
			a.Found(backends.Virus, 1, text[1:], text)
		default:
			a.Add(backends.Category(text), 2, text)
		}
	}
}

// said is what an outcome says in short: "encrypted+swerr".
func said(r backends.Result, err error) string {
	s := string(r.Category)
	if err != nil {
		s += "+" + string(backends.CategoryOf(err))
	}
	return s
}

func TestAnswers(t *testing.T) {
	for _, tt := range []struct{ reply, want string }{
		{"ok\n.\n", "ok"},
		{"ok\r\n.\r\n", "ok"},
		{".\n", "+swerr"}, // it says nothing
		{"ok\nencrypted\nok\n.\n", "encrypted"},
		{"ok\n!X\n.\n", "virus"},
		{"!X\nswerr\n.\n", "virus+swerr"},
		{"encrypted\ninterrupted\n.\n", "encrypted+interrupted"},
		{"nonsense\n.\n", "+swerr"},
		{"interrupted\n.\n", "+interrupted"},
		{"", "+cannot-execute"},
		{"o", "+swerr"},
		{"ok\n", "+swerr"},
		{"ok\n.", "+swerr"},
		{"encrypted\n", "encrypted+swerr"},
		{"!X\n", "virus+swerr"},
		{"!X", "+swerr"},
		{"ok\n.\nok\n.\n", "+swerr"},
		{"ok\n.\nx", "+swerr"},
		{"!X\n.\nok\n.\n", "virus+swerr"},
		{strings.Repeat("A", maxLine) + "\n.\n", "+swerr"},
		{strings.Repeat("A", maxLine+1) + "\n.\n", "+swerr"},
		{strings.Repeat("A", 4*maxLine), "+swerr"},
		{strings.Repeat("\n", maxLines+2), "+swerr"},
		{strings.Repeat("ok\n", maxLines-1) + ".\n", "ok"},
		{strings.Repeat("ok\n", maxLines) + ".\n", "+swerr"},
	} {
		backendtest.NoLeaks(t)
		d := backendtest.StartDaemon(t, "unix", backendtest.Script{say("HELLO\n"), want("Q\n"), say(tt.reply), backendtest.CloseWrite(), backendtest.Drain()})
		c := asker(t, d.Address())
		r, err := c.Scan(t.Context(), ask)
		if got := said(r, err); got != tt.want {
			t.Errorf("%.60q: %s, want %s: %v", tt.reply, got, tt.want, err)
		}
		if err != nil && !strings.HasPrefix(err.Error(), "test "+d.Address()+": ") {
			t.Errorf("%.300v does not name the engine", err)
		}
		c.Close()
	}
}

// TestLineBound: a line of 64 KiB is one, a longer one is not, and is not kept.
func TestLineBound(t *testing.T) {
	for n, ok := range map[int]bool{0: true, maxLine - 1: true, maxLine: true, maxLine + 1: false, 10 * maxLine: false} {
		for _, end := range []string{"\n", ""} {
			conn := NewConn(linetest.Deaf(strings.Repeat("A", n) + end))
			line, err := conn.Line()
			if (err == nil) != (ok && end != "") || err == nil && len(line) != n || len(line) > maxLine {
				t.Errorf("%d bytes and %q: %d bytes, %.100v", n, end, len(line), err)
			}
		}
	}
}

func TestUntilAndFill(t *testing.T) {
	conn := NewConn(linetest.Deaf("a\x00b\nc\r\nd"))
	for _, want := range []string{"a", "b", "c\r"} {
		if got, err := conn.Until("\n\x00"); got != want || err != nil {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
	}
	if got, err := conn.Until("\n"); got != "d" || !IsHangup(err) {
		t.Errorf("%q, %v", got, err)
	}
	conn = NewConn(linetest.Deaf("abc"))
	two := make([]byte, 2)
	if err := conn.Fill(two); err != nil || string(two) != "ab" {
		t.Errorf("%q, %v", two, err)
	}
	if err := conn.Fill(two); !IsHangup(err) || errors.Is(err, backends.ErrNoReply) || strings.Contains(err.Error(), "EOF") {
		t.Errorf("a byte of two: %v", err)
	}
	if err := NewConn(linetest.Deaf("")).Fill(two); !errors.Is(err, backends.ErrNoReply) || strings.Contains(err.Error(), "EOF") {
		t.Errorf("nothing: %v", err)
	}
}

func TestGreeting(t *testing.T) {
	for reply, want := range map[string]string{"": "+cannot-execute", "HELL": "+swerr", "GO AWAY\n": "+swerr", "HELLO\nHELLO\n": "+swerr"} {
		d := backendtest.StartDaemon(t, "tcp", backendtest.Script{say(reply), backendtest.CloseWrite(), backendtest.Drain()})
		if r, err := asker(t, d.Address()).Scan(t.Context(), ask); said(r, err) != want {
			t.Errorf("%q: got %+v, %v", reply, r, err)
		}
	}
}

func TestKept(t *testing.T) {
	d := backendtest.StartDaemon(t, "unix", backendtest.Script{say("HELLO\n"), want("Q\n"), say("ok\n.\n"), want("Q\n"), say("!X\n.\n"), want("BYE\n"), backendtest.Drain()})
	c := asker(t, d.Address())
	for _, want := range []string{"ok", "virus"} {
		if r, err := c.Scan(t.Context(), ask); said(r, err) != want {
			t.Errorf("got %+v, %v", r, err)
		}
	}
	c.Close()
	c.Close()
	if n := d.Connections(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// TestLate: a scan after Close gets its own connection, which is not kept.
func TestLate(t *testing.T) {
	backendtest.NoLeaks(t)
	d := backendtest.StartDaemon(t, "unix", backendtest.Script{say("HELLO\n"), want("Q\n"), say("ok\n.\n"), want("BYE\n"), backendtest.Drain()})
	c := asker(t, d.Address())
	c.Close()
	for range 2 {
		if r, err := c.Scan(t.Context(), ask); said(r, err) != "ok" {
			t.Errorf("got %+v, %v", r, err)
		}
	}
	if n := d.Connections(); n != 2 || c.Idle() != 0 {
		t.Errorf("%d connections, %d kept", n, c.Idle())
	}
}

// TestDead: a kept connection that is dead or not silent is replaced, once.
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
			first := append(backendtest.Script{say("HELLO\n"), want("Q\n"), say("ok\n.\n"), backendtest.Wait(idle)}, end[0])
			if strings.Contains(name, "asked") {
				close(ended)
			} else {
				first = append(first, func(*backendtest.Session) error { close(ended); return nil })
			}
			d := backendtest.StartDaemon(t, "tcp", append(first, end[1:]...), backendtest.Script{say("HELLO\n"), want("Q\n"), say("!X\n.\n"), backendtest.Drain()})
			c := asker(t, d.Address())
			if r, err := c.Scan(t.Context(), ask); said(r, err) != "ok" {
				t.Fatalf("first: %+v, %v", r, err)
			}
			close(idle)
			<-ended
			if r, err := c.Scan(t.Context(), ask); said(r, err) != "virus" || d.Connections() != 2 {
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
	if r, err := c.Scan(t.Context(), ask); !errors.Is(err, backends.ErrNoReply) || d.Connections() != 2 {
		t.Errorf("got %+v, %v, %d connections", r, err, d.Connections())
	}
}

// TestIrregularIsNotKept: after more than one answer, a broken one, or a failure of the
// dialogue the next request has a new connection.
func TestIrregularIsNotKept(t *testing.T) {
	for _, reply := range []string{"!X\n.\nok\n.\n", "!X\n.\nx", "!X\n" + strings.Repeat("A", maxLine+1) + "\n.\n"} {
		d := backendtest.StartDaemon(t, "unix",
			backendtest.Script{say("HELLO\n"), want("Q\n"), say(reply), backendtest.Drain()},
			backendtest.Script{say("HELLO\n"), want("Q\n"), say("ok\n.\n"), backendtest.Drain()})
		c := asker(t, d.Address())
		for _, want := range []string{"virus+swerr", "ok"} {
			if r, err := c.Scan(t.Context(), ask); said(r, err) != want {
				t.Errorf("%.20q: got %+v, %v", reply, r, err)
			}
		}
	}
}

// TestAsk: a kept connection is not asked about the same thing twice, and an answer to
// something else is asked for again.
func TestAsk(t *testing.T) {
	d := backendtest.StartDaemon(t, "unix", backendtest.Script{linetest.Serve("", '\n', func(command string, _ io.Reader) (string, bool) { return command + "\n", false })})
	c := client(t, "unix", strings.TrimPrefix(d.Address(), "unix:"), keep)
	scan := func(subject string, unrelated int) {
		t.Helper()
		runs := 0
		r, err := c.Scan(t.Context(), func(conn *Conn, a *backends.Answer) error {
			if runs++; runs <= unrelated {
				return conn.Unrelated(errors.New("something else"))
			}
			if err := conn.Ask(subject); err != nil {
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
		if said(r, err) != "ok" {
			t.Errorf("%s: %+v, %v", subject, r, err)
		}
	}
	for i, tt := range []struct {
		subject     string
		unrelated   int
		connections int
	}{{"a", 0, 1}, {"b", 0, 1}, {"a", 0, 2}, {"b", 0, 2}, {"c", 1, 3}, {"d", 0, 3}} {
		if scan(tt.subject, tt.unrelated); d.Connections() != tt.connections {
			t.Errorf("scan %d: %d connections, want %d", i, d.Connections(), tt.connections)
		}
	}
	conn := NewConn(linetest.Deaf(""))
	if err := errors.New("x"); conn.Unrelated(err) != err {
		t.Error("unrelated on a new connection")
	}
	for i := range maxAsked {
		if err := conn.Ask(fmt.Sprint(i)); err != nil || conn.spoiled != (i == maxAsked-1) {
			t.Fatalf("%d: %v, spoiled %v", i, err, conn.spoiled)
		}
	}
}

// odd is an object with a path that is not plain.
type odd struct {
	*backendtest.Object
	path string
}

func (o odd) Path() (string, error) { return o.path, nil }

func TestScanPath(t *testing.T) {
	c := client(t, "unix", serve(t, "unix", func(nc net.Conn) { bufio.NewReader(nc).ReadString('\n'); io.WriteString(nc, "ok\n") }), nil)
	o := backendtest.Bytes(t, []byte("x"))
	talk := func(conn *Conn, a *backends.Answer, path string) error {
		if data, err := os.ReadFile(path); err != nil || string(data) != "x" {
			t.Errorf("%q: %q, %v", path, data, err)
		}
		conn.Command("Q\n")
		line, err := conn.Line()
		a.Add(backends.Category(line), 0, "")
		return err
	}
	if r, err := c.ScanPath(t.Context(), o, talk); said(r, err) != "ok" {
		t.Errorf("got %+v, %v", r, err)
	}
	path := filepath.Join(t.TempDir(), "a b")
	os.WriteFile(path, []byte("x"), 0o600)
	_, err := c.ScanPath(t.Context(), odd{o, path}, talk)
	if !errors.As(err, new(*backends.ObjectError)) || backends.Unreachable(err) || !strings.HasPrefix(err.Error(), "test unix:") {
		t.Errorf("got %v", err)
	}
}

func TestDoOnce(t *testing.T) {
	d := backendtest.StartDaemon(t, "unix", backendtest.Script{say("HELLO\n"), want("Q\n"), say("one\n"), backendtest.Drain()})
	c := asker(t, d.Address())
	for range 2 {
		var got string
		err := c.DoOnce(t.Context(), nil, func(conn *Conn) error {
			hello, err := conn.Line()
			if err == nil {
				err = conn.Command("Q\n")
			}
			if err == nil {
				got, err = conn.Line()
			}
			got = hello + got
			return err
		})
		if err != nil || got != "HELLOone" || c.Idle() != 0 {
			t.Errorf("%q, %v", got, err)
		}
	}
	if n := d.Connections(); n != 2 {
		t.Errorf("%d connections", n)
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

// goesWords are those that no operator should read.
var goesWords = []string{"context deadline", "context canceled", "i/o timeout", "use of closed", "EOF", "unexpected EOF"}

func plain(t *testing.T, err error) {
	t.Helper()
	for _, w := range goesWords {
		if err == nil || strings.Contains(err.Error(), w) {
			t.Errorf("%v", err)
		}
	}
}

// TestContextEnds: in each step of a dialogue, cancelled or out of time, with a reason
// or without.
func TestContextEnds(t *testing.T) {
	why := errors.New("the client has gone")
	limit := &backends.TimeoutError{After: time.Second, Key: "timeout"}
	big := make([]byte, 8<<20)
	for step, script := range map[string]backendtest.Script{
		"greeting":      {backendtest.Hang()},
		"sending":       {say("HELLO\n"), want("SCAN 8388608\n"), backendtest.Hang()},
		"reading":       {say("HELLO\n"), backendtest.Discard(int64(len(big)) + 13), backendtest.Hang()},
		"half a line":   {say("HELLO\n"), backendtest.Discard(int64(len(big)) + 13), say("CLE"), backendtest.Hang()},
		"never reading": {say("HELLO\n"), backendtest.Hang()},
	} {
		for reason, cause := range map[string]error{"cancelled": nil, "why": why, "limit": limit} {
			t.Run(step+" "+reason, func(t *testing.T) {
				backendtest.NoLeaks(t)
				reached := make(chan struct{})
				hangs := append(append(backendtest.Script{}, script[:len(script)-1]...), func(*backendtest.Session) error { close(reached); return nil }, backendtest.Hang())
				d := backendtest.StartDaemon(t, "unix", hangs)
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				go func() {
					<-reached
					cancel(cause)
				}()
				r, err := scan(ctx, asker(t, d.Address()), big)
				if said(r, err) != "+interrupted" || cause != nil && !errors.Is(err, cause) || backends.Unreachable(err) {
					t.Errorf("got %+v, %v", r, err)
				}
				plain(t, err)
			})
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	if _, err := asker(t, "unix:/missing").Scan(ctx, ask); said(backends.Result{}, err) != "+interrupted" || !errors.Is(err, why) {
		t.Errorf("ended before: %v", err)
	}
	short, cancelShort := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancelShort()
	_, err := asker(t, "unix:/missing").Scan(short, ask)
	if said(backends.Result{}, err) != "+interrupted" {
		t.Errorf("out of time before: %v", err)
	}
	plain(t, err)
}
