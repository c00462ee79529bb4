package icap

import (
	"strings"
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/internal/engineconn"
	"polyclam/backends/internal/engineconn/linetest"
)

// FuzzAnswer parses answers to a scan of hello. Every result must be valid, and only a 204
// or an echo with a clean verdict may be OK.
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
				t.Errorf("%v is not a failure", err)
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
				t.Errorf("OK with %v", err)
			case r.Code == 204 && (!whole || !strings.HasPrefix(answer, "ICAP/1.")):
				t.Errorf("OK for a preview or another protocol: %+v", r)
			case r.Code != 204 && !strings.Contains(lower, "no threats") && !strings.Contains(lower, "clean"):
				t.Errorf("OK without a reason: %+v", r)
			}
		}
	})
}

// replay parses an answer to a whole object or to a preview.
func replay(b *Backend, answer string, whole bool) (backends.Result, error) {
	c := engineconn.NewConn(linetest.Deaf(answer))
	size := int64(len(hello))
	x := &exchange{b: b, c: c, q: &request{object: strings.NewReader(hello), size: size, preview: -1}, seen: size}
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

// FuzzOptions parses answers to OPTIONS.
func FuzzOptions(f *testing.F) {
	f.Add(recordedOptions)
	f.Add("ICAP/1.0 200 OK\r\nMethods: ,,RESPMOD ,\r\n\tREQMOD\r\nOptions-TTL: 0\r\nMax-Connections: 5\r\n\r\n")
	f.Fuzz(func(t *testing.T, answer string) {
		h, err := readHead(engineconn.NewConn(linetest.Deaf(answer)))
		if err != nil {
			return
		}
		o := parseOptions(&h)
		if o.preview < -1 || o.preview > maxPreview || o.ttl < minTTL || o.ttl > maxTTL || o.maxConnections < 0 || len(o.service) > maxText || len(o.istag) > maxText {
			t.Errorf("%+v", o)
		}
	})
}
