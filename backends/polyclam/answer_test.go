package polyclam

import (
	"fmt"
	"strings"
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
)

func say(s string) backendtest.Step { return backendtest.Send(backendtest.Composed(s)) }

const (
	request = "zXINSTREAM\x00\x00\x00\x00\x01x\x00\x00\x00\x00"
	okLine  = "stream: OK\x00"
	okE     = "stream: engine=a category=ok action=ok code=0 elapsed=0.001 ENGINE\x00"
	okS     = "stream: category=ok action=ok code=0 engine=a engines=1 failed=0 version=1 SUMMARY\x00"
	end     = "END\x00"
)

const virusS = "stream: category=virus action=quarantine code=1 engine=a engines=1 failed=0 version=1 SUMMARY\x00" + end

// summary returns the answer ok with a change to its SUMMARY, record with one to its ENGINE.
func summary(old, new string) string { return okLine + okE + strings.Replace(okS, old, new, 1) + end }

func record(old, new string) string { return okLine + strings.Replace(okE, old, new, 1) + okS + end }

// transcript is an answer and the expected result.
type transcript struct {
	reply string
	want  string // the categories of the result and of the error
	names string
}

const (
	found   = "stream: A FOUND\x00"
	foundE  = "stream: engine=a category=virus action=quarantine code=1 name=A ENGINE\x00"
	lockedE = "stream: engine=b category=encrypted action=ok code=2 name=Heuristics.Encrypted.Zip ENGINE\x00"
	failedE = "stream: engine=c category=interrupted action=tempfail code=999 msg=late ENGINE\x00"
)

var transcripts = []transcript{
	{okLine + okE + okS + end, "ok", ""},
	{okLine + okS + okE + end, "ok", ""},
	{"stream: code=0/category=ok OK\x00" + okE + okS + end, "ok", ""},
	{record("ENGINE", "new_key=x more=\"y z\" ENGINE"), "ok", ""},
	{okLine + okE + "stream: a=b LATER\x00" + okS + end, "ok", ""},
	// From the documentation of the verbs.
	{okLine + "stream: engine=sophos category=encrypted action=ok code=2 elapsed=0.113 name=Heuristics.Encrypted.Zip msg=\"Password protected file foo.zip/foo.txt\" ENGINE\x00" +
		"stream: engine=clamav category=ok action=ok code=0 elapsed=0.021 ENGINE\x00" +
		"stream: category=encrypted action=ok code=2 engine=sophos engines=2 failed=0 version=1 SUMMARY\x00" + end, "encrypted", "Heuristics.Encrypted.Zip"},
	{"stream: A FOUND\x00stream: engine=a category=virus action=quarantine code=1 name=A also=\"B c\" also=Heuristics.Encrypted.Zip ENGINE\x00" + virusS, "virus", "A|B c|Heuristics.Encrypted.Zip"},
	{okLine + "stream: engine=a category=virus action=ok code=1 ENGINE\x00" + virusS, "virus", ""},
	// The other site reports failures as found.
	{"stream: Heuristics.Scan.Failed FOUND\x00stream: engine=a category=swerr action=tempfail code=999 msg=x ENGINE\x00stream: category=swerr action=tempfail code=999 engine=a engines=1 failed=1 version=1 SUMMARY\x00" + end, "swerr", ""},
	// A finding of an engine that also failed, which the other site may let pass.
	{okLine + "stream: engine=a category=encrypted action=ok code=2 name=Heuristics.Encrypted.Zip failure=interrupted msg=x ENGINE\x00" +
		"stream: category=encrypted action=ok code=2 engine=a engines=1 failed=1 version=1 SUMMARY\x00" + end, "encrypted interrupted", "Heuristics.Encrypted.Zip"},
	{okLine + "stream: engine=a category=partial action=ok code=2 failure=odd ENGINE\x00" +
		"stream: category=partial action=ok code=2 engine=a engines=1 failed=1 version=1 SUMMARY\x00" + end, "partial swerr", ""},
	{"stream: A FOUND\x00stream: engine=a category=virus action=quarantine code=1 name=A failure=swerr ENGINE\x00" + virusS, "virus swerr", "A"},
	// An ok that is contradicted.
	{"stream: A FOUND\x00" + okE + okS + end, "swerr", ""},
	{"stream: x ERROR\x00" + okE + okS + end, "swerr", ""},
	{summary("action=ok", "action=tempfail"), "swerr", ""},
	{summary("action=ok ", ""), "swerr", ""},
	{summary("category=ok", "category=encrypted"), "encrypted swerr", ""}, // no engine says so
	{summary("category=ok", "category=swerr"), "swerr", ""},
	{summary("category=ok", "category=OK"), "swerr", ""},
	{summary("category=ok ", ""), "swerr", ""},
	{summary("code=0", "code=x"), "swerr", ""},
	{summary("code=0", "code=99999999999"), "swerr", ""},
	{summary("version=1", "version=2"), "swerr", ""},
	{summary(" version=1", ""), "swerr", ""},
	{summary("engines=1", "engines=2"), "swerr", ""},
	{summary("engines=1", "engines=0"), "swerr", ""},
	{summary("stream:", "fd[7]:"), "swerr", ""},
	{record("category=ok", "category=swerr"), "swerr", ""},
	{record("category=ok", "category=interrupted counts=no"), "swerr", ""}, // no other engine answered
	{record("category=ok", "category=virus"), "virus swerr", ""},
	{record("category=ok", "category=encrypted"), "encrypted swerr", ""},
	{record("category=ok", "category=virus counts=no"), "swerr", ""},
	{record("category=ok", "category="), "swerr", ""},
	{record("category=ok", "category=fine"), "swerr", ""},
	{record("code=0", ""), "swerr", ""},
	{record("stream:", "/x:"), "swerr", ""},
	{okLine + okS + end, "swerr", ""},
	{okLine + strings.Replace(okS, "engines=1", "engines=0", 1) + end, "swerr", ""},
	{okLine + okE + end, "swerr", ""},
	{okLine + end, "swerr", ""},
	{okLine + okE + okS + okS + end, "swerr", ""},
	{okLine + okE + okE + okS + end, "swerr", ""},
	{okLine, "swerr", ""},
	{okLine + okE + okS, "swerr", ""},
	{okLine + okE + okS + okLine + okE + okS + end, "swerr", ""},
	{okE + okS + end, "swerr", ""},
	{end, "swerr", ""},
	// Findings are kept in addition to wrong records and failures.
	{found + foundE, "virus swerr", "A"},
	{found + foundE + virusS[:len(virusS)-len(end)], "virus swerr", "A"},
	{found + foundE + end, "virus swerr", "A"},
	{found + foundE + lockedE + failedE + strings.Replace(virusS, "engines=1", "engines=3", 1), "virus interrupted", "A|Heuristics.Encrypted.Zip"},
	{okLine + lockedE + failedE + strings.NewReplacer("virus", "encrypted", "engines=1", "engines=2").Replace(virusS), "encrypted interrupted", "Heuristics.Encrypted.Zip"},
	{okLine + lockedE + okE + strings.Replace(okS, "engines=1", "engines=2", 1) + end, "encrypted swerr", "Heuristics.Encrypted.Zip"},
	// The other site's rules changed the category of the name.
	{found + strings.Replace(foundE, "name=A", "name=Heuristics.Encrypted.Zip", 1) + virusS, "virus", "Heuristics.Encrypted.Zip"},
	// Without records.
	{"UNKNOWN COMMAND\x00", "swerr", ""},
	{"COMMAND UNAVAILABLE\x00", "swerr", ""},
	{"COMMAND READ TIMED OUT\n", "interrupted", ""},
	{"INSTREAM size limit exceeded. ERROR\x00", "partial", ""},
	{"stream: Error writing to temporary file ERROR\x00", "swerr", ""},
	{"stream: Error writing to temporary file ERROR\x00" + end, "swerr", ""},
	{"PONG\x00", "swerr", ""},
	{"stream: OK\n", "swerr", ""},
	{"HTTP/1.1 400 Bad Request\r\n\r\n", "swerr", ""},
	{"", "cannot-execute", ""},
}

