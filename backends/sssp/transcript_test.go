package sssp

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
)

// x is an object of one byte.
func x(tb testing.TB) *backendtest.Object { return backendtest.Bytes(tb, []byte("x")) }

var (
	say  = func(s string) backendtest.Step { return backendtest.Send(backendtest.Composed(s)) }
	want = func(s string) backendtest.Step { return backendtest.Want(backendtest.Composed(s)) }
)

// prepared returns the dialogue up to the first scan, followed by steps. The texts are in
// the Moodle plugin's tests.
func prepared(steps ...backendtest.Step) backendtest.Script {
	return append(backendtest.Script{
		say("OK SSSP/1.0\r\n"),
		want("SSSP/1.0\r\n"), say("ACC 1/1\r\n"),
		want("OPTIONS\r\nsavigrp: GrpArchiveUnpack 1\r\n\r\n"), say("ACC 1/2\r\nDONE OK 0000 The function call succeeded\r\n\r\n"),
	}, steps...)
}

// asked is prepared with a scan of x.
func asked(steps ...backendtest.Step) backendtest.Script {
	return append(prepared(want("SCANDATA 1\r\n"), say("ACC 1/3\r\n"), want("x")), steps...)
}

// fenced returns an answer followed by the one to QUERY SERVER.
func fenced(reply string, number int) string {
	return fmt.Sprintf("%sACC 1/%d\r\nversion: SAV Dynamic Interface 2.6.0\r\nmaxscandata: 0\r\n\r\n", reply, number)
}

func once(c *Config) { c.Sessions = false }

// transcript is an answer to a scan and the outcome wanted.
type transcript struct {
	reply    string
	category backends.Category // of the result; empty: none
	code     int
	names    string // separated by commas
	failures string // the codes of the failures in hexadecimal, "?" for one without a code
}

const (
	done      = "DONE OK 0000 The function call succeeded\r\n\r\n"
	doneVirus = "DONE OK 0203 Virus found during virus scan\r\n\r\n"
	locked    = "FAIL 0212 /enc.zip/clean.txt\r\n"
)

