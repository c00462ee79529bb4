package clamd

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
)

// odd marks an object that gets a fakeClamd's raw answer.
const odd = "X-FAKE-ODD"

// fakeClamd speaks clamd's protocol, streams only. It answers as [backendtest.Marked]
// says, but for an object that begins with odd it sends raw, either early (after the
// first bytes of the object) or in time. With again it repeats each answer up to 60 ms
// later.
type fakeClamd struct {
	raw   string
	early bool
	again bool
}

// start returns the fake's address.
func (f fakeClamd) start(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { defer nc.Close(); f.serve(nc) })
		}
	})
	t.Cleanup(func() { ln.Close(); wg.Wait() })
	return "unix:" + ln.Addr().String()
}

func (f fakeClamd) serve(nc net.Conn) {
	r := bufio.NewReader(nc)
	var late sync.WaitGroup
	defer late.Wait()
	session := false
	for id := 0; ; {
		command, err := r.ReadString(0)
		switch {
		case err != nil, command == "zEND\x00":
			return
		case command == "zIDSESSION\x00":
			session = true
			continue
		}
		id++
		prefix := ""
		if session {
			prefix = fmt.Sprintf("%d: ", id)
		}
		answer := []byte(prefix + f.answer(r, func(text string) { io.WriteString(nc, prefix+text+"\x00") }) + "\x00")
		if len(answer) > len(prefix)+1 {
			nc.Write(answer)
		}
		if f.again {
			pause := []time.Duration{0, time.Millisecond / 10, time.Millisecond, 20 * time.Millisecond, 45 * time.Millisecond, 60 * time.Millisecond}[rand.IntN(6)]
			late.Add(1)
			time.AfterFunc(pause, func() { defer late.Done(); nc.Write(answer) })
		}
		if !session {
			return
		}
	}
}

// answer reads an object and returns what to say of it, nothing if that was said.
func (f fakeClamd) answer(r io.Reader, say func(string)) string {
	var data []byte
	said := false
	for {
		var head [4]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return ""
		}
		n := binary.BigEndian.Uint32(head[:])
		if n == 0 {
			break
		}
		for n > 0 {
			piece := make([]byte, min(n, 4<<10))
			if _, err := io.ReadFull(r, piece); err != nil {
				return ""
			}
			data, n = append(data, piece...), n-uint32(len(piece))
			if f.early && !said && bytes.HasPrefix(data, []byte(odd)) {
				say(f.raw)
				said = true
			}
		}
	}
	switch {
	case said:
		return ""
	case f.raw != "" && bytes.HasPrefix(data, []byte(odd)):
		return f.raw
	}
	switch backendtest.Marked(data) {
	case backends.Virus:
		return "stream: Eicar-Test-Signature FOUND"
	case backends.Encrypted:
		return "stream: Heuristics.Encrypted.Zip FOUND"
	case backends.SWErr:
		return "stream: Can't allocate memory ERROR"
	}
	return "stream: OK"
}

// openFor opens a backend for the fake, with sessions or without.
func openFor(t *testing.T, address string, sessions bool) *Backend {
	t.Helper()
	config := NewConfig().(*Config)
	config.Transport, config.Sessions = transportStream, sessions
	b, err := config.Open(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.(*Backend).Close() })
	return b.(*Backend)
}

// TestEarly: an answer that clamd sends before it has the whole object is a virus, a
// failure or its own size limit.
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
				b := openFor(t, fakeClamd{raw: tt.answer, early: true}.start(t), sessions)
				big := backendtest.Bytes(t, append([]byte(odd), make([]byte, size)...))
				for i, c := range []*backendtest.Content{big, backendtest.CleanContent(t), big} {
					want := tt.want
					if i == 1 {
						want = "ok"
					}
					if r, err := b.Scan(testContext(t), c); categories(r, err) != want {
						t.Errorf("%q, sessions %v, %d bytes: got %+v, %v, want %s", tt.answer, sessions, size, r, err, want)
					}
				}
			}
		}
	}
}

// TestRepeatedAnswers: a clamd that repeats each answer makes no infected object ok and
// no clean one found.
func TestRepeatedAnswers(t *testing.T) {
	for _, sessions := range []bool{true, false} {
		b := openFor(t, fakeClamd{again: true}.start(t), sessions)
		failed := 0
		for i := range 300 {
			c, want := backendtest.Bytes(t, fmt.Appendf(nil, "clean %d", i)), backends.OK
			if i%2 == 1 {
				c, want = backendtest.Bytes(t, backendtest.EICAR()), backends.Virus
			}
			r, err := b.Scan(testContext(t), c)
			switch {
			case err != nil:
				failed++
			case r.Category != want:
				t.Errorf("sessions %v, object %d: got %+v, want %s", sessions, i, r, want)
			}
		}
		t.Logf("sessions %v: 300 objects, %d failures", sessions, failed)
		if failed > 100 {
			t.Errorf("sessions %v: %d failures", sessions, failed)
		}
	}
}

// TestReasons: an error names engine and node once, and says what to do.
func TestReasons(t *testing.T) {
	address := fakeClamd{raw: "stream: Can't create temporary file ERROR"}.start(t)
	object := backendtest.Bytes(t, []byte(odd))
	gone := backendtest.Missing(t)
	silent := backendtest.StartDaemon(t, "unix", backendtest.Script{backendtest.Drain()}).Address()
	for _, tt := range []struct{ address, want string }{
		{address, ": Can't create temporary file (check TemporaryDirectory in clamd.conf: its free space and its owner)"},
		{gone, ": connecting: connect: no such file or directory"},
		{silent, ": waiting for the reply: no answer within 20ms (key timeout)"},
	} {
		for _, sessions := range []bool{true, false} {
			ctx := testContext(t)
			if tt.address == silent {
				var cancel func()
				ctx, cancel = context.WithTimeoutCause(ctx, 20*time.Millisecond, &backends.TimeoutError{After: 20 * time.Millisecond, Key: "timeout"})
				defer cancel()
			}
			_, err := openFor(t, tt.address, sessions).Scan(ctx, object)
			if got, want := fmt.Sprint(err), "clamd "+tt.address+tt.want; got != want {
				t.Errorf("sessions %v: got  %s\nwant %s", sessions, got, want)
			}
		}
	}
	early := fakeClamd{raw: "stream: OK", early: true}.start(t)
	_, err := openFor(t, early, true).Scan(testContext(t), backendtest.Bytes(t, append([]byte(odd), make([]byte, 5<<20)...)))
	if got, want := fmt.Sprint(err), "clamd "+early+": answered OK before it had received the whole object"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	b := openFor(t, gone, true)
	if err := b.Reload(testContext(t)); err == nil || strings.Count(err.Error(), gone) != 1 {
		t.Errorf("reload: %v", err)
	}
	if _, err := b.Version(testContext(t)); err == nil || strings.Count(err.Error(), gone) != 1 {
		t.Errorf("version: %v", err)
	}
}
