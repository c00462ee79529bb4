package drwebd

import (
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/internal/engineconn"
	"polyclam/backends/internal/engineconn/linetest"
)

// FuzzAnswer checks that every answer is a valid result or a failure, and that only a clean
// rc without names is OK.
func FuzzAnswer(f *testing.F) {
	for _, o := range outcomes() {
		if len(o.reply) < 1000 {
			f.Add(o.reply)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		var a backends.Answer
		conn := engineconn.NewConn(linetest.Deaf(text))
		a.Fail(readAnswer(conn, &a, ""))
		r, err := a.Result()
		if err != nil {
			if !backends.CategoryOf(err).IsFailure() || r.Category == backends.OK {
				t.Errorf("%q: %+v, %v", text, r, err)
			}
			return
		}
		if problem := backendtest.Check(r); problem != "" {
			t.Errorf("%q: %+v: %s", text, r, problem)
		}
		if r.Category == backends.OK && (r.Code&^0x130000 != 0 || text[4:8] != numbers(0)) {
			t.Errorf("%q is ok", text)
		}
	})
}
