package polyclam

import (
	"strings"
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/protocol"
	"polyclam/protocol/extended"
)

// FuzzRecords checks that any records are a result or a failure, and that it is ok only if
// the status line, the SUMMARY and an engine are.
func FuzzRecords(f *testing.F) {
	lines := func(s string) string { return strings.ReplaceAll(s, "\x00", "\n") }
	f.Add("OK", lines(okE+okS))
	f.Add("A FOUND", lines(strings.ReplaceAll(okE+okS, "category=ok", "category=virus")))
	f.Add("x ERROR", lines(strings.ReplaceAll(okE+okS, "category=ok", "category=swerr counts=no")))
	f.Add("OK", lines(okE+okS+okS))
	f.Fuzz(func(t *testing.T, line, text string) {
		reply, err := protocol.ParseReply("stream: "+line, protocol.ObjectStream)
		if err != nil {
			return
		}
		answer := protocol.ExtendedReply{Reply: reply}
		for l := range strings.SplitSeq(text, "\n") {
			if r, err := extended.Parse(l); err == nil {
				answer.Records = append(answer.Records, r)
			}
		}
		var a backends.Answer
		collect(&a, answer)
		r, err := a.Result()
		if err != nil && (!backends.CategoryOf(err).IsFailure() || r.Category == backends.OK) {
			t.Errorf("%q %q: %+v, %v", line, text, r, err)
		}
		if r.Category == "" {
			return
		}
		if problem := backendtest.Check(r); problem != "" {
			t.Errorf("%q %q: %+v: %s", line, text, r, problem)
		}
		if r.Category == backends.OK && (!reply.OK() || strings.Count(text, "category=ok") < 2) && !strings.Contains(text, `"`) {
			t.Errorf("%q %q is ok", line, text)
		}
	})
}
