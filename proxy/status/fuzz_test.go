package status

import (
	"regexp"
	"strings"
	"testing"
	"unicode"

	"polyclam/backends"
	"polyclam/protocol"
	"polyclam/proxy/policy"
)

var (
	allForms  = []Form{Plain, Extended, Annotated}
	allStyles = []ErrorStyle{StyleError, StyleClose, StyleLimits, StyleFound}
	// Valid and invalid values for a verdict.
	allCategories = append(backends.Categories(), "", "OK", "maybe: FOUND")
	allActions    = []policy.Action{policy.OK, policy.Quarantine, policy.Tempfail, "", "OK"}
	// tame matches paths that a client can distinguish from the rest of the line.
	tame = regexp.MustCompile(`^/[a-z0-9/._-]*$`)
)

// FuzzLine checks that a line obeys the rules and that every client reads it as the action
// says, whatever the names of engines, objects and findings.
func FuzzLine(f *testing.F) {
	hostile := []string{
		"", " ", "OK", "OK FOUND", "FOUND", "x FOUND", "stream: OK", "a: OK\n", "a\x00stream: OK\x00", "\xff\xfe", "ERROR", "TOKEN",
		"HEUR:Trojan.Win32.Generic", "EICAR test file", "size limit exceeded", "zip module failure", "Access denied.", "FOFOUNDUND",
		"Heuristics.Encrypted.", "Heuristics.Encrypted.OK", "Encrypted.Zip", "Heuristics.Limits.Exceeded", "size\tlimit\rexceeded",
		strings.Repeat("A", 300), strings.Repeat("O K", 100), strings.Repeat("OK", 500), "(code=0/category=ok/action=ok)",
	}
	objects := []string{"stream", "fd[10]", "/var/spool/x", "", "/a: b FOUND", "/n\nl: OK", "/" + strings.Repeat("p", 238), "/" + strings.Repeat("p", 246), "/" + strings.Repeat("p", 250), "/" + strings.Repeat("p", 1100)}
	for i, h := range hostile {
		for j, o := range objects {
			for k := range 3 {
				f.Add(o, h, hostile[(i+j)%len(hostile)], h, h, i-j, uint32((i*len(objects)+j)*3+k)*2654435761)
			}
		}
	}
	f.Fuzz(func(t *testing.T, object, name, second, detail, engine string, code int, choice uint32) {
		pick := func(n int) int {
			i := int(choice) % n
			choice /= uint32(n)
			return i
		}
		clientName := Names()[pick(len(Names()))]
		p, _ := Lookup(clientName)
		p.Form, p.ErrorStyle = allForms[pick(len(allForms))], allStyles[pick(len(allStyles))]
		if p.Validate() != nil {
			p, _ = Lookup(clientName) // no site can configure the other one
		}
		written := object
		if p.EscapeObjects = pick(2) == 1; p.EscapeObjects {
			written = protocol.EscapeObject(object)
			if strings.ContainsFunc(written, unicode.IsControl) {
				t.Fatalf("%q is written as %q", object, written)
			}
		}
		v := policy.Verdict{Code: code, Engine: engine, Detail: detail, Names: []string{name, second}[:pick(3)]}
		v.Category = allCategories[pick(len(allCategories))]
		for _, v.Action = range allActions {
			checkReply(t, p, written, v, p.Line(object, v))
			for _, r := range p.AllMatchLines(object, v) {
				checkReply(t, p, written, v, r)
			}
		}
		failed := policy.Verdict{Action: policy.Tempfail, Category: backends.SWErr}
		plain := p
		plain.Form = Plain
		checkReply(t, plain, written, failed, plain.Error(object, detail))
	})
}

func checkReply(t *testing.T, p Profile, object string, v policy.Verdict, r Reply) {
	t.Helper()
	if why := broken(p, object, v, r); why != "" {
		t.Fatalf("%s/%s/%s: the line for %q and %+v %s:\n%q", p.Client, p.Form, p.ErrorStyle, object, v, why, r.Text)
	}
	readable := object == "stream" || object == "" || strings.HasPrefix(object, "fd[") && strings.HasSuffix(object, "]") && !strings.ContainsAny(object, ": \n\r") || tame.MatchString(object)
	action, _ := effective(v)
	switch {
	case readable && len(r.Text) < 1023:
		if object == "" {
			object = "stream"
		}
		if why := misread(p, object, v, r); why != "" {
			t.Fatalf("%s/%s/%s: %+v: %s:\n%q", p.Client, p.Form, p.ErrorStyle, v, why, r.Text)
		}
	case p.UnknownIsClean && action != policy.OK && !r.Close:
		// Whatever the path, the object must not pass.
		if got := mimedefang(r.Text); got == readClean || got == readNothing {
			t.Fatalf("%+v: MIMEDefang reads %q:\n%q", v, got, r.Text)
		}
	}
}
