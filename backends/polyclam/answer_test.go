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

// summary is the answer ok with a change to its SUMMARY, record with one to its ENGINE.
func summary(old, new string) string { return okLine + okE + strings.Replace(okS, old, new, 1) + end }

func record(old, new string) string { return okLine + strings.Replace(okE, old, new, 1) + okS + end }

// transcript is an answer and what it has to amount to.
type transcript struct {
	reply string
	want  backends.Category
	names string
}

var transcripts = []transcript{
	{okLine + okE + okS + end, backends.OK, ""},
	{okLine + okS + okE + end, backends.OK, ""},
	{"stream: code=0/category=ok OK\x00" + okE + okS + end, backends.OK, ""},
	{record("ENGINE", "new_key=x more=\"y z\" ENGINE"), backends.OK, ""},
	{okLine + okE + "stream: a=b LATER\x00" + okS + end, backends.OK, ""},
	// From the manual of the verbs.
	{okLine + "stream: engine=sophos category=encrypted action=ok code=2 elapsed=0.113 name=Heuristics.Encrypted.Zip msg=\"Password protected file foo.zip/foo.txt\" ENGINE\x00" +
		"stream: engine=clamav category=ok action=ok code=0 elapsed=0.021 ENGINE\x00" +
		"stream: category=encrypted action=ok code=2 engine=sophos engines=2 failed=0 version=1 SUMMARY\x00" + end, backends.Encrypted, "Heuristics.Encrypted.Zip"},
	{"stream: A FOUND\x00stream: engine=a category=virus action=quarantine code=1 name=A also=\"B c\" also=Heuristics.Encrypted.Zip ENGINE\x00" + virusS, backends.Virus, "A|B c|Heuristics.Encrypted.Zip"},
	{okLine + "stream: engine=a category=virus action=ok code=1 ENGINE\x00" + virusS, backends.Virus, ""},
	// The other site has failures told as found.
	{"stream: Heuristics.Scan.Failed FOUND\x00stream: engine=a category=swerr action=tempfail code=999 msg=x ENGINE\x00stream: category=swerr action=tempfail code=999 engine=a engines=1 failed=1 version=1 SUMMARY\x00" + end, backends.SWErr, ""},
	// An ok that is none.
	{"stream: A FOUND\x00" + okE + okS + end, backends.SWErr, ""},
	{"stream: x ERROR\x00" + okE + okS + end, backends.SWErr, ""},
	{summary("action=ok", "action=tempfail"), backends.SWErr, ""},
	{summary("action=ok ", ""), backends.SWErr, ""},
	{summary("category=ok", "category=OK"), backends.SWErr, ""},
	{summary("category=ok ", ""), backends.SWErr, ""},
	{summary("code=0", "code=x"), backends.SWErr, ""},
	{summary("code=0", "code=99999999999"), backends.SWErr, ""},
	{summary("version=1", "version=2"), backends.SWErr, ""},
	{summary(" version=1", ""), backends.SWErr, ""},
	{summary("engines=1", "engines=2"), backends.SWErr, ""},
	{summary("engines=1", "engines=0"), backends.SWErr, ""},
	{summary("stream:", "fd[7]:"), backends.SWErr, ""},
	{record("category=ok", "category=swerr"), backends.SWErr, ""},
	{record("category=ok", "category=interrupted counts=no"), backends.SWErr, ""}, // nobody else looked
	{record("category=ok", "category=virus"), backends.Virus, ""},
	{record("category=ok", "category=encrypted"), backends.Encrypted, ""},
	{record("category=ok", "category=virus counts=no"), backends.SWErr, ""},
	{record("category=ok", "category="), backends.SWErr, ""},
	{record("category=ok", "category=fine"), backends.SWErr, ""},
	{record("code=0", ""), backends.SWErr, ""},
	{record("stream:", "/x:"), backends.SWErr, ""},
	{okLine + okS + end, backends.SWErr, ""},
	{okLine + strings.Replace(okS, "engines=1", "engines=0", 1) + end, backends.SWErr, ""},
	{okLine + okE + end, backends.SWErr, ""},
	{okLine + end, backends.SWErr, ""},
	{okLine + okE + okS + okS + end, backends.SWErr, ""},
	{okLine + okE + okE + okS + end, backends.SWErr, ""},
	{okLine, backends.SWErr, ""},
	{okLine + okE + okS, backends.SWErr, ""},
	{okLine + okE + okS + okLine + okE + okS + end, backends.SWErr, ""},
	{okE + okS + end, backends.SWErr, ""},
	{end, backends.SWErr, ""},
	// Without records.
	{"UNKNOWN COMMAND\x00", backends.SWErr, ""},
	{"COMMAND UNAVAILABLE\x00", backends.SWErr, ""},
	{"COMMAND READ TIMED OUT\n", backends.Interrupted, ""},
	{"INSTREAM size limit exceeded. ERROR\x00", backends.Partial, ""},
	{"stream: Error writing to temporary file ERROR\x00", backends.SWErr, ""},
	{"stream: Error writing to temporary file ERROR\x00" + end, backends.SWErr, ""},
	{"PONG\x00", backends.SWErr, ""},
	{"stream: OK\n", backends.SWErr, ""},
	{"HTTP/1.1 400 Bad Request\r\n\r\n", backends.SWErr, ""},
	{"", backends.CannotExecute, ""},
}

// TestTranscripts are answers, byte for byte.
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
				got := r.Category
				if err != nil {
					got = backends.CategoryOf(err)
				}
				if got != tt.want || strings.Join(names, "|") != tt.names {
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
