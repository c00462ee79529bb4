package engineconn

import (
	"errors"
	"strings"
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/internal/engineconn/linetest"
)

func TestAnswers(t *testing.T) {
	for _, tt := range []struct{ reply, want string }{
		{"ok\n.\n", "ok"},
		{"ok\r\n.\r\n", "ok"},
		{".\n", "+swerr"},
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
		if got := outcome(r, err); got != tt.want {
			t.Errorf("%.60q: %s, want %s: %v", tt.reply, got, tt.want, err)
		}
		if err != nil && !strings.HasPrefix(err.Error(), "test "+d.Address()+": ") {
			t.Errorf("%.300v does not name the engine", err)
		}
		c.Close()
	}
}

// TestLineLimit checks that a line of 64 KiB is accepted, and a longer one is neither
// accepted nor held in memory.
func TestLineLimit(t *testing.T) {
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
		t.Errorf("one byte of two: %v", err)
	}
	if err := NewConn(linetest.Deaf("")).Fill(two); !errors.Is(err, backends.ErrNoReply) || strings.Contains(err.Error(), "EOF") {
		t.Errorf("no byte: %v", err)
	}
}

func TestGreeting(t *testing.T) {
	for reply, want := range map[string]string{"": "+cannot-execute", "HELL": "+swerr", "GO AWAY\n": "+swerr", "HELLO\nHELLO\n": "+swerr"} {
		d := backendtest.StartDaemon(t, "tcp", backendtest.Script{say(reply), backendtest.CloseWrite(), backendtest.Drain()})
		if r, err := asker(t, d.Address()).Scan(t.Context(), ask); outcome(r, err) != want {
			t.Errorf("%q: got %+v, %v", reply, r, err)
		}
	}
}
