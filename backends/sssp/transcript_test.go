package sssp

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
)

func testContext(tb testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(tb.Context(), time.Minute)
	tb.Cleanup(cancel)
	return ctx
}

// x is a content of one byte.
func x(tb testing.TB) *backendtest.Content { return backendtest.Bytes(tb, []byte("x")) }

var (
	say  = func(s string) backendtest.Step { return backendtest.Send(backendtest.Composed(s)) }
	want = func(s string) backendtest.Step { return backendtest.Want(backendtest.Composed(s)) }
)

// prepared is the dialogue up to the first scan. The words are those of the Moodle
// plugin's tests.
func prepared(steps ...backendtest.Step) backendtest.Script {
	return append(backendtest.Script{
		say("OK SSSP/1.0\r\n"),
		want("SSSP/1.0\r\n"), say("ACC 1/1\r\n"),
		want("QUERY SERVER\r\n"), say("ACC 1/2\r\nversion: SAV Dynamic Interface 2.6.0\r\nmethod: SCANDATA\r\nmethod: SCANFILE\r\nmaxscandata: 5000000\r\n\r\n"),
		want("OPTIONS\r\nsavigrp: GrpArchiveUnpack 1\r\n\r\n"), say("ACC 1/3\r\nDONE OK 0000 The function call succeeded\r\n\r\n"),
	}, steps...)
}

// asked is that with a scan of x.
func asked(steps ...backendtest.Step) backendtest.Script {
	return append(prepared(want("SCANDATA 1\r\n"), say("ACC 1/4\r\n"), want("x")), steps...)
}

// transcript is what stands between the data and the end of the answer.
type transcript struct {
	reply    string
	result   backends.Result
	category backends.Category // of the error, if there is one
	code     int               // of the failure
}

const (
	done      = "DONE OK 0000 The function call succeeded\r\n\r\n"
	doneVirus = "DONE OK 0203 Virus found during virus scan\r\n\r\n"
)

func virus(detail string, names ...string) backends.Result {
	r := backends.Found(0x203, names...)
	r.Detail = detail
	return r
}

func no(category backends.Category, code int, detail string) backends.Result {
	return backends.Result{Category: category, Code: code, Detail: detail}
}

