package status

import (
	"strings"
	"testing"

	"polyclam/backends"
	"polyclam/proxy/policy"
)

func TestErrorStyles(t *testing.T) {
	tempfail := policy.Verdict{Code: 1, Category: backends.SWErr, Action: policy.Tempfail, Engine: "sophos"}
	cases := []struct {
		style                                ErrorStyle
		line, own, clamd, protocol, overflow string
	}{
		{StyleError, "/p: sophos scan failed ERROR", "/p: Spool is full ERROR", "/p: Access denied. ERROR", "UNKNOWN COMMAND", "INSTREAM size limit exceeded. ERROR"},
		{StyleClose, "", "", "", "", ""},
		{StyleLimits, "/p: Heuristics.Limits.Exceeded.ScanFailed FOUND", "/p: Heuristics.Limits.Exceeded.ScanFailed FOUND", "/p: Heuristics.Limits.Exceeded.ScanFailed FOUND",
			"stream: Heuristics.Limits.Exceeded.ScanFailed FOUND", "stream: Heuristics.Limits.Exceeded.StreamMaxLength FOUND"},
		{StyleFound, "/p: Heuristics.Scan.Failed FOUND", "/p: Heuristics.Scan.Failed FOUND", "/p: Heuristics.Scan.Failed FOUND",
			"stream: Heuristics.Scan.Failed FOUND", "stream: Heuristics.Limits.Exceeded.StreamMaxLength FOUND"},
	}
	for _, c := range cases {
		t.Run(string(c.style), func(t *testing.T) {
			p := lookup(t, "generic")
			p.ErrorStyle = c.style
			expect(t, p.Line("/p", tempfail), c.line)
			expect(t, p.Error("/p", "Spool is full"), c.own)
			expect(t, p.ClamdError("/p", "Access denied. ERROR"), c.clamd)
			expect(t, p.ProtocolError("UNKNOWN COMMAND"), c.protocol)
			expect(t, p.SizeLimit(), c.overflow)
			// The style does not change the replies for objects that were scanned.
			expect(t, p.Line("/p", virus("N")), "/p: N FOUND")
			expect(t, p.Line("/p", policy.Verdict{Category: backends.OK, Action: policy.OK}), "/p: OK")
		})
	}
}

func TestClamdError(t *testing.T) {
	p := lookup(t, "generic")
	missing := "File path check failure: No such file or directory. ERROR"
	expect(t, p.ClamdError("/no: such", missing), "/no: such: "+missing)
	expect(t, p.ClamdError("fd[7]", "Not a regular file ERROR"), "fd[7]: Not a regular file ERROR")
	expect(t, p.ClamdError("/p", "Access denied."), "/p: Access denied. ERROR")
	expect(t, p.ProtocolError("No file descriptor received. ERROR"), "No file descriptor received. ERROR")
	long := "/" + strings.Repeat("p", 300)
	expect(t, p.ClamdError(long, missing), long+": "+missing)

	// MIMEDefang takes a line that is cut or has no identifier for clean.
	m := lookup(t, "mimedefang")
	expect(t, m.ClamdError("/p", missing), "/p: "+missing)
	expect(t, m.ClamdError(long, missing), "")
	expect(t, m.ProtocolError("COMMAND READ TIMED OUT"), "stream: COMMAND READ-TIMED-OUT ERROR")
	expect(t, m.SizeLimit(), "stream: INSTREAM size limit exceeded. ERROR")

	// haraka-plugin-clamd 1.0.6 accepts mail on /size limit exceeded/.
	expect(t, lookup(t, "haraka").SizeLimit(), "stream: INSTREAM size-limit exceeded. ERROR")
}

func TestErrorText(t *testing.T) {
	p := lookup(t, "generic")
	cases := map[string]string{
		"":                                    "Scan failed",
		" \r\n\x00":                           "Scan failed",
		"sophos: scan timed out":              "sophos. scan timed out",
		"a  b\nc\x00d":                        "a b c d",
		"sophos=timeout clamav=OK":            "sophos=timeout clamav=Ok",
		"clamav=FOUND":                        "clamav=Found",
		"no ERROR here":                       "no Error here",
		"Can't allocate memory":               "Can't allocate memory",
		"Size limit exceeded":                 "Size-limit exceeded",
		"zip  module\tfailure":                "zip module-failure",
		"open /x: no such file or directory":  "open /x. no-such-file-or-directory",
		"caf\xe9 <b>":                         "caf_ _b_",
		strings.Repeat("x", 200):              strings.Repeat("x", 90),
		strings.Repeat("x", 89) + " yz":       strings.Repeat("x", 89),
		"COMMAND READ TIMED OUT":              "COMMAND READ-TIMED-OUT",
		"stat: permission denied. (really) %": "stat. permission-denied. _really_ _",
	}
	for text, want := range cases {
		expect(t, p.Error("stream", text), "stream: "+want+" ERROR")
	}
	expect(t, p.Error("", "x"), "stream: x ERROR")
}

func TestErrorTextIsCut(t *testing.T) {
	for _, c := range []struct {
		text  string
		limit int
		want  string
	}{
		{"", 1, "S"}, {"", 4, "Scan"}, {"", 5, "Scan"}, {"", 6, "Scan f"}, {"", 90, "Scan failed"},
		{"a b", 1, "a"}, {"a b", 2, "a"}, {"a b", 3, "a b"}, {" a", 1, "a"},
	} {
		if got := errorText(c.text, c.limit); got != c.want {
			t.Errorf("errorText(%q, %d) = %q, want %q", c.text, c.limit, got, c.want)
		}
	}
}
