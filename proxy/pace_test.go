package proxy

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"polyclam/test/testkit"
)

// drip sends one byte at a time until the other end closes the connection.
func drip(nc net.Conn, bytes string, pause time.Duration) {
	for i := range len(bytes) {
		if _, err := io.WriteString(nc, bytes[i:i+1]); err != nil {
			return
		}
		time.Sleep(pause)
	}
}

// TestSlowClients checks that a client that sends too slowly gets the reply of a read
// timeout, however regularly it sends, and that the log names the key.
func TestSlowClients(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	const pause = 2 * time.Second // longer than any between two bytes, or it is a read timeout
	for _, test := range []struct {
		name   string
		change func(*Limits)
		begin  string
		reason string // in the log; empty: no log line
	}{
		{"rate", func(l *Limits) { l.ReadTimeout, l.StreamMinRate = pause, 10000 },
			"zINSTREAM\x00\x00\x10\x00\x00", "stream_min_rate"},
		{"time", func(l *Limits) { l.StreamMaxTime = 200 * time.Millisecond },
			"zINSTREAM\x00\x00\x10\x00\x00", "stream_max_time"},
		{"rate in a session", func(l *Limits) { l.ReadTimeout, l.StreamMinRate = pause, 10000 },
			"zIDSESSION\x00zINSTREAM\x00\x00\x10\x00\x00", "stream_min_rate"},
		{"command", func(l *Limits) { l.CommandReadTimeout = 200 * time.Millisecond }, "z", ""},
		{"command of a session", func(l *Limits) { l.ReadTimeout = 200 * time.Millisecond }, "zIDSESSION\x00z", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			ts := newServer(t, func(c *Config) { test.change(&c.Limits) }, eicarOnly())
			nc := ts.dial()
			io.WriteString(nc, test.begin)
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				drip(nc, long, 10*time.Millisecond)
			}()
			if got := readRecord(t, nc, '\n'); got != "COMMAND READ TIMED OUT" {
				t.Errorf("got %q", got)
			}
			nc.Close()
			<-sent
			testkit.Eventually(t, "the session ends", func() bool { return idleSessions(0)(ts) })
			if log := ts.log.String(); !strings.Contains(log, test.reason) || test.reason == "" && log != "" {
				t.Errorf("log: %s", log)
			}
		})
	}
}