func transcripts() []transcript {
	none := backends.Result{}
	long := strings.Repeat("a", 1000)
	return []transcript{
		// As other projects show them.
		{done, backends.Clean(0), "", 0},
		{"VIRUS EICAR-AV-Test \r\nOK 0203 \r\n" + doneVirus, virus("VIRUS EICAR-AV-Test", "EICAR-AV-Test"), "", 0},
		{"EVENT FILE \r\nFILE \r\nTYPE D0\r\nEVENT VIRUS EICAR-AV-Test \r\nVIRUS EICAR-AV-Test \r\nOK 0203 \r\n" + doneVirus, virus("VIRUS EICAR-AV-Test", "EICAR-AV-Test"), "", 0},
		{"VIRUS EICAR-AV-Test /Bzip2/eicar.txt\r\nOK 0203 /Bzip2\r\n" + doneVirus, virus("VIRUS EICAR-AV-Test /Bzip2/eicar.txt", "EICAR-AV-Test"), "", 0},
		{"VIRUS EICAR-AV-Test /path\r\nOK 0203 /path\r\n" + doneVirus, virus("VIRUS EICAR-AV-Test /path", "EICAR-AV-Test"), "", 0},
		{"FAIL 0212 /enc.zip/clean.txt\r\nDONE FAIL 0212 File was encrypted\r\n\r\n", no(backends.Encrypted, 530, "FAIL 0212 /enc.zip/clean.txt"), "", 0},
		{"DONE FAIL 0212 File was encrypted\r\n\r\n", no(backends.Encrypted, 530, "DONE FAIL 0212 File was encrypted"), "", 0},
		{"FAIL 060F \r\nDONE FAIL 060F Scan terminated due to timeout\r\n\r\n", none, backends.Interrupted, 0x60F},
		{"FAIL 0210 /path\r\nDONE FAIL 0210 Could not open item passed to SAVI for scanning\r\n\r\n", none, backends.SWErr, 0x210},

		// Composed.
		{"DONE OK 021E Virus data is old\r\n\r\n", no(backends.OK, 0x21E, "DONE OK 021E Virus data is old"), "", 0},
		{"OK 0000 /a\r\n" + done, backends.Clean(0), "", 0},
		{"FAIL 021A /a\r\nDONE FAIL 021A Corrupt\r\n\r\n", no(backends.Partial, 0x21A, "FAIL 021A /a"), "", 0},
		{"DONE FAIL 020F Not supported\r\n\r\n", no(backends.Partial, 0x20F, "DONE FAIL 020F Not supported"), "", 0},
		{"DONE FAIL 0211 Compressed\r\n\r\n", no(backends.Partial, 0x211, "DONE FAIL 0211 Compressed"), "", 0},
		{"DONE FAIL 0225 Multi-volume\r\n\r\n", no(backends.Partial, 0x225, "DONE FAIL 0225 Multi-volume"), "", 0},
		{"DONE FAIL 0231 Aborted\r\n\r\n", no(backends.Partial, 0x231, "DONE FAIL 0231 Aborted"), "", 0},
		{"DONE FAIL 0202 Sweep failure\r\n\r\n", none, backends.SWErr, 0x202},
		{"DONE FAIL 0999 What is this\r\n\r\n", none, backends.SWErr, 0x999},
		{"DONE OK 0999 What is this\r\n\r\n", none, backends.SWErr, 0x999},
		{"REJ 4\r\n", no(backends.Partial, 4, "REJ 4"), "", 0},
		{"REJ 1\r\n", none, backends.SWErr, 1},
		{"REJ 77\r\n", none, backends.SWErr, 77},
		{"REJ x\r\n\r\n", none, backends.SWErr, 0},

		// The strongest line of an answer counts.
		{"FAIL 0212 /a\r\n" + done, no(backends.Encrypted, 530, "FAIL 0212 /a"), "", 0},
		{"FAIL 060F /a\r\n" + done, none, backends.Interrupted, 0x60F},
		{"FAIL 0202 /a\r\nFAIL 0212 /b\r\nFAIL 021A /c\r\n" + done, no(backends.Encrypted, 530, "FAIL 0212 /b"), "", 0},
		{"FAIL 021A /c\r\nFAIL 0202 /a\r\nDONE FAIL 021A Corrupt\r\n\r\n", none, backends.SWErr, 0x202},
		{"VIRUS A /a\r\nFAIL 0212 /b\r\nVIRUS B /c d\r\nOK 0203 /\r\n" + doneVirus, virus("VIRUS A /a; FAIL 0212 /b", "A", "B"), "", 0},
		{"FAIL 0202 /b\r\nVIRUS A /a\r\n" + done, virus("VIRUS A /a; FAIL 0202 /b", "A"), "", 0},
		{"VIRUS A \r\n" + done, virus("VIRUS A", "A"), "", 0},
		{"VIRUS A \r\nDONE FAIL 0212 File was encrypted\r\n\r\n", virus("VIRUS A; DONE FAIL 0212 File was encrypted", "A"), "", 0},
		{"VIRUS A \r\nVIRUS A \r\n" + doneVirus, virus("VIRUS A", "A", "A"), "", 0},
		{doneVirus, virus("DONE OK 0203 Virus found during virus scan"), "", 0},
		{"OK 0203 /a\r\n" + done, virus("OK 0203 /a"), "", 0},
		{"VIRUS\r\n" + done, virus("VIRUS"), "", 0},
		{"VIRUS  /a\r\n" + doneVirus, virus("VIRUS  /a"), "", 0},
		{"EVENT VIRUS A /a\r\n" + done, virus("", "A"), "", 0},
		{"EVENT VIRUS A /a\r\nDONE FAIL 0212 File was encrypted\r\n\r\n", virus("DONE FAIL 0212 File was encrypted", "A"), "", 0},

		// Names that are no virus's.
		{"VIRUS Heuristics.Encrypted.Zip /a\r\n" + doneVirus, backends.Result{Category: backends.Encrypted, Code: 0x203, Detail: "VIRUS Heuristics.Encrypted.Zip /a",
			Findings: []backends.Finding{{Name: "Heuristics.Encrypted.Zip", Category: backends.Encrypted}}}, "", 0},
		{"VIRUS Heuristics.Limits.Exceeded /a\r\nFAIL 0202 /b\r\n" + doneVirus, none, backends.SWErr, 0x202},
		{"VIRUS Heuristics.Limits.Exceeded /a\r\nFAIL 0212 /b\r\n" + doneVirus, backends.Result{Category: backends.Encrypted, Code: 0x212, Detail: "FAIL 0212 /b",
			Findings: []backends.Finding{{Name: "Heuristics.Limits.Exceeded", Category: backends.Partial}}}, "", 0},
		{"VIRUS Heuristics.Limits.Exceeded /a\r\nVIRUS \r\n" + doneVirus, backends.Result{Category: backends.Virus, Code: 0x203, Detail: "VIRUS Heuristics.Limits.Exceeded /a",
			Findings: []backends.Finding{{Name: "Heuristics.Limits.Exceeded", Category: backends.Partial}}}, "", 0},
		{"VIRUS OK /DONE OK 0000\r\n" + doneVirus, virus("VIRUS OK /DONE OK 0000", "OK"), "", 0},
		{"VIRUS a\x00\x1b[2J\xff /\r\n" + doneVirus, virus("VIRUS a\x00\x1b[2J\xff /", "a\x00\x1b[2J\xff"), "", 0},
		{"VIRUS " + long + " /\r\n" + doneVirus, virus("VIRUS "+long[:506], long[:256]), "", 0},

		// Not an answer.
		{"\r\n", none, backends.SWErr, 0},
		{"\r\n" + done, none, backends.SWErr, 0},
		{"VIRUS A \r\nOK 0203 \r\n\r\n", none, backends.SWErr, 0},
		{"OK 0000 \r\n\r\n", none, backends.SWErr, 0},
		{"DONE OK 0000 The function call succeeded\r\nDONE OK 0000 The function call succeeded\r\n\r\n", none, backends.SWErr, backends.NoCode},
		{"DONE OK 0000 The function call succeeded\r\nOK 0000 /\r\n\r\n", none, backends.SWErr, backends.NoCode},
		{"DONE OK 0000 x\r\nVIRUS A /\r\n\r\n", virus("VIRUS A /", "A"), "", 0},
		{"DONE OK\r\n\r\n", none, backends.SWErr, backends.NoCode},
		{"DONE\r\n\r\n", none, backends.SWErr, backends.NoCode},
		{"DONE OK 0 x\r\n\r\n", none, backends.SWErr, backends.NoCode},
		{"DONE OK 00000 x\r\n\r\n", none, backends.SWErr, backends.NoCode},
		{"DONE OK 80000000 x\r\n\r\n", none, backends.SWErr, backends.NoCode},
		{"DONE OK +000 x\r\n\r\n", none, backends.SWErr, backends.NoCode},
		{"DONE ok 0000 x\r\n\r\n", none, backends.SWErr, backends.NoCode},
		{"done OK 0000 x\r\n\r\n", none, backends.SWErr, 0},
		{"DONE FAIL 0000 x\r\n\r\n", none, backends.SWErr, 0},
		{"DONE FAIL 021E x\r\n\r\n", none, backends.SWErr, 0x21E},
		{"FAIL 0000 /\r\n" + done, none, backends.SWErr, 0},
		{"FAIL\r\n" + done, none, backends.SWErr, backends.NoCode},
		{"PROGRESS 50\r\n" + done, none, backends.SWErr, backends.NoCode},
		{"REJ 4\r\n" + done, no(backends.Partial, 4, "REJ 4"), "", 0},
		{"OK 0000 /\r\nREJ 4\r\n" + done, none, backends.SWErr, backends.NoCode},
		{"ACC 1/5\r\n" + done, none, backends.SWErr, backends.NoCode},
		{" VIRUS A \r\n" + done, none, backends.SWErr, backends.NoCode},
		{"virus A \r\n" + done, none, backends.SWErr, backends.NoCode},
		{"VIRUSES A\r\n" + done, none, backends.SWErr, backends.NoCode},
		{"\x00\xff garbage\r\n" + done, none, backends.SWErr, backends.NoCode},
		{"VIRUS A /\r\nPROGRESS 50\r\n" + doneVirus, virus("VIRUS A /; PROGRESS 50", "A"), "", 0},
		{"<results><sweepresults/></results>\r\n\r\n", none, backends.SWErr, 0},
		{strings.Repeat("A", 1<<20), none, backends.SWErr, 0},
		{"VIRUS A /" + strings.Repeat("A", 1<<17) + "\r\n" + doneVirus, none, backends.SWErr, 0},
	}
}

