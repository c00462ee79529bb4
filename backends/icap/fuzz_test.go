package icap

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/internal/engineconn"
)

// FuzzAnswer reads answers to a scan of hello as Scan does. Whatever comes: no
// panic, no result that is none, and ok only for a 204, or an echo that says clean.
func FuzzAnswer(f *testing.F) {
	for _, tt := range transcripts() {
		if len(tt.answer.Text) < 8<<10 {
			f.Add(tt.answer.Text)
		}
	}
	config := NewConfig().(*Config)
	opened, err := config.Open("tcp:127.0.0.1:1")
	if err != nil {
		f.Fatal(err)
	}
	b := opened.(*Backend)
	f.Fuzz(func(t *testing.T, answer string) {
		for _, whole := range []bool{true, false} {
			r, err := replay(b, answer, whole)
			if err != nil && !backends.CategoryOf(err).IsFailure() {
				t.Errorf("%v is no failure", err)
			}
			if r.Category == "" {
				continue
			}
			if problem := backendtest.Check(r); problem != "" {
				t.Errorf("%+v: %s", r, problem)
			}
			if r.Category != backends.OK {
				continue
			}
			lower := strings.ToLower(answer)
			switch {
			case err != nil:
				t.Errorf("ok beside %v", err)
			case r.Code == 204 && (!whole || !strings.HasPrefix(answer, "ICAP/1.")):
				t.Errorf("ok, of what? %+v", r)
			case r.Code != 204 && !strings.Contains(lower, "no threats") && !strings.Contains(lower, "clean"):
				t.Errorf("ok, why? %+v", r)
			}
		}
	})
}

// text is a connection on which only this comes.
type text struct {
	net.Conn
	r io.Reader
}

func (t text) Read(p []byte) (int, error)       { return t.r.Read(p) }
func (t text) Write(p []byte) (int, error)      { return len(p), nil }
func (t text) Close() error                     { return nil }
func (t text) SetWriteDeadline(time.Time) error { return nil }

// replay judges an answer to a request that was sent whole, or to a preview.
func replay(b *Backend, answer string, whole bool) (backends.Result, error) {
	c := engineconn.NewConn(text{r: strings.NewReader(answer)})
	size := int64(len(hello))
	x := &exchange{b: b, c: c, q: &request{content: strings.NewReader(hello), size: size, preview: -1}, seen: size}
	if !whole {
		x.seen = 10
	}
	var a backends.Answer
	x.v = verdict{answer: &a, errorCodes: b.errorCodes}
	h, status, err := readStatus(c)
	if err == nil {
		err = x.judge(&h, status)
	}
	a.Fail(err)
	return a.Result()
}

// FuzzOptions reads answers to OPTIONS.
func FuzzOptions(f *testing.F) {
	f.Add(recordedOptions)
	f.Add("ICAP/1.0 200 OK\r\nMethods: ,,RESPMOD ,\r\n\tREQMOD\r\nOptions-TTL: 0\r\nMax-Connections: 5\r\n\r\n")
	f.Fuzz(func(t *testing.T, answer string) {
		h, err := readHead(engineconn.NewConn(text{r: strings.NewReader(answer)}))
		if err != nil {
			return
		}
		o := parseOptions(&h)
		if o.preview < -1 || o.preview > maxPreview || o.ttl < minTTL || o.ttl > maxTTL || o.maxConnections < 0 || len(o.service) > maxText || len(o.istag) > maxText {
			t.Errorf("%+v", o)
		}
	})
}
