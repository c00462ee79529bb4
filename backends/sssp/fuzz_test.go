package sssp

import (
	"strings"
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/internal/engineconn"
	"polyclam/backends/internal/engineconn/linetest"
)

// FuzzAnswer checks that every answer is a valid result or a failure, and that only an
// answer that says OK and nothing else is OK.
func FuzzAnswer(f *testing.F) {
	for _, tr := range transcripts() {
		if len(tr.reply) < 300 {
			f.Add([]byte(tr.reply))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var a backends.Answer
		conn := engineconn.NewConn(linetest.Deaf(string(data)))
		a.Fail(refused(conn, &a, readAnswer(requestData, conn.Line, &a)))
		r, err := a.Result()
		if err != nil {
			if r.Category == backends.OK || !backends.CategoryOf(err).IsFailure() {
				t.Fatalf("%+v and %v", r, err)
			}
			return
		}
		if problem := backendtest.Check(r); problem != "" {
			t.Fatalf("%+v: %s", r, problem)
		}
		text := "\n" + strings.ReplaceAll(string(data), "\r\n", "\n")
		if r.Category != backends.OK {
			return
		}
		if !strings.Contains(text, "\nDONE OK 0000") && !strings.Contains(text, "\nDONE OK 021E") && !strings.Contains(text, "\nDONE OK 021e") {
			t.Fatalf("OK without DONE OK")
		}
		block, _, _ := strings.Cut(text, "\n\n")
		for _, bad := range []string{"\nVIRUS", "\nFAIL", "\nREJ", "\nDONE FAIL", "\nOK 0203", "\nDONE OK 0203", "\nEVENT VIRUS "} {
			if strings.Contains(block+"\n", bad) {
				t.Fatalf("OK with %q", bad)
			}
		}
	})
}
