package clamd

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/protocol"
)

// TestAnswers plays the whole answer table.
func TestAnswers(t *testing.T) {
	virus := func(name string, c backends.Category) backends.Result {
		return backends.Result{Category: c, Code: 1, Findings: []backends.Finding{{Name: name, Category: c}}}
	}
	partial := func(text string) backends.Result {
		return backends.Result{Category: backends.Partial, Code: backends.NoCode, Detail: text}
	}
	tests := []struct {
		reply    string
		result   backends.Result
		category backends.Category // of the error; empty: none
	}{
		{"1: stream: OK\x00", backends.Clean(0), ""},
		{"1: stream: Eicar-Test-Signature FOUND\x00", virus("Eicar-Test-Signature", backends.Virus), ""},
		{"1: stream: X.UNOFFICIAL FOUND\x00", virus("X.UNOFFICIAL", backends.Virus), ""},
		{"1: stream: X(44d88612fea8a8f36de82e1278abb02f:68) FOUND\x00", virus("X", backends.Virus), ""},
		{"1: stream: Heuristics.Encrypted.Zip FOUND\x00", virus("Heuristics.Encrypted.Zip", backends.Encrypted), ""},
		{"1: stream: Heuristics.Limits.Exceeded.MaxFiles FOUND\x00", virus("Heuristics.Limits.Exceeded.MaxFiles", backends.Partial), ""},
		{"1: stream: Heuristics.OLE2.ContainsMacros.VBA FOUND\x00", virus("Heuristics.OLE2.ContainsMacros.VBA", backends.Suspicious), ""},
		{"1: stream: (null) FOUND\x00", backends.Result{Category: backends.Partial, Code: 1, Detail: noNameText}, ""},
		{"1: stream: Heuristics.Limits.Exceeded FOUND\x00", virus("Heuristics.Limits.Exceeded", backends.Partial), ""},
		// Names that only look like the heuristics above are viruses.
		{"1: stream: Heuristics.Encrypted.Zip.UNOFFICIAL FOUND\x00", virus("Heuristics.Encrypted.Zip.UNOFFICIAL", backends.Virus), ""},
		{"1: stream: Heuristics.Limits.Exceeded.UNOFFICIAL FOUND\x00", virus("Heuristics.Limits.Exceeded.UNOFFICIAL", backends.Virus), ""},
		{"1: stream: Heuristics.Limits.ExceededX FOUND\x00", virus("Heuristics.Limits.ExceededX", backends.Virus), ""},
		{"1: stream: Heuristics.Encrypter FOUND\x00", virus("Heuristics.Encrypter", backends.Virus), ""},
		{"1: stream: Win.Ransom.FileEncrypted.Zip FOUND\x00", virus("Win.Ransom.FileEncrypted.Zip", backends.Virus), ""},
		{"1: stream: Trojan.Password-Protected FOUND\x00", virus("Trojan.Password-Protected", backends.Virus), ""},
		{"1: stream: (null).A FOUND\x00", virus("(null).A", backends.Virus), ""},
		{"1: INSTREAM size limit exceeded. ERROR\x00", partial("INSTREAM size limit exceeded."), ""},
		{"INSTREAM size limit exceeded. ERROR\x00", backends.Result{}, backends.SWErr}, // no id
		{"1: stream: Bad format or broken data ERROR\x00", partial("Bad format or broken data"), ""},
		{"1: stream: Can't parse data ERROR\x00", partial("Can't parse data"), ""},
		{"1: stream: Can't unpack some data ERROR\x00", partial("Can't unpack some data"), ""},
		{"1: stream: CL_EMAXREC ERROR\x00", partial("CL_EMAXREC"), ""},
		{"1: stream: Can't parse data, the database is broken ERROR\x00", backends.Result{}, backends.SWErr},
		{"1: stream: Malformed database ERROR\x00", backends.Result{}, backends.SWErr},
		{"1: stream: Can't read file ERROR\x00", backends.Result{}, backends.SWErr},
		{"1: stream: Exceeded max scan size ERROR\x00", partial("Exceeded max scan size"), ""},
		{"1: stream: Exceeded max scan files ERROR\x00", partial("Exceeded max scan files"), ""},
		{"1: stream: Exceeded max recursion depth ERROR\x00", partial("Exceeded max recursion depth"), ""},
		{"1: stream: Exceeded time limit ERROR\x00", backends.Result{}, backends.Interrupted},
		{"COMMAND READ TIMED OUT\n", backends.Result{}, backends.Interrupted},
		{"1: read timeout ERROR\x00", backends.Result{}, backends.Interrupted},
		{"1: stream: Can't allocate memory ERROR\x00", backends.Result{}, backends.SWErr},
		{"1: stream: Can't create temporary file ERROR\x00", backends.Result{}, backends.SWErr},
		{"1: Error writing to temporary file ERROR\x00", backends.Result{}, backends.SWErr},
		{"1: stream: Something quite new ERROR\x00", backends.Result{}, backends.SWErr},
		{"1: UNKNOWN COMMAND\x00", backends.Result{}, backends.SWErr},
		{"UNKNOWN COMMAND\x00", backends.Result{}, backends.SWErr},
		{"1: COMMAND UNAVAILABLE\x00", backends.Result{}, backends.SWErr},
		{"1: Command invalid inside IDSESSION. ERROR\x00", backends.Result{}, backends.SWErr},
		{"1: stream: Excluded\x00", backends.Result{}, backends.SWErr},
		{"1: stream: code=2/category=encrypted/action=ok OK\x00", backends.Result{}, backends.SWErr},
		{"1: stream: OK\n", backends.Result{}, backends.SWErr},
		{"1: stream: OK", backends.Result{}, backends.SWErr},
		{"1: stream: OK\x001: stream: OK\x00", backends.Result{}, backends.SWErr},
		{"1: stream: OK\x00x", backends.Result{}, backends.SWErr},
		{"1: stream: Not supported file type ERROR\x001: stream: OK\x00", backends.Result{}, backends.SWErr},
		{"1: stream: ok\x00", backends.Result{}, backends.SWErr},
		{"1: stream: OK \x00", backends.Result{}, backends.SWErr},
		{"1: OK\x00", backends.Result{}, backends.SWErr},
		{"2: stream: OK\x00", backends.Result{}, backends.SWErr},
		{"stream: OK\x00", backends.Result{}, backends.SWErr},
		{"1: /etc/passwd: OK\x00", backends.Result{}, backends.SWErr},
		{"1: fd[3]: OK\x00", backends.Result{}, backends.SWErr},
		{"1: PONG\x00", backends.Result{}, backends.SWErr},
		{"\x00", backends.Result{}, backends.SWErr},
		{"\x16\x03\x01\x02\x00", backends.Result{}, backends.SWErr},
		{strings.Repeat("A", 1<<20), backends.Result{}, backends.SWErr},
		{"", backends.Result{}, backends.CannotExecute},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%.60q", tt.reply), func(t *testing.T) {
			backendtest.NoLeaks(t)
			d := backendtest.StartDaemon(t, "unix", backendtest.Script{want(session + instream), say(tt.reply), backendtest.CloseWrite(), backendtest.Drain()})
			r, err := open(t, d.Address(), transportStream).Scan(backendtest.Context(t), x(t))
			if !reflect.DeepEqual(r, tt.result) {
				t.Errorf("got %+v, want %+v", r, tt.result)
			}
			if (err != nil) != (tt.category != "") || err != nil && backends.CategoryOf(err) != tt.category {
				t.Errorf("got %v, want %q", err, tt.category)
			}
		})
	}
}

