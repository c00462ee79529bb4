package clamd

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/internal/clamdclient/clamdfake"
	"polyclam/backends/testfile"
)

// replies are clamd's answers for each category.
var replies = map[backends.Category]string{
	backends.OK:         "OK",
	backends.Virus:      "Eicar-Test-Signature FOUND",
	backends.Suspicious: "Heuristics.OLE2.ContainsMacros FOUND",
	backends.Encrypted:  "Heuristics.Encrypted.Zip FOUND",
	backends.Partial:    "Heuristics.Limits.Exceeded.MaxFiles FOUND",
	backends.SWErr:      "Can't allocate memory ERROR",
}

// startFake starts a clamd that misbehaves and returns its address.
func startFake(t *testing.T, network string, m backendtest.Misbehaviour) string {
	t.Helper()
	say := func(c backends.Category) string { return clamdfake.Object + ": " + replies[c] }
	return clamdfake.Server{Misbehaviour: m, Network: network, Say: say}.Start(t)
}

// odd marks an object that gets the raw answer.
const odd = backendtest.MarkOdd

// openFor opens a backend with or without sessions.
func openFor(t *testing.T, address, transport string, sessions bool) *Backend {
	t.Helper()
	return backendtest.Open(t, NewConfig, address, func(c *Config) { c.Transport, c.Sessions = transport, sessions }).(*Backend)
}

// TestEarly checks that an answer before the end of the object counts only if it is a
// virus, something suspicious or the size limit.
func TestEarly(t *testing.T) {
	for _, tt := range []struct{ answer, want string }{
		{"stream: OK", "swerr"},
		{"stream: Eicar FOUND", "virus"},
		{"stream: Heuristics.OLE2.ContainsMacros FOUND", "suspicious"},
		{"stream: Heuristics.Encrypted.Zip FOUND", "swerr"},
		{"stream: Heuristics.Limits.Exceeded.MaxFiles FOUND", "swerr"},
		{"stream: (null) FOUND", "swerr"},
		{"stream: Can't parse data ERROR", "swerr"},
		{"stream: Can't allocate memory ERROR", "swerr"},
		{"INSTREAM size limit exceeded. ERROR", "partial"},
	} {
		for _, sessions := range []bool{true, false} {
			for _, size := range []int{5 << 20, 20 << 20} {
				b := openFor(t, startFake(t, "unix", backendtest.Misbehaviour{Odd: tt.answer, Early: true}), transportStream, sessions)
				big := backendtest.Bytes(t, append([]byte(odd), make([]byte, size)...))
				for i, o := range []*backendtest.Object{big, backendtest.CleanObject(t), big} {
					want := tt.want
					if i == 1 {
						want = "ok"
					}
					if r, err := b.Scan(backendtest.Context(t), o); categories(r, err) != want {
						t.Errorf("%q, sessions %v, %d bytes: got %+v, %v, want %s", tt.answer, sessions, size, r, err, want)
					}
				}
			}
		}
	}
}

// TestRepeatedAnswers repeats each answer 45 or 60 ms later. TestRules has shorter times.
func TestRepeatedAnswers(t *testing.T) {
	g := backendtest.Together(t)
	defer g.Wait()
	for _, repeat := range []time.Duration{45, 60} {
		for _, sessions := range []bool{true, false} {
			b := openFor(t, startFake(t, "unix", backendtest.Misbehaviour{Repeat: repeat * time.Millisecond}), transportStream, sessions)
			g.Go(func() {
				failed := 0
				for i := range 300 {
					o, want := backendtest.Bytes(t, fmt.Appendf(nil, "clean %d", i)), backends.OK
					if i%2 == 1 {
						o, want = backendtest.Bytes(t, testfile.EICAR()), backends.Virus
					}
					r, err := b.Scan(backendtest.Context(t), o)
					switch {
					case err != nil:
						failed++
					case r.Category != want:
						t.Errorf("%d ms, sessions %v, object %d: got %+v, want %s", repeat, sessions, i, r, want)
					}
				}
				if failed > 100 {
					t.Errorf("%d ms, sessions %v: %d failures", repeat, sessions, failed)
				}
			})
		}
	}
}

// TestReasons checks that an error names the engine and node once, and has a hint.
func TestReasons(t *testing.T) {
	address := startFake(t, "unix", backendtest.Misbehaviour{Odd: "stream: Can't create temporary file ERROR"})
	object := backendtest.Bytes(t, []byte(odd))
	gone := backendtest.Missing(t)
	silent := backendtest.StartDaemon(t, "unix", backendtest.Script{backendtest.Drain()}).Address()
	for _, tt := range []struct{ address, want string }{
		{address, ": Can't create temporary file (check TemporaryDirectory in clamd.conf: its free space and its owner)"},
		{gone, ": cannot connect: the socket does not exist. Is the engine running, and the key address right?"},
		{silent, ": waiting for the reply: no answer within 500ms (key timeout)"},
	} {
		for _, sessions := range []bool{true, false} {
			ctx := backendtest.Context(t)
			if tt.address == silent {
				var cancel func()
				ctx, cancel = context.WithTimeoutCause(ctx, 500*time.Millisecond, &backends.TimeoutError{After: 500 * time.Millisecond, Key: "timeout"})
				defer cancel()
			}
			_, err := openFor(t, tt.address, transportStream, sessions).Scan(ctx, object)
			if got, want := fmt.Sprint(err), "clamd "+tt.address+tt.want; got != want {
				t.Errorf("sessions %v: got  %s\nwant %s", sessions, got, want)
			}
		}
	}
	early := startFake(t, "unix", backendtest.Misbehaviour{Odd: "stream: OK", Early: true})
	_, err := openFor(t, early, transportStream, true).Scan(backendtest.Context(t), backendtest.Bytes(t, append([]byte(odd), make([]byte, 5<<20)...)))
	if got, want := fmt.Sprint(err), "clamd "+early+": answered OK before it had received the whole object"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	b := openFor(t, gone, transportStream, true)
	if err := b.Reload(backendtest.Context(t)); err == nil || strings.Count(err.Error(), gone) != 1 {
		t.Errorf("reload: %v", err)
	}
	if _, err := b.Version(backendtest.Context(t)); err == nil || strings.Count(err.Error(), gone) != 1 {
		t.Errorf("version: %v", err)
	}
}