func transcripts() []transcript {
	long := strings.Repeat("a", 2000)
	return []transcript{
		// As shown by other projects.
		{done, backends.OK, 0, "", ""},
		{"VIRUS EICAR-AV-Test \r\nOK 0203 \r\n" + doneVirus, backends.Virus, 0x203, "EICAR-AV-Test", ""},
		{"EVENT FILE \r\nFILE \r\nTYPE D0\r\nEVENT VIRUS EICAR-AV-Test \r\nVIRUS EICAR-AV-Test \r\nOK 0203 \r\n" + doneVirus, backends.Virus, 0x203, "EICAR-AV-Test", ""},
		{"VIRUS EICAR-AV-Test /Bzip2/eicar.txt\r\nOK 0203 /Bzip2\r\n" + doneVirus, backends.Virus, 0x203, "EICAR-AV-Test", ""},
		{locked + "DONE FAIL 0212 File was encrypted\r\n\r\n", backends.Encrypted, 0x212, "", ""},
		{"DONE FAIL 0212 File was encrypted\r\n\r\n", backends.Encrypted, 0x212, "", ""},
		{"FAIL 060F \r\nDONE FAIL 060F Scan terminated due to timeout\r\n\r\n", "", 0, "", "60F"},
		{"FAIL 0210 /path\r\nDONE FAIL 0210 Could not open item passed to SAVI for scanning\r\n\r\n", "", 0, "", "210"},

		// Composed.
		{"DONE OK 021E Virus data is old\r\n\r\n", backends.OK, 0x21E, "", ""},
		{"OK 0000 /a\r\n" + done, backends.OK, 0, "", ""},
		{"OK 021E /a\r\n" + done, backends.OK, 0, "", ""},
		{"FAIL 021A /a\r\nDONE FAIL 021A Corrupt\r\n\r\n", backends.Partial, 0x21A, "", ""},
		{"DONE FAIL 020F Not supported\r\n\r\n", backends.Partial, 0x20F, "", ""},
		{"DONE FAIL 0211 Compressed\r\n\r\n", backends.Partial, 0x211, "", ""},
		{"DONE FAIL 0225 Multi-volume\r\n\r\n", backends.Partial, 0x225, "", ""},
		{"DONE FAIL 0231 Aborted\r\n\r\n", backends.Partial, 0x231, "", ""},
		{"DONE FAIL 0202 Sweep failure\r\n\r\n", "", 0, "", "202"},
		{"DONE FAIL 0999 What is this\r\n\r\n", "", 0, "", "999"},
		{"DONE OK 0999 What is this\r\n\r\n", "", 0, "", "999"},
		{"REJ 4\r\n", backends.Partial, 4, "", ""},
		{"REJ 1\r\n", "", 0, "", "1"},
		{"REJ 77\r\n", "", 0, "", "4D"},
		{"REJ x\r\n\r\n", "", 0, "", "?"},

		// Findings and failures count side by side.
		{locked + done, backends.Encrypted, 0x212, "", ""},
		{"FAIL 060F /a\r\n" + done, "", 0, "", "60F"},
		{locked + "FAIL 060F m.bin\r\nDONE FAIL 060F Scan terminated due to timeout\r\n\r\n", backends.Encrypted, 0x212, "", "60F"},
		{locked + "FAIL 0222 m.bin\r\nDONE FAIL 0222 virus data missing\r\n\r\n", backends.Encrypted, 0x212, "", "222"},
		{locked + "DONE FAIL 060F Scan terminated due to timeout\r\n\r\n", backends.Encrypted, 0x212, "", "60F"},
		{"FAIL 060F /a\r\nFAIL 0222 /b\r\nFAIL 0202 /c\r\n" + locked + "FAIL 060F /d\r\nDONE FAIL 0212 File was encrypted\r\n\r\n", backends.Encrypted, 0x212, "", "60F,222,202"},
		{"FAIL 0202 /a\r\nFAIL 0212 /b\r\nFAIL 021A /c\r\n" + done, backends.Encrypted, 0x212, "", "202"},
		{"FAIL 021A /c\r\nFAIL 0202 /a\r\nDONE FAIL 021A Corrupt\r\n\r\n", backends.Partial, 0x21A, "", "202"},
		{"VIRUS A /a\r\nFAIL 0212 /b\r\nVIRUS B /c d\r\nOK 0203 /\r\n" + doneVirus, backends.Virus, 0x203, "A,B", ""},
		{"FAIL 0202 /b\r\nVIRUS A /a\r\n" + done, backends.Virus, 0x203, "A", "202"},
		{"VIRUS A \r\n" + done, backends.Virus, 0x203, "A", ""},
		{"VIRUS A \r\nDONE FAIL 0212 File was encrypted\r\n\r\n", backends.Virus, 0x203, "A", ""},
		{"VIRUS A \r\nVIRUS A \r\n" + doneVirus, backends.Virus, 0x203, "A,A", ""},
		{doneVirus, backends.Virus, 0x203, "", ""},
		{"OK 0203 /a\r\n" + done, backends.Virus, 0x203, "", ""},
		{"VIRUS\r\n" + done, backends.Virus, 0x203, "", ""},
		{"VIRUS  /a\r\n" + doneVirus, backends.Virus, 0x203, "", ""},
		{"EVENT VIRUS A /a\r\n" + done, backends.Virus, 0x203, "A", ""},
		{"EVENT VIRUS A /a\r\nDONE FAIL 0212 File was encrypted\r\n\r\n", backends.Virus, 0x203, "A", ""},

		// Names with a meaning, and odd ones.
		{"VIRUS Heuristics.Encrypted.Zip /a\r\n" + doneVirus, backends.Encrypted, 0x203, "Heuristics.Encrypted.Zip", ""},
		{"VIRUS Heuristics.Limits.Exceeded /a\r\nFAIL 0202 /b\r\n" + doneVirus, backends.Partial, 0x203, "Heuristics.Limits.Exceeded", "202"},
		{"VIRUS Heuristics.Limits.Exceeded /a\r\nFAIL 0212 /b\r\n" + doneVirus, backends.Encrypted, 0x212, "Heuristics.Limits.Exceeded", ""},
		{"VIRUS Heuristics.Limits.Exceeded /a\r\nVIRUS \r\n" + doneVirus, backends.Virus, 0x203, "Heuristics.Limits.Exceeded", ""},
		{"VIRUS OK /DONE OK 0000\r\n" + doneVirus, backends.Virus, 0x203, "OK", ""},
		{"VIRUS a\x00\x1b[2J\xff /\r\n" + doneVirus, backends.Virus, 0x203, "a\x00\x1b[2J\xff", ""},
		{"VIRUS " + long + " /\r\n" + doneVirus, backends.Virus, 0x203, long[:1024], ""},

		// Invalid. A line that is not in the protocol ends the answer, but a virus counts.
		{"\r\n", "", 0, "", "?"},
		{"\r\n" + done, "", 0, "", "?"},
		{"VIRUS A \r\nOK 0203 \r\n\r\n", backends.Virus, 0x203, "A", "?"},
		{"OK 0000 \r\n\r\n", "", 0, "", "?"},
		{"DONE OK 0000 The function call succeeded\r\nDONE OK 0000 The function call succeeded\r\n\r\n", "", 0, "", "?"},
		{"DONE OK 0000 The function call succeeded\r\nOK 0000 /\r\n\r\n", "", 0, "", "?"},
		{"DONE OK 0000 x\r\nVIRUS A /\r\n\r\n", backends.Virus, 0x203, "A", "?"},
		{"DONE OK\r\n\r\n", "", 0, "", "?"},
		{"DONE\r\n\r\n", "", 0, "", "?"},
		{"DONE OK 0 x\r\n\r\n", "", 0, "", "?"},
		{"DONE OK 00000 x\r\n\r\n", "", 0, "", "?"},
		{"DONE OK 80000000 x\r\n\r\n", "", 0, "", "?"},
		{"DONE OK +000 x\r\n\r\n", "", 0, "", "?"},
		{"DONE ok 0000 x\r\n\r\n", "", 0, "", "?"},
		{"done OK 0000 x\r\n\r\n", "", 0, "", "?"},
		{"DONE FAIL 0000 x\r\n\r\n", "", 0, "", "0"},
		{"DONE FAIL 021E x\r\n\r\n", "", 0, "", "21E"},
		{"FAIL 0000 /\r\n" + done, "", 0, "", "0"},
		{"FAIL\r\n" + done, "", 0, "", "?"},
		{"PROGRESS 50\r\n" + done, "", 0, "", "?"},
		{"REJ 4\r\n" + done, backends.Partial, 4, "", ""},
		{"OK 0000 /\r\nREJ 4\r\n" + done, "", 0, "", "?"},
		{"ACC 1/5\r\n" + done, "", 0, "", "?"},
		{" VIRUS A \r\n" + done, "", 0, "", "?"},
		{"virus A \r\n" + done, "", 0, "", "?"},
		{"VIRUSES A\r\n" + done, "", 0, "", "?"},
		{"\x00\xff garbage\r\n" + done, "", 0, "", "?"},
		{"VIRUS A /\r\nPROGRESS 50\r\n" + doneVirus, backends.Virus, 0x203, "A", "?"},
		{"VIRUS A /\r\nPROGRESS 50\r\n", backends.Virus, 0x203, "A", "?"},
		{locked + "PROGRESS 50\r\n" + done, backends.Encrypted, 0x212, "", "?"},
		{"<results><sweepresults/></results>\r\n\r\n", "", 0, "", "?"},
		{strings.Repeat("A", 1<<20), "", 0, "", "?"},
		{"VIRUS A /" + strings.Repeat("A", 1<<17) + "\r\n" + doneVirus, "", 0, "", "?"},
	}
}

