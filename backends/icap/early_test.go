package icap

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"sync/atomic"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
)

// early answers after the first bytes of the body.
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

// TestEarlyAnswer checks that an answer before the end of the object may only mean virus,
// suspicious, or an object that is too large.
func TestEarlyAnswer(t *testing.T) {
	o := backendtest.LargeObject(t, 16<<20)
	passed := fmt.Sprintf("1000\r\n%s\r\n", o.Data()[:4096])
	for _, tt := range []struct {
		name   string
		answer string
		want   backends.Category
	}{
		{"204", recorded204, backends.SWErr},
		{"204, no threats", "ICAP/1.0 204 OK\r\nX-Virus-ID: no threats\r\n\r\n", backends.SWErr},
		{"204 with an error code", "ICAP/1.0 204 OK\r\nX-Error-Code: password_protected\r\n\r\n", backends.SWErr},
		{"virus", recordedFound, backends.Virus},
		{"encrypted", found("Heuristics.Encrypted.Zip"), backends.SWErr},
		{"limits", found("Heuristics.Limits.Exceeded.MaxFileSize"), backends.SWErr},
		{"macros", found("Heuristics.OLE2.ContainsMacros"), backends.Suspicious},
		{"403 page", page("", "403 Forbidden", ""), backends.Virus},
		{"401 page", page("", "401 Unauthorized", ""), backends.CannotExecute},
		{"another object", echo("", "3\r\nabc\r\n0\r\n\r\n"), backends.Suspicious},
		{"no object", echo("", "0\r\n\r\n"), backends.SWErr},
		{"object", echo("", passed), backends.Partial},
		{"beginning of the object", echo("", passed[:6+100]), backends.SWErr},
		{"413", "ICAP/1.0 413 Too large\r\n\r\n", backends.Partial},
		{"500 with an error code", "ICAP/1.0 500 E\r\nX-Error-Code: decode_error\r\n\r\n", backends.SWErr},
		{"ICAP 403", "ICAP/1.0 403 Forbidden\r\n\r\n", backends.SWErr},
		{"503", "ICAP/1.0 503 Busy\r\nConnection: close\r\n\r\n", backends.CannotExecute},
	} {
		for _, goOn := range []bool{true, false} {
			t.Run(fmt.Sprint(tt.name, " ", goOn), func(t *testing.T) {
				backendtest.NoLeaks(t)
				f := startFake(t, map[string]service{"avscan": early(tt.answer, goOn)})
				within := time.Minute
				if tt.name == "beginning of the object" {
					within = time.Second // the end never arrives
				}
				ctx, cancel := context.WithTimeout(t.Context(), within)
				defer cancel()
				r, err := open(t, f.address(), keeps).Scan(ctx, o)
				got := outcomeOf(r, err)
				// A server that closes with unread bytes resets the connection, and the answer may be lost.
				lost := !goOn && got.category.IsFailure()
				// The scan waits for the end of the object.
				waited := got.category == backends.Interrupted && tt.name == "beginning of the object"
				if got.category != tt.want && !lost && !waited {
					t.Errorf("got %v, want %v (%v)", got, tt.want, err)
				}
			})
		}
	}
}

// TestEarlyEcho plays a server that sends the object back while it receives it, so it has
// not scanned it. This is never OK, and a failure if echo_is says that an echo is clean.
func TestEarlyEcho(t *testing.T) {
	stream := func(fields string) service {
		return func(nc io.Writer, q *received) bool {
			io.WriteString(nc, echo(fields, ""))
			// Send each chunk of the body back.
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
	}
	for _, tt := range []struct {
		echoIs, options, fields string
		want                    backends.Category
	}{
		{echoPartial, recordedOptions, "", backends.Partial},
		{echoPartial, without204, "X-Virus-ID: no threats\r\n", backends.Partial},
		{echoOK, recordedOptions, "", backends.Partial}, // echo_is has no effect
		{echoOK, without204, "", backends.SWErr},
		{echoOK, without204, "X-Virus-ID: no threats\r\n", backends.SWErr},
	} {
		f := startFake(t, map[string]service{"options": says(tt.options), "avscan": stream(tt.fields)})
		b := open(t, f.address(), func(c *Config) { c.EchoIs = tt.echoIs })
		if got := checked(t, b, backendtest.LargeObject(t, 8<<20)); got.category != tt.want {
			t.Errorf("%s: got %v, want %v", tt.echoIs, got, tt.want)
		}
	}
}

// TestEchoCannotBeCompared plays an echo of an object that cannot be read again.
func TestEchoCannotBeCompared(t *testing.T) {
	f := startFake(t, map[string]service{"avscan": says(echo("", whole))})
	b := open(t, f.address())
	c := &onceOnly{Object: backendtest.Bytes(t, []byte(hello))}
	if got := checked(t, b, c); got.category != backends.SWErr {
		t.Errorf("got %v", got)
	}
}

// onceOnly is an object that can be read only once.
type onceOnly struct {
	*backendtest.Object
	read atomic.Bool
}

func (c *onceOnly) ReadAt(p []byte, off int64) (int, error) {
	if c.read.Swap(true) {
		return 0, fs.ErrNotExist
	}
	return c.Object.ReadAt(p, off)
}
