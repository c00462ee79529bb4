package sophie

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/internal/engineconn"
	"polyclam/backends/internal/engineconn/linetest"
	"polyclam/backends/internal/texts"
)

// transcript is an answer without its line break, and the outcome wanted.
type transcript struct {
	reply    string
	result   backends.Result
	category backends.Category // of the error; empty: none
}

func transcripts() []transcript {
	none := backends.Result{}
	no := func(category backends.Category, detail string) backends.Result {
		return backends.Result{Category: category, Code: -1, Detail: detail}
	}
	return []transcript{
		{"0", backends.Clean(0), ""},
		{"0:", backends.Clean(0), ""},
		{"1:EICAR-AV-Test", backends.Found(1, "EICAR-AV-Test"), ""},
		{"1:W32/Klez H", backends.Found(1, "W32/Klez H"), ""},
		{"1:a:b", backends.Found(1, "a:b"), ""},
		{"1", backends.Found(1), ""},
		{"1:", backends.Found(1), ""},
		{"1:Heuristics.Encrypted.Zip", backends.Found(1, "Heuristics.Encrypted.Zip"), ""},
		{"1:\x1b[2J\xff", backends.Found(1, "\x1b[2J\xff"), ""},
		{"1:" + strings.Repeat("a", 60_000), backends.Found(1, strings.Repeat("a", 1024)), ""},
		{"-1:File was encrypted", no(backends.Encrypted, "File was encrypted"), ""},
		{"-1:Listed", no(backends.Partial, "Listed"), ""},
		// Words in other texts prove nothing.
		{"-1:virus data is corrupt", none, backends.SWErr},
		{"-1:virus data is encrypted", none, backends.SWErr},
		{"-1:file was encrypted", none, backends.SWErr},
		{"-1:File was encrypted.", none, backends.SWErr},
		{"-1: File was encrypted", none, backends.SWErr},
		{"-1:x: File was encrypted", none, backends.SWErr},
		{"-1:PASSWORD protected file", none, backends.SWErr},
		{"-1:File is corrupt", none, backends.SWErr},
		{"-1:Not supported", none, backends.SWErr},
		{"-1:File was compressed", none, backends.SWErr},
		{"-1:listed", none, backends.SWErr},
		{"-1:Could not open item", none, backends.SWErr},
		{"-1:Sweep failure", none, backends.SWErr},
		{"-1:", none, backends.SWErr},
		{"-1", none, backends.SWErr},
		{"", none, backends.SWErr},
		{"00", none, backends.SWErr},
		{"0:x", none, backends.SWErr},
		{"0 ", none, backends.SWErr},
		{" 0", none, backends.SWErr},
		{"0\r\r", none, backends.SWErr},
		{"+0", none, backends.SWErr},
		{"-0", none, backends.SWErr},
		{"10", none, backends.SWErr},
		{"10:x", none, backends.SWErr},
		{"-10:File was encrypted", none, backends.SWErr},
		{"2:x", none, backends.SWErr},
		{"1 x", none, backends.SWErr},
		{"OK", none, backends.SWErr},
		{"\xff garbage", none, backends.SWErr},
		{strings.Repeat("0", 1<<17), none, backends.SWErr},
	}
}

func (tr transcript) check(t *testing.T, script ...backendtest.Step) {
	t.Helper()
	d := backendtest.StartDaemon(t, "unix", append(backendtest.Script{path}, script...))
	r, err := open(t, d.Address(), transportAuto).Scan(backendtest.Context(t), x(t))
	if !reflect.DeepEqual(r, tr.result) {
		t.Errorf("got %.300v, want %.300v", r, tr.result)
	}
	if (err != nil) != (tr.category != "") || err != nil && backends.CategoryOf(err) != tr.category {
		t.Errorf("got %v, want %q", err, tr.category)
	}
	if err == nil && backendtest.Check(r) != "" {
		t.Error(backendtest.Check(r))
	}
}

func TestTranscripts(t *testing.T) {
	for _, tr := range transcripts() {
		for _, end := range []string{"\n", "\r\n", "\x00", "\n\x00", ""} {
			t.Run(fmt.Sprintf("%.40q", tr.reply+end), func(t *testing.T) {
				t.Parallel()
				tr := tr
				if tr.reply+end == "" {
					tr.category = backends.CannotExecute
				}
				tr.check(t, say(tr.reply+end), backendtest.Close())
				tr.check(t, say(tr.reply+end), backendtest.CloseWrite(), backendtest.Drain())
				if tr.reply+end == "" {
					return
				}
				tr.check(t, say(tr.reply+end), backendtest.Drain()) // kept until the client closes
				if len(tr.reply) < 100 {
					tr.check(t, backendtest.SendSplit(backendtest.Composed(tr.reply+end), 1), backendtest.Drain())
				}
			})
		}
	}
}

// TestAnswerEndsAtEveryByte checks that "1:NAME" or "-1:text" is never clean when it is cut
// off after any byte.
func TestAnswerEndsAtEveryByte(t *testing.T) {
	for _, reply := range []string{"1:EICAR-AV-Test\n", "-1:File was encrypted\n", "-1:Sweep failure\n"} {
		for n := range len(reply) {
			for _, end := range []backendtest.Step{backendtest.Close(), backendtest.Reset()} {
				d := backendtest.StartDaemon(t, "tcp", backendtest.Script{path, say(reply[:n]), end})
				r, err := open(t, d.Address(), transportPath).Scan(backendtest.Context(t), x(t))
				if err == nil && r.Category == backends.OK || err != nil && r.Category != "" {
					t.Errorf("%q: got %+v, %v", reply[:n], r, err)
				}
				if n == 0 && backends.CategoryOf(err) != backends.CannotExecute {
					t.Errorf("no byte: %v", err)
				}
			}
		}
	}
}

// TestMoreThanAnAnswer checks that a 0 followed by more output is not a clean verdict.
func TestMoreThanAnAnswer(t *testing.T) {
	for _, reply := range []string{"0\n1:EICAR-AV-Test\n", "0\x001", "0\n0\n", "0\n x", "0\n-1:x\n"} {
		transcript{category: backends.SWErr}.check(t, say(reply), backendtest.Drain())
	}
	for range 20 { // a second answer a moment later
		transcript{category: backends.SWErr}.check(t, say("0\n"), backendtest.Sleep(time.Millisecond), say("1:A\n"), backendtest.Drain())
	}
	transcript{result: backends.Found(1, "A")}.check(t, say("1:A\n0\n"), backendtest.Drain())
	// A daemon that keeps the connection open.
	transcript{result: backends.Clean(0)}.check(t, say("0\n"), backendtest.Hang())
}

// FuzzAnswer checks that every answer is a valid result or a failure, and that only a zero
// is OK.
func FuzzAnswer(f *testing.F) {
	for _, tr := range transcripts() {
		if len(tr.reply) < 300 {
			f.Add([]byte(tr.reply + "\n"))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var a backends.Answer
		b := &Backend{texts: texts.Keys{Partial: []string{"Listed"}}}
		a.Fail(b.readAnswer(engineconn.NewConn(linetest.Deaf(string(data))), &a))
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
		if clean := strings.TrimRight(string(data), "\r\n\x00"); r.Category == backends.OK && clean != "0" && clean != "0:" {
			t.Fatalf("OK for %q", data)
		}
	})
}
