package wire

import (
	"strings"
	"testing"

	"polyclam/backends/internal/engineconn"
	"polyclam/backends/internal/engineconn/linetest"
)

// FuzzResponse checks that every accepted answer is of limited length and has a status.
func FuzzResponse(f *testing.F) {
	for _, s := range []string{
		ok, ok + ok, "HTTP/1.0 200 OK\r\n\r\nOK", "HTTP/1.1 100 Continue\r\n\r\n" + ok, "HTTP/1.1 204 No Content\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nO\r\n1;x=y\r\nK\r\n0\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nOK",
	} {
		f.Add(s)
	}
	const maxBody = 100
	f.Fuzz(func(t *testing.T, answer string) {
		c := engineconn.NewConn(linetest.Deaf(answer))
		r, err := receive(c, "POST", maxBody)
		switch {
		case err != nil:
			if len(err.Error()) > 1000 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
		case r.Status < 200 || r.Status > 999 || len(r.Body) > maxBody || len(r.more) > 100:
			t.Errorf("%q is %+v", answer, r)
		case !strings.HasPrefix(answer, "HTTP/"):
			t.Errorf("%q is accepted: %+v", answer, r)
		}
	})
}
