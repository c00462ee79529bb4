package icap

import (
	"io"
	"strings"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
)

// TestSilence: a server that says nothing, or stops, holds nobody longer than ctx.
func TestSilence(t *testing.T) {
	hangs := func(before string) service {
		return func(nc io.Writer, q *received) bool {
			q.readBody()
			io.WriteString(nc, before)
			io.Copy(io.Discard, q.br)
			return false
		}
	}
	t.Run("virus, then half a page", func(t *testing.T) {
		f := startFake(t, map[string]service{"avscan": hangs(recordedFound[:len(recordedFound)-20])})
		if got := checked(t, open(t, f.address()), backendtest.Bytes(t, []byte(hello))); got.category != backends.Virus {
			t.Errorf("got %v", got)
		}
	})
	t.Run("virus, then pages without end", func(t *testing.T) {
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
	for name, s := range map[string]service{
		"nothing": hangs(""), "half a status": hangs("ICAP/1.0 20"), "half a header": hangs("ICAP/1.0 204 OK\r\nX: y\r\n"),
		"continue": hangs("ICAP/1.0 100 Continue\r\n\r\n"), "half an echo": hangs(echo("", "27\r\nhello")),
		"echo without an end": hangs(echo("", "27\r\n"+hello+"\r\n")),
	} {
		g.Run(name, func(t *testing.T) {
			f := startFake(t, map[string]service{"avscan": s})
			b := open(t, f.address())
			ctx, cancel := contextWithin(t, 500*time.Millisecond)
			defer cancel()
			r, err := b.Scan(ctx, backendtest.Bytes(t, []byte(hello)))
			want := backends.Interrupted
			if name == "continue" {
				want = backends.SWErr
			}
			if got := outcomeOf(r, err); got.category != want {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}
