package backendtest

import (
	"context"
	"strings"
	"testing"
	"time"

	"polyclam/backends"
)

// erratic plays engines that violate the protocol. Every scan must return an error.
func (s *suite) erratic(t *testing.T) {
	network := s.opts.Network
	if network == "" {
		network = "unix"
	}
	g := Together(t)
	defer g.Wait()
	g.Run("missing", func(t *testing.T) {
		s.wantFailure(t, Missing(t), time.Minute, backends.NotInstalled)
	})
	g.Run("refusing", func(t *testing.T) {
		s.wantFailure(t, Refusing(t, network), time.Minute, backends.CannotExecute)
	})
	for _, c := range s.erraticScripts() {
		g.Run(c.name, func(t *testing.T) {
			d := StartDaemon(t, network, c.script)
			s.wantFailure(t, d.Address(), c.timeout, c.want)
		})
	}
}

// erraticScript is one way to break the protocol. All of them are composed.
type erraticScript struct {
	name    string
	script  Script
	timeout time.Duration
	want    backends.Category // empty: any failure
}

func (s *suite) erraticScripts() []erraticScript {
	const long, short = time.Minute, maxConnectTime / 16
	garbage := Composed("\x00\xff%s garbage: \r\n\r\n")
	script := func(steps ...Step) Script {
		if s.opts.Greeting == "" {
			return steps
		}
		return append(Script{Send(Composed(s.opts.Greeting))}, steps...)
	}
	cases := []erraticScript{
		{"closes immediately", Script{Close()}, long, ""},
		{"closes after a byte", script(Discard(1), Close()), long, ""},
		{"resets after a byte", script(Discard(1), Reset()), long, ""},
		{"garbage first", Script{Send(garbage), CloseWrite(), Drain()}, long, ""},
		{"garbage", script(Discard(1), Send(garbage), CloseWrite(), Drain()), long, ""},
		{"blank lines", script(Discard(1), Send(Composed("\r\n\r\n\n\n\x00\x00")), CloseWrite(), Drain()), long, ""},
		{"endless line", script(Discard(1), Flood(Composed(strings.Repeat("A", 4096)))), 2 * time.Second, ""},
		{"endless lines", script(Discard(1), Flood(Composed(strings.Repeat("OKAY\n", 512)))), 2 * time.Second, ""},
		{"silent", script(Drain(), Hang()), short, backends.Interrupted},
		{"never reads", script(Hang()), short, backends.Interrupted},
	}
	for _, w := range s.opts.Half {
		cases = append(cases, erraticScript{"half " + w.String(), script(Discard(1), Send(w), CloseWrite(), Drain()), long, ""})
	}
	return cases
}

// maxConnectTime is how long connecting to a silent engine may take on a busy machine.
const maxConnectTime = 2 * time.Second

// wantFailure scans twice, so that it also tries a kept connection.
func (s *suite) wantFailure(t *testing.T, address string, timeout time.Duration, want backends.Category) {
	t.Helper()
	b := s.opts.Dial(t, address)
	closeAfter(t, b)
	o := LargeObject(t, 1<<20)
	for range 2 {
		err := failure(t, b, o, timeout)
		// The time ran out before there was a connection, which proves nothing.
		for want == backends.Interrupted && backends.CategoryOf(err) == backends.CannotExecute && timeout < maxConnectTime {
			timeout *= 2
			err = failure(t, b, o, timeout)
		}
		if got := backends.CategoryOf(err); !got.IsFailure() || want != "" && got != want {
			t.Fatalf("%v is %v, want %v", err, got, want)
		}
	}
}

// failure scans and wants an error.
func failure(t *testing.T, b backends.Backend, o backends.Object, timeout time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	r, err, ok := scanWithin(ctx, b, o)
	if !ok {
		t.Fatal("the scan does not return")
	}
	if err == nil {
		t.Fatalf("a result from an erratic engine: %+v", r)
	}
	WantPlain(t, err)
	return err
}