// check scans x with a server that plays steps behind it.
func (tr transcript) check(t *testing.T, steps ...backendtest.Step) {
	t.Helper()
	d := backendtest.StartDaemon(t, "unix", asked(append(steps, backendtest.CloseWrite(), backendtest.Drain())...))
	r, err := open(t, d.Address(), nil).Scan(testContext(t), x(t))
	if !reflect.DeepEqual(r, tr.result) {
		t.Errorf("got %+v, want %+v", r, tr.result)
	}
	if (err != nil) != (tr.category != "") || err != nil && backends.CategoryOf(err) != tr.category {
		t.Errorf("got %v, want %q", err, tr.category)
	}
	if got := failureCode(err); got != tr.code {
		t.Errorf("code %d, want %d: %v", got, tr.code, err)
	}
	if err == nil {
		if problem := backendtest.Check(r); problem != "" {
			t.Error(problem)
		}
	}
}

func TestTranscripts(t *testing.T) {
	for _, tr := range transcripts() {
		t.Run(fmt.Sprintf("%.60q", tr.reply), func(t *testing.T) {
			t.Parallel()
			tr.check(t, say(tr.reply))
			if tr.result.Category != "" && len(tr.reply) < 200 {
				tr.check(t, backendtest.SendSplit(backendtest.Composed(tr.reply), 1))
			}
			if lf := strings.ReplaceAll(tr.reply, "\r\n", "\n"); len(lf) < 2000 {
				tr.check(t, say(lf))
			}
		})
	}
}