// failures returns the codes in err in the form of [transcript].
func failures(err error) string {
	var all backends.Failures
	var one *backends.Failure
	switch {
	case err == nil:
		return ""
	case errors.As(err, &all):
	case errors.As(err, &one):
		all = backends.Failures{one}
	default:
		return "?"
	}
	var text []string
	for _, f := range all {
		code := "?"
		if f.Code != backends.NoCode {
			code = fmt.Sprintf("%X", f.Code)
		}
		text = append(text, code)
	}
	return strings.Join(text, ",")
}

// differs describes how an outcome differs from the transcript's.
func (tr transcript) differs(r backends.Result, err error) string {
	var names []string
	for _, f := range r.Findings {
		if f.Name != "" {
			names = append(names, f.Name)
		}
	}
	if got := failures(err); got != tr.failures {
		return fmt.Sprintf("failures %q: %v", got, err)
	}
	if r.Category != tr.category || r.Category != "" && r.Code != tr.code || strings.Join(names, ",") != tr.names {
		return fmt.Sprintf("got %+v", r)
	}
	if r.Category != "" {
		return backendtest.Check(r)
	}
	return ""
}

// check scans x with a server that then plays steps.
func (tr transcript) check(t *testing.T, change func(*Config), steps ...backendtest.Step) {
	t.Helper()
	d := backendtest.StartDaemon(t, "unix", asked(append(steps, backendtest.CloseWrite(), backendtest.Drain())...))
	r, err := open(t, d.Address(), change).Scan(backendtest.Context(t), x(t))
	if problem := tr.differs(r, err); problem != "" {
		t.Error(problem)
	}
}

