package proxy

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"polyclam/test/testkit"
)

// drip sends one byte after the other until the other end has had enough.
func drip(nc net.Conn, bytes string, pause time.Duration) {
	for i := range len(bytes) {
		if _, err := io.WriteString(nc, bytes[i:i+1]); err != nil {
			return
		}
		time.Sleep(pause)
	}
}

// A client that sends too slowly is cut off in the words of a read timeout, however
// regularly its bytes come, and the log says which key did it.
func TestSlowClients(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	for _, test := range []struct {
		name   string
		change func(*Limits)
		begin  string
		reason string // in the log; empty: no line
	}{
		{"rate", func(l *Limits) { l.ReadTimeout, l.StreamMinRate = 200*time.Millisecond, 10000 },
			"zINSTREAM\x00\x00\x10\x00\x00", "stream_min_rate"},
		{"time", func(l *Limits) { l.StreamMaxTime = 200 * time.Millisecond },
			"zINSTREAM\x00\x00\x10\x00\x00", "stream_max_time"},
		{"rate in a session", func(l *Limits) { l.ReadTimeout, l.StreamMinRate = 200*time.Millisecond, 10000 },
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
			testkit.Eventually(t, "the end", func() bool { return idleSessions(0)(ts) })
			if log := ts.log.String(); !strings.Contains(log, test.reason) || test.reason == "" && log != "" {
				t.Errorf("the log: %s", log)
			}
		})
	}
}
