package icap

import (
	"bufio"
	"net"
	"strings"
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
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
		r, err := replay(t, b, answer)
		if err != nil {
			if !backends.CategoryOf(err).IsFailure() {
				t.Errorf("%v is no failure", err)
			}
			return
		}
		if problem := backendtest.Check(r); problem != "" {
			t.Errorf("%+v: %s", r, problem)
		}
		if len(r.Detail) > maxDetail+100 {
			t.Errorf("a detail of %d bytes", len(r.Detail))
		}
		lower := strings.ToLower(answer)
		if r.Category == backends.OK && r.Code != 204 && !strings.Contains(lower, "no threats") && !strings.Contains(lower, "clean") {
			t.Errorf("ok, why? %+v", r)
		}
		if r.Category == backends.OK && r.Code == 204 && !strings.HasPrefix(answer, "ICAP/1.") {
			t.Errorf("ok, of what? %+v", r)
		}
	})
}

// replay judges an answer to a request that was sent whole.
func replay(t *testing.T, b *Backend, answer string) (backends.Result, error) {
	nc, other := net.Pipe()
	defer nc.Close()
	defer other.Close()
	q := &request{content: backendtest.Bytes(t, []byte(hello)), size: int64(len(hello)), preview: -1}
	x := &exchange{b: b, c: &conn{nc: nc, raw: nc, br: bufio.NewReader(strings.NewReader(answer)), got: 1}, q: q}
	x.s.whole.Store(true)
	x.s.done = make(chan struct{})
	close(x.s.done)
	h, status, err := x.answer()
	if err != nil {
		return backends.Result{}, err
	}
	return x.judge(h, status)
}

// FuzzOptions reads answers to OPTIONS.
func FuzzOptions(f *testing.F) {
	f.Add(recordedOptions)
	f.Add("ICAP/1.0 200 OK\r\nMethods: ,,RESPMOD ,\r\n\tREQMOD\r\nOptions-TTL: 0\r\nMax-Connections: 5\r\n\r\n")
	f.Fuzz(func(t *testing.T, answer string) {
		h, err := readHead(bufio.NewReader(strings.NewReader(answer)))
		if err != nil {
			return
		}
		o := parseOptions(&h)
		if o.preview < -1 || o.preview > maxPreview || o.ttl < minTTL || o.ttl > maxTTL || o.maxConnections < 0 || len(o.service) > maxText || len(o.istag) > maxText {
			t.Errorf("%+v", o)
		}
	})
}
