package command

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
)

// TestBounded checks that hostile output gives a small answer.
func TestBounded(t *testing.T) {
	var b strings.Builder
	for i := range 5000 {
		b.WriteString("/q/a: " + strings.Repeat("A", 300) + itoa(i) + " FOUND\n")
		b.WriteString("/q/a: " + itoa(i) + " FOUND\n")
	}
	r, err := compiled(t, "clamscan").evaluate(t.Context(), printed(b.String(), 1))
	if err != nil || r.Category != backends.Virus || len(r.Findings) > maxFindings+1 || backendtest.Check(r) != "" {
		t.Errorf("%d findings, %v, %s", len(r.Findings), err, backendtest.Check(r))
	}
	if len(r.Detail) > maxDetail || len(r.Findings[0].Name) > maxName {
		t.Errorf("detail of %d bytes, name of %d", len(r.Detail), len(r.Findings[0].Name))
	}
	hostile := strings.Repeat("ERROR: "+strings.Repeat("\x01", 5000)+"\n"+strings.Repeat("\x02A", 5000)+"\n", 100)
	_, err = compiled(t, "clamscan").evaluate(t.Context(), runResult{output: []byte(hostile), code: 2, truncated: true})
	if err == nil || len(err.Error()) > maxFailure {
		t.Errorf("error of %d bytes", len(err.Error()))
	}
}

// maxFailure bounds the failures of an answer together: they are listed side by side, at
// most one of each kind.
const maxFailure = 4 * maxDetail

// TestMessages checks that a failure names the engine and the program, what happened, with
// which exit status, and which key changes it.
func TestMessages(t *testing.T) {
	b := open(t, preset("sophos-sweep", "/opt/sophos/sweep")).(*versioned)
	for _, c := range []struct {
		e    runResult
		want string
	}{
		{printed("License expired\n", 0), `command sophos-sweep: sweep ended with exit status 0 and printed a line that no key explains (error_regex, ignore_regex): "License expired"`},
		{printed("a\nb\n", 0), `command sophos-sweep: sweep ended with exit status 0 and printed 2 lines that no key explains (error_regex, ignore_regex): "a"`},
		{printed("Could not open b\n", 2), `command sophos-sweep: sweep reported a failure, exit status 2: "Could not open b"`},
		{printed("", 2), `command sophos-sweep: sweep ended with exit status 2, which means swerr in exit: it printed nothing`},
		{printed("", 77), `command sophos-sweep: sweep ended with exit status 77, which is not listed in exit: it printed nothing`},
		{runResult{signal: syscall.SIGSEGV}, `command sophos-sweep: sweep was killed by signal 11 (segmentation fault)`},
		{runResult{output: make([]byte, 10), truncated: true}, `command sophos-sweep: sweep printed more than 10 bytes and the rest was ignored; raise max_output; ` +
			`command sophos-sweep: sweep ended with exit status 0 and printed binary data`},
		{runResult{altered: alteration{"the file was gone after the scan", true}},
			`command sophos-sweep: sweep altered a file that other engines share (the file was gone after the scan); set copy = "copy"`},
	} {
		if _, err := b.table.evaluate(t.Context(), c.e); err == nil || err.Error() != c.want {
			t.Errorf("%v\nwant %s", err, c.want)
		}
	}
	silent := open(t, preset("clamscan", "")).(*versioned)
	want := `command clamscan: clamscan ended with exit status 0, but printed nothing that means clean (ok_regex)`
	if _, err := silent.table.evaluate(t.Context(), printed("", 0)); err == nil || err.Error() != want {
		t.Errorf("%v\nwant %s", err, want)
	}
}

// TestEvaluationEnds checks that evaluation ends with its context.
func TestEvaluationEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, err := compiled(t, "clamscan").evaluate(ctx, runResult{output: []byte("a: OK\n")})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%+v, %v", r, err)
	}
}