// TestAnswerEndsAtEveryByte: no beginning of an answer is an answer, and the content
// is not sent again.
func TestAnswerEndsAtEveryByte(t *testing.T) {
	for _, reply := range []string{
		done,
		"VIRUS EICAR-AV-Test \r\nOK 0203 \r\n" + doneVirus,
		"FAIL 0212 /enc.zip/clean.txt\r\nDONE FAIL 0212 File was encrypted\r\n\r\n",
	} {
		for n := range len(reply) {
			for i, end := range []backendtest.Step{backendtest.Close(), backendtest.Reset()} {
				if n == len(reply)-1 && i > 0 {
					continue
				}
				d := backendtest.StartDaemon(t, "tcp", asked(say(reply[:n]), end))
				r, err := open(t, d.Address(), nil).Scan(testContext(t), x(t))
				if err == nil || backends.CategoryOf(err) != backends.SWErr || !reflect.DeepEqual(r, backends.Result{}) {
					t.Errorf("%q: got %+v, %v", reply[:n], r, err)
				}
				if got := d.Connections(); got != 1 {
					t.Errorf("%q: %d connections", reply[:n], got)
				}
			}
		}
	}
}

// TestTooManyLines: what was found stands, but nothing else does.
func TestTooManyLines(t *testing.T) {
	for _, first := range []string{"VIRUS A /\r\n", "FAIL 0212 /\r\n"} {
		d := backendtest.StartDaemon(t, "unix", asked(say(first), backendtest.Flood(backendtest.Composed(strings.Repeat("FAIL 0212 /a\r\n", 1000)))))
		r, err := open(t, d.Address(), nil).Scan(testContext(t), x(t))
		if first[0] == 'V' {
			if err != nil || r.Category != backends.Virus || len(r.Findings) != 1 {
				t.Errorf("got %+v, %v", r, err)
			}
		} else if backends.CategoryOf(err) != backends.SWErr || r.Category != "" {
			t.Errorf("got %+v, %v", r, err)
		}
	}
}

// TestNamesAreBounded: an archive may hold any number of viruses.
func TestNamesAreBounded(t *testing.T) {
	d := backendtest.StartDaemon(t, "unix", asked(say(strings.Repeat("VIRUS "+strings.Repeat("A", 500)+" /a\r\n", 3000)+doneVirus), backendtest.Drain()))
	r, err := open(t, d.Address(), nil).Scan(testContext(t), x(t))
	if err != nil || len(r.Findings) != maxNames || backendtest.Check(r) != "" {
		t.Errorf("got %d findings, %v, %s", len(r.Findings), err, backendtest.Check(r))
	}
}