func TestTranscripts(t *testing.T) {
	for _, tr := range transcripts() {
		t.Run(fmt.Sprintf("%.60q", tr.reply), func(t *testing.T) {
			t.Parallel()
			tr.check(t, once, say(tr.reply))
			tr.check(t, once, say(tr.reply+"BYE\r\n"))
			tr.check(t, nil, say(fenced(tr.reply, 4)))
			if tr.category != "" && len(tr.reply) < 200 {
				tr.check(t, once, backendtest.SendSplit(backendtest.Composed(tr.reply+"BYE\r\n"), 1))
			}
			if lf := strings.ReplaceAll(tr.reply, "\r\n", "\n"); len(lf) < 2000 {
				tr.check(t, once, say(lf))
			}
		})
	}
}

// TestAnswerEndsAtEveryByte checks that an answer cut off after any byte is a failure, and
// that the object is not sent again.
func TestAnswerEndsAtEveryByte(t *testing.T) {
	for _, reply := range []string{
		done,
		"VIRUS EICAR-AV-Test \r\nOK 0203 \r\n" + doneVirus,
		locked + "DONE FAIL 0212 File was encrypted\r\n\r\n",
	} {
		for n := range len(reply) {
			for i, end := range []backendtest.Step{backendtest.Close(), backendtest.Reset()} {
				if n == len(reply)-1 && i > 0 {
					continue
				}
				d := backendtest.StartDaemon(t, "tcp", asked(say(reply[:n]), end))
				r, err := open(t, d.Address(), nil).Scan(backendtest.Context(t), x(t))
				if err == nil || backends.CategoryOf(err) != backends.SWErr || r.Category == backends.OK {
					t.Errorf("%q: got %+v, %v", reply[:n], r, err)
				}
				if got := d.Connections(); got != 1 {
					t.Errorf("%q: %d connections", reply[:n], got)
				}
			}
		}
	}
}

// TestTooManyLines checks that findings count although the answer has too many lines.
func TestTooManyLines(t *testing.T) {
	for first, want := range map[string]backends.Category{"VIRUS A /\r\n": backends.Virus, "FAIL 0212 /\r\n": backends.Encrypted} {
		d := backendtest.StartDaemon(t, "unix", asked(say(first), backendtest.Flood(backendtest.Composed(strings.Repeat("FAIL 0212 /a\r\n", 1000)))))
		r, err := open(t, d.Address(), nil).Scan(backendtest.Context(t), x(t))
		if backends.CategoryOf(err) != backends.SWErr || err == nil || r.Category != want {
			t.Errorf("got %+v, %v", r, err)
		}
	}
}

// TestManyNames scans an archive with very many viruses.
func TestManyNames(t *testing.T) {
	d := backendtest.StartDaemon(t, "unix", asked(say(fenced(strings.Repeat("VIRUS "+strings.Repeat("A", 500)+" /a\r\n", 3000)+doneVirus, 4)), backendtest.Drain()))
	r, err := open(t, d.Address(), nil).Scan(backendtest.Context(t), x(t))
	if err != nil || len(r.Findings) == 0 || backendtest.Check(r) != "" {
		t.Errorf("got %d findings, %v, %s", len(r.Findings), err, backendtest.Check(r))
	}
}