// categories lists the category of the result and those of the error.
func categories(r backends.Result, err error) string {
	var all []string
	if r.Category != "" {
		all = append(all, string(r.Category))
	}
	if err != nil {
		for _, c := range backends.CategoriesOf(err) {
			all = append(all, string(c))
		}
	}
	return strings.Join(all, " ")
}

// TestTranscripts scans with answers that are given byte for byte.
func TestTranscripts(t *testing.T) {
	for _, tt := range transcripts {
		t.Run(fmt.Sprintf("%.80q", tt.reply), func(t *testing.T) {
			for _, send := range []backendtest.Step{say(tt.reply), backendtest.SendSplit(backendtest.Composed(tt.reply), 7)} {
				d := backendtest.StartDaemon(t, "tcp", backendtest.Script{backendtest.Want(backendtest.Composed(request)), send, backendtest.CloseWrite(), backendtest.Drain()})
				r, err := open(t, d.Address(), transportAuto).Scan(testContext(t), backendtest.Bytes(t, []byte("x")))
				var names []string
				for _, f := range r.Findings {
					names = append(names, f.Name)
				}
				if got := categories(r, err); got != tt.want || strings.Join(names, "|") != tt.names {
					t.Errorf("got %+v, %v, want %v %q", r, err, tt.want, tt.names)
				}
				if problem := backendtest.Check(r); err == nil && problem != "" {
					t.Errorf("%+v: %s", r, problem)
				}
				if strings.HasPrefix(tt.reply, "UNKNOWN") && !strings.Contains(err.Error(), `backend = "clamd"`) {
					t.Errorf("no hint: %v", err)
				}
			}
		})
	}
}