// TestAnswerEndsAtEveryByte checks that a reply cut off after any byte is a failure, and
// that the object is not sent again after its first byte.
func TestAnswerEndsAtEveryByte(t *testing.T) {
	const reply = "1: stream: OK\x00"
	for n := range len(reply) {
		for _, end := range []backendtest.Step{backendtest.Close(), backendtest.Reset()} {
			d := backendtest.StartDaemon(t, "tcp", backendtest.Script{want(session + instream), say(reply[:n]), end})
			r, err := open(t, d.Address(), transportStream).Scan(backendtest.Context(t), x(t))
			if err == nil || !reflect.DeepEqual(r, backends.Result{}) {
				t.Errorf("%d bytes: got %+v, %v", n, r, err)
			}
			if got := d.Connections(); got != 1 {
				t.Errorf("%d bytes: %d connections", n, got)
			}
		}
	}
	d := backendtest.StartDaemon(t, "tcp", backendtest.Script{want(session + instream), backendtest.SendSplit(backendtest.Composed(reply), 1), backendtest.Drain()})
	if r, err := open(t, d.Address(), transportStream).Scan(backendtest.Context(t), x(t)); err != nil || r.Category != backends.OK {
		t.Errorf("byte by byte: got %+v, %v", r, err)
	}
}

// TestSizeLimitWhileWriting plays a clamd that reports its size limit and resets the
// connection while the object is being sent.
func TestSizeLimitWhileWriting(t *testing.T) {
	d := backendtest.StartDaemon(t, "tcp", backendtest.Script{
		want(session + "zINSTREAM\x00"), backendtest.Discard(4), recorded("1: INSTREAM size limit exceeded. ERROR\x00"), backendtest.CloseWrite(), backendtest.Close(),
	})
	b := open(t, d.Address(), transportStream)
	r, err := b.Scan(backendtest.Context(t), backendtest.LargeObject(t, 16<<20))
	if err == nil && r.Category != backends.Partial || err != nil && !errors.Is(err, protocol.ErrNoReply) {
		t.Errorf("got %+v, %v", r, err)
	}
	if b.pool.Len() > 0 {
		t.Error("the session is kept")
	}
}

func TestEarlyOK(t *testing.T) {
	d := backendtest.StartDaemon(t, "unix", backendtest.Script{
		want(session + "zINSTREAM\x00"), say("1: stream: OK\x00"), backendtest.CloseWrite(), backendtest.Close(),
	})
	if r, err := open(t, d.Address(), transportStream).Scan(backendtest.Context(t), backendtest.LargeObject(t, 16<<20)); err == nil {
		t.Errorf("OK for a part of a stream: %+v", r)
	}
}
