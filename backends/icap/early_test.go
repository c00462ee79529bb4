package icap

import (
	"fmt"
	"io"
	"io/fs"
	"sync/atomic"
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
)

// early answers before it has read the whole body, when the first bytes are there.
func early(answer string, goOn bool) service {
	return func(nc io.Writer, q *received) bool {
		q.br.Discard(100)
		io.WriteString(nc, answer)
		if goOn {
			io.Copy(io.Discard, q.br)
		}
		return false
	}
}

// TestEarlyAnswer: what was said before the whole content was there is not about the
// whole content.
func TestEarlyAnswer(t *testing.T) {
	c := backendtest.LargeContent(t, 16<<20)
	for _, tt := range []struct {
		name   string
		answer string
		want   []backends.Category // any of them
	}{
		{"204", recorded204, []backends.Category{backends.Partial}},
		{"virus", recordedFound, []backends.Category{backends.Virus}},
		{"encrypted", found("Heuristics.Encrypted.Zip"), []backends.Category{backends.Encrypted}},
		{"403 page", page("", "403 Forbidden", ""), []backends.Category{backends.Virus}},
		{"another content", echo("", "3\r\nabc\r\n0\r\n\r\n"), []backends.Category{backends.Suspicious}},
		{"no content", echo("", "0\r\n\r\n"), []backends.Category{backends.SWErr}},
		{"ICAP 403", "ICAP/1.0 403 Forbidden\r\n\r\n", []backends.Category{backends.SWErr}},
		{"503", "ICAP/1.0 503 Busy\r\nConnection: close\r\n\r\n", []backends.Category{backends.CannotExecute}},
	} {
		for _, goOn := range []bool{true, false} {
			t.Run(fmt.Sprint(tt.name, " ", goOn), func(t *testing.T) {
				backendtest.NoLeaks(t)
				f := startFake(t, map[string]service{"avscan": early(tt.answer, goOn)})
				b := open(t, f.address(), func(c *Config) { c.EchoIs = echoOK })
				got := checked(t, b, c)
				// A server that closes with bytes unread resets: the answer may be lost.
				lost := !goOn && got.category.IsFailure()
				if got.category != tt.want[0] && !lost {
					t.Errorf("got %v, want %v", got, tt.want)
				}
			})
		}
	}
}

// TestEarlyEcho: a server that sends back what it gets while it gets it has not
// scanned it, whatever echo_is says.
func TestEarlyEcho(t *testing.T) {
	stream := func(nc io.Writer, q *received) bool {
		io.WriteString(nc, echo("X-Virus-ID: no threats\r\n", ""))
		// The body goes back as it comes, in its chunks.
		for {
			line, err := q.br.ReadString('\n')
			if err != nil {
				return false
			}
			io.WriteString(nc, line)
			var n int64
			fmt.Sscanf(line, "%x", &n)
			if _, err := io.CopyN(nc, q.br, n+2); err != nil || n == 0 {
				return err == nil
			}
		}
	}
	f := startFake(t, map[string]service{"avscan": stream})
	b := open(t, f.address(), func(c *Config) { c.EchoIs = echoOK })
	got := checked(t, b, backendtest.LargeContent(t, 8<<20))
	if got.category != backends.Partial {
		t.Errorf("got %v", got)
	}
}

// TestEchoCannotBeCompared: a content that cannot be read a second time is our own
// failure.
func TestEchoCannotBeCompared(t *testing.T) {
	f := startFake(t, map[string]service{"avscan": says(echo("", whole))})
	b := open(t, f.address(), func(c *Config) { c.EchoIs = echoOK })
	c := &onceOnly{Content: backendtest.Bytes(t, []byte(hello))}
	if got := checked(t, b, c); got.category != backends.SWErr {
		t.Errorf("got %v", got)
	}
}

// onceOnly is gone when it has been read.
type onceOnly struct {
	*backendtest.Content
	read atomic.Bool
}

func (c *onceOnly) ReadAt(p []byte, off int64) (int, error) {
	if c.read.Swap(true) {
		return 0, fs.ErrNotExist
	}
	return c.Content.ReadAt(p, off)
}
