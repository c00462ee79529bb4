package icap

import (
	"context"
	"io"
	"strings"
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
)

// TestSilence checks that a scan ends with its context although the server sends nothing
// or only a part of an answer.
func TestSilence(t *testing.T) {
	hangs := func(before string, reached func()) service {
		return func(nc io.Writer, q *received) bool {
			q.readBody()
			io.WriteString(nc, before)
			reached()
			io.Copy(io.Discard, q.br)
			return false
		}
	}
	t.Run("virus, then part of a page", func(t *testing.T) {
		f := startFake(t, map[string]service{"avscan": hangs(recordedFound[:len(recordedFound)-20], func() {})})
		if got := checked(t, open(t, f.address()), backendtest.Bytes(t, []byte(hello))); got.category != backends.Virus {
			t.Errorf("got %v", got)
		}
	})
	t.Run("virus, then an endless page", func(t *testing.T) {
		backendtest.NoLeaks(t)
		f := startFake(t, map[string]service{"avscan": func(nc io.Writer, q *received) bool {
			q.readBody()
			_, err := io.WriteString(nc, strings.TrimSuffix(recordedFound, "0\r\n\r\n"))
			for chunk := "1000\r\n" + strings.Repeat("x", 4096) + "\r\n"; err == nil; {
				_, err = io.WriteString(nc, chunk)
			}
			return false
		}})
		if got := checked(t, open(t, f.address()), backendtest.Bytes(t, []byte(hello))); got.category != backends.Virus {
			t.Errorf("got %v", got)
		}
	})
	g := backendtest.Together(t)
	defer g.Wait()
	for name, answer := range map[string]string{
		"nothing": "", "part of a status": "ICAP/1.0 20", "part of a header": "ICAP/1.0 204 OK\r\nX: y\r\n",
		"continue": "ICAP/1.0 100 Continue\r\n\r\n", "part of an echo": echo("", "27\r\nhello"),
		"echo without an end": echo("", "27\r\n"+hello+"\r\n"),
	} {
		g.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(backendtest.Context(t))
			defer cancel()
			reached, want := cancel, backends.Interrupted
			if name == "continue" {
				reached, want = func() {}, backends.SWErr // the client does not wait
			}
			f := startFake(t, map[string]service{"avscan": hangs(answer, reached)})
			b := open(t, f.address())
			r, err := b.Scan(ctx, backendtest.Bytes(t, []byte(hello)))
			if got := outcomeOf(r, err); got.category != want {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}
