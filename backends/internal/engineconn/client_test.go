package engineconn

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
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

// asker returns a client of a simple protocol: the engine sends HELLO, and answers "Q"
// with lines up to ".".
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

// outcome shortens a result and an error to their categories: "encrypted+swerr".
func outcome(r backends.Result, err error) string {
	s := string(r.Category)
	if err != nil {
		s += "+" + string(backends.CategoryOf(err))
	}
	return s
}

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
	if r, err := c.ScanPath(t.Context(), o, talk); outcome(r, err) != "ok" {
		t.Errorf("got %+v, %v", r, err)
	}
	path := filepath.Join(t.TempDir(), "a b")
	os.WriteFile(path, []byte("x"), 0o600)
	_, err := c.ScanPath(t.Context(), backendtest.AtPath(o, path), talk)
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

// TestContextEnds ends the context in each step of a dialogue, with and without a cause.
func TestContextEnds(t *testing.T) {
	why := errors.New("the client closed the connection")
	limit := &backends.TimeoutError{After: time.Second, Key: "timeout"}
	big := make([]byte, 8<<20)
	for step, script := range map[string]backendtest.Script{
		"greeting":      {backendtest.Hang()},
		"sending":       {say("HELLO\n"), want("SCAN 8388608\n"), backendtest.Hang()},
		"reading":       {say("HELLO\n"), backendtest.Discard(int64(len(big)) + 13), backendtest.Hang()},
		"partial line":  {say("HELLO\n"), backendtest.Discard(int64(len(big)) + 13), say("CLE"), backendtest.Hang()},
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
				if outcome(r, err) != "+interrupted" || cause != nil && !errors.Is(err, cause) || backends.Unreachable(err) {
					t.Errorf("got %+v, %v", r, err)
				}
				backendtest.WantPlain(t, err)
			})
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	if _, err := asker(t, "unix:/missing").Scan(ctx, ask); outcome(backends.Result{}, err) != "+interrupted" || !errors.Is(err, why) {
		t.Errorf("already cancelled: %v", err)
	}
	short, cancelShort := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancelShort()
	_, err := asker(t, "unix:/missing").Scan(short, ask)
	if outcome(backends.Result{}, err) != "+interrupted" {
		t.Errorf("deadline already over: %v", err)
	}
	backendtest.WantPlain(t, err)
}
