package sssp

import (
	"bufio"
	"bytes"
	"strings"
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
)

// FuzzAnswer: whatever comes, there is a result or an error, and OK is said only of
// an answer that says it and nothing else.
func FuzzAnswer(f *testing.F) {
	for _, tr := range transcripts() {
		if len(tr.reply) < 300 {
			f.Add([]byte(tr.reply))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c := &conn{r: bufio.NewReader(bytes.NewReader(data))}
		a, err := readAnswer(requestData, c.line)
		r, err := c.conclude(a, err, false)
		if err != nil {
			if r.Category != "" || !backends.CategoryOf(err).IsFailure() {
				t.Fatalf("%+v and %v", r, err)
			}
			return
		}
		if problem := backendtest.Check(r); problem != "" || len(r.Detail) > maxDetail {
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
				t.Fatalf("OK in spite of %q", bad)
			}
		}
	})
}
