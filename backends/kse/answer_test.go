package kse

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/internal/wire/wiretest"
)

// outcome is a reply and the outcome wanted.
type outcome struct {
	reply    string
	category backends.Category
	names    string
}

// check checks that there is only the outcome: either a result or a failure.
func (o outcome) check(t *testing.T, r backends.Result, err error) {
	t.Helper()
	if o.category.IsFailure() {
		if err == nil || backends.CategoryOf(err) != o.category || !reflect.DeepEqual(r, backends.Result{}) {
			t.Errorf("got %+v, %v, want %v", r, err, o.category)
		}
		return
	}
	if err != nil {
		t.Errorf("failure %v with %+v", err, r)
	}
	o.found(t, r)
}

// mixed checks that there are both a finding and a failure of this category.
func (o outcome) mixed(t *testing.T, r backends.Result, err error, failure backends.Category) {
	t.Helper()
	if err == nil || backends.CategoriesOf(err)[0] != failure {
		t.Errorf("failure %v, want %v", err, failure)
	}
	o.found(t, r)
}

func (o outcome) found(t *testing.T, r backends.Result) {
	t.Helper()
	var names []string
	for _, f := range r.Findings {
		names = append(names, f.Name)
	}
	if r.Category != o.category || strings.Join(names, "|") != o.names || r.Code != backends.NoCode {
		t.Errorf("got %+v, want %v, %q", r, o.category, o.names)
	}
	if problem := backendtest.Check(r); problem != "" || len(r.Detail) > 512 {
		t.Errorf("%+v: %s", r, problem)
	}
}

// status returns an answer with another status.
func status(line string) string {
	return "HTTP/1.0 " + line + "\r\nConnection: close\r\nContent-Length: 35\r\n\r\n{\n\"error\": \"Session Timeout\"\n}     "
}

// texts are bodies from the manual and other projects, and similar ones.
func texts() []outcome {
	list := strings.Repeat("A,", 5000)
	return []outcome{
		{"CLEAN", backends.OK, ""},
		{"CLEAN AND CONTAINS OFFICE MACRO", backends.Suspicious, "OFFICE MACRO"},
		{"DETECT EICAR-Test-File", backends.Virus, "EICAR-Test-File"},
		{"DETECTED EICAR-Test-File", backends.Virus, "EICAR-Test-File"},
		{"DETECT HEUR:Trojan.Win32.Generic,not-a-virus:AdWare.X", backends.Virus, "HEUR:Trojan.Win32.Generic|not-a-virus:AdWare.X"},
		{"DETECT A, B,,C ", backends.Virus, "A|B|C"},
		{"DETECT A AND CONTAINS OFFICE MACRO", backends.Virus, "OFFICE MACRO|A"},
		{"DETECT", backends.Virus, ""},
		{"DETECT Password protected", backends.Encrypted, "Password protected"}, // the one table of names
		{"DETECT Password protected AND CONTAINS OFFICE MACRO", backends.Suspicious, "OFFICE MACRO|Password protected"},
		{"DISINFECTED A", backends.Virus, "A"},
		{"DELETED A", backends.Virus, "A"},
		{"DETECT " + list, backends.Virus, strings.TrimSuffix(strings.Repeat("A|", 996), "|")},
		{"NON_SCANNED (PASSWORD PROTECTED)", backends.Encrypted, ""},
		{"NON_SCANNED (PASSWORD PROTECTED) AND CONTAINS OFFICE MACRO", backends.Suspicious, "OFFICE MACRO|"},
		{"NON_SCANNED (CORRUPTED)", backends.Partial, ""},
		{"NON_SCANNED (SKIPPED)", backends.Partial, ""},
		{"NON_SCANNED (CANCELED)", backends.Interrupted, ""},
		{"NON_SCANNED (ACCESS DENIED)", backends.SWErr, ""},
		{"NON_SCANNED", backends.SWErr, ""},
		{"NON_SCANNED (SOMETHING NEW)", backends.SWErr, ""},
		{"SERVER_ERROR", backends.SWErr, ""},
		{"", backends.SWErr, ""},
		{"clean", backends.SWErr, ""},
		{" CLEAN", backends.SWErr, ""},
		{"CLEAN ", backends.SWErr, ""},
		{"CLEANED", backends.SWErr, ""},
		{"CLEAN AND", backends.SWErr, ""},
		{"CLEAN EICAR", backends.SWErr, ""},
		{"CLEAN\x00", backends.SWErr, ""},
		{"DETECTION A", backends.SWErr, ""},
		{"detect A", backends.SWErr, ""},
		{"\x00\xff%s", backends.SWErr, ""},
	}
}

func TestTexts(t *testing.T) {
	for _, tt := range texts() {
		for _, end := range []string{"", "\r\n", "\n"} {
			t.Run(fmt.Sprintf("%.60q%q", tt.reply, end), func(t *testing.T) {
				for _, answer := range []string{plain(tt.reply + end), until(tt.reply + end)} {
					d := backendtest.StartDaemon(t, "tcp", backendtest.Script{wiretest.Request(), say(answer), backendtest.CloseWrite(), backendtest.Drain()})
					r, err := open(t, d.Address(), nil).Scan(backendtest.Context(t), backendtest.Bytes(t, []byte("x")))
					if end == "" && !strings.Contains(answer, "Length") {
						// It may be cut off.
						if err == nil || r.Category == backends.OK {
							t.Errorf("got %+v, %v", r, err)
						}
						continue
					}
					tt.check(t, r, err)
				}
			})
		}
	}
}

// TestSeveralLines checks that several lines are a failure, and that their findings count.
func TestSeveralLines(t *testing.T) {
	for _, tt := range []outcome{
		{"CLEAN\r\nCLEAN\r\n", "", ""},
		{"CLEAN\r\n\r\n", "", ""},
		{"\r\nCLEAN\r\n", "", ""},
		{"NON_SCANNED (PASSWORD PROTECTED)\nCLEAN\n", backends.Encrypted, ""},
		{"CLEAN\r\nDETECT A\r\n", backends.Virus, "A"},
		{"what\r\nDETECT A\r\nDETECT B\r\n", backends.Virus, "A|B"},
		{"SERVER_ERROR AND CONTAINS OFFICE MACRO", backends.Suspicious, "OFFICE MACRO"},
		{strings.Repeat("CLEAN\n", 10000), "", ""},
	} {
		var a backends.Answer
		addText(&a, tt.reply)
		r, err := a.Result()
		if tt.category == "" {
			outcome{category: backends.SWErr}.check(t, r, err)
			continue
		}
		tt.mixed(t, r, err, backends.SWErr)
	}
}

func TestStatuses(t *testing.T) {
	for line, want := range map[string]backends.Category{
		"400 Bad Request": backends.SWErr, "401 Unauthorized": backends.SWErr, "403 Forbidden": backends.SWErr, "404 Not Found": backends.SWErr,
		"408 Request Timeout": backends.Interrupted, "413 Too Large": backends.SWErr, "500 Internal Server Error": backends.SWErr,
		"503 Service Unavailable": backends.SWErr, "204 No Content": backends.SWErr, "302 Found": backends.SWErr, "201 Created": backends.SWErr,
	} {
		for _, change := range []func(*Config){nil, three} {
			d := backendtest.StartDaemon(t, "unix", backendtest.Script{wiretest.Request(), say(status(line)), backendtest.CloseWrite(), backendtest.Drain()})
			r, err := open(t, d.Address(), change).Scan(backendtest.Context(t), backendtest.Bytes(t, []byte("x")))
			outcome{category: want}.check(t, r, err)
			var f *backends.Failure
			if line[0] != '2' && (!errors.As(err, &f) || fmt.Sprint(f.Code) != line[:3]) {
				t.Errorf("%s: %v", line, err)
			}
			if line[:3] == "401" && !strings.Contains(err.Error(), "API token") {
				t.Errorf("no hint: %v", err)
			}
		}
	}
}

// objects are answers of protocol 3; the first is from the manual, 193003.
func objects() []outcome {
	return []outcome{
		{"{\n\"object\": \"memory\",\n\"scanResult\": \"DETECT\",\n\"detectionName\": \"EICAR-Test-File\"\n}", backends.Virus, "EICAR-Test-File"},
		{`{"object":"Memory","scanResult":"CLEAN"}`, backends.OK, ""},
		{`{"object":"memory","scanResult":"CLEAN","containsOfficeMacro":"false","detectionName":null,"name":"x","more":[1]}`, backends.OK, ""},
		{`{"object":"memory","scanResult":"CLEAN","containsOfficeMacro":"true"}`, backends.Suspicious, "OFFICE MACRO"},
		{`{"object":"memory","scanResult":"CLEAN","containsOfficeMacro":true}`, backends.Suspicious, "OFFICE MACRO"},
		{`{"object":"memory","scanResult":"DETECT","detectionName":"A,B","containsOfficeMacro":"true"}`, backends.Virus, "OFFICE MACRO|A|B"},
		{`{"object":"memory","scanResult":"DETECT"}`, backends.Virus, ""},
		{`{"object":"memory","scanResult":"NON_SCANNED (PASSWORD PROTECTED)","containsOfficeMacro":"false"}`, backends.Encrypted, ""},
		{`{"object":"memory","scanResult":"NON_SCANNED","reason":"PASSWORD PROTECTED"}`, backends.Encrypted, ""},
		{`{"object":"memory","scanResult":"NON_SCANNED","reason":"who knows"}`, backends.SWErr, ""},
		{`{"object":"memory","scanResult":"NON_SCANNED (CORRUPTED)"}`, backends.Partial, ""},
		{`{"object":"memory","scanResult":"NON_SCANNED (CANCELED)"}`, backends.Interrupted, ""},
		{`{"object":"memory","scanResult":"SERVER_ERROR"}`, backends.SWErr, ""},
		{`{"error":"Session Timeout"}`, backends.SWErr, ""},
		{`{"object":"memory","scanResult":"CLEAN","error":"x"}`, backends.SWErr, ""},
		{`{"object":"memory","scanResult":"CLEAN","subObjectsScanResults":[]}`, backends.OK, ""},
		{`{"object":"memory","scanResult":"CLEAN","subObjectsScanResults":[{"object":"a//b","scanResult":"NON_SCANNED (PASSWORD PROTECTED)"}]}`, backends.Encrypted, ""},
		{`{"object":"memory","scanResult":"CLEAN","subObjectsScanResults":[{"scanResult":"NON_SCANNED (CORRUPTED)"},{"scanResult":"CLEAN","subObjectsScanResults":[{"scanResult":"DETECT","detectionName":"A"}]}]}`, backends.Virus, "|A"},
		{`{"object":"memory","scanResult":"DETECT","detectionName":"A","subObjectsScanResults":[{"scanResult":"NON_SCANNED (PASSWORD PROTECTED)"},{"scanResult":"DETECT","detectionName":"A"}]}`, backends.Virus, "A||A"},
		{`{"object":"memory","scanResult":"CLEAN","subObjectsScanResults":[{"scanResult":"SERVER_ERROR"}]}`, backends.SWErr, ""},
		{`{"object":"memory","scanResult":"CLEAN","subObjectsScanResults":[{"scanResult":"what"}]}`, backends.SWErr, ""},
		{`{"object":"memory","scanResult":"CLEAN","subObjectsScanResults":[1]}`, backends.SWErr, ""},
		{`{"object":"memory","scanResult":"CLEAN","subObjectsScanResults":{}}`, backends.SWErr, ""},
		{`{"object":"memory","scanResult":"CLEAN","detectionName":"A"}`, backends.SWErr, ""},
		{`{"object":"memory","scanResult":"CLEAN","containsOfficeMacro":"perhaps"}`, backends.SWErr, ""},
		{`{"object":"memory","scanResult":"CLEAN","containsOfficeMacro":{}}`, backends.SWErr, ""},
		{`{"object":"memory","scanResult":"DETECT","scanResult":"CLEAN"}`, backends.SWErr, ""},
		{`{"object":"memory","ScanResult":"CLEAN"}`, backends.SWErr, ""},
		{`{"object":"memory","scanResult":["CLEAN"]}`, backends.SWErr, ""},
		{`{"object":"memory","scanResult":""}`, backends.SWErr, ""},
		{`{"object":"/other","scanResult":"CLEAN"}`, backends.SWErr, ""},
		{`{"scanResult":"CLEAN"}`, backends.SWErr, ""},
		{`{"object":"memory","scanResult":"CLEAN"}{"object":"memory","scanResult":"DETECT"}`, backends.SWErr, ""},
		{`[{"object":"memory","scanResult":"CLEAN"}]`, backends.SWErr, ""},
		{`"CLEAN"`, backends.SWErr, ""},
		{`CLEAN`, backends.SWErr, ""},
		{``, backends.SWErr, ""},
		{`<html>`, backends.SWErr, ""},
	}
}

func TestObjects(t *testing.T) {
	for _, tt := range objects() {
		t.Run(fmt.Sprintf("%.100q", tt.reply), func(t *testing.T) {
			for _, answer := range []string{plain(tt.reply), until(tt.reply), until(tt.reply + "\r\n")} {
				d := backendtest.StartDaemon(t, "unix", backendtest.Script{wiretest.Request(), say(answer), backendtest.CloseWrite(), backendtest.Drain()})
				r, err := open(t, d.Address(), three).Scan(backendtest.Context(t), backendtest.Bytes(t, []byte("x")))
				switch {
				case strings.Contains(answer, "Length"):
					tt.check(t, r, err)
				case tt.category.IsFailure() || tt.category == backends.OK:
					if err == nil || r.Category != "" {
						t.Errorf("%q, which may be cut off: %+v, %v", answer, r, err)
					}
				default:
					tt.mixed(t, r, err, backends.SWErr)
				}
			}
		})
	}
}

// TestMasked checks that a finding in one part does not hide the failure of another.
func TestMasked(t *testing.T) {
	const locked, canceled, failed, denied, virus = `{"object":"a","scanResult":"NON_SCANNED (PASSWORD PROTECTED)"}`, `{"object":"b","scanResult":"NON_SCANNED (CANCELED)"}`,
		`{"object":"c","scanResult":"SERVER_ERROR"}`, `{"object":"d","scanResult":"NON_SCANNED (ACCESS DENIED)"}`, `{"object":"e","scanResult":"DETECT","detectionName":"A"}`
	for _, tt := range []struct {
		parts   string
		found   outcome
		failure backends.Category
	}{
		{locked + "," + canceled, outcome{"", backends.Encrypted, ""}, backends.Interrupted},
		{canceled + "," + locked, outcome{"", backends.Encrypted, ""}, backends.Interrupted},
		{locked + "," + canceled + "," + failed, outcome{"", backends.Encrypted, ""}, backends.SWErr},
		{locked + "," + denied, outcome{"", backends.Encrypted, ""}, backends.SWErr},
		{virus + "," + failed, outcome{"", backends.Virus, "A"}, backends.SWErr},
		{locked + "," + virus + "," + canceled, outcome{"", backends.Virus, "|A"}, backends.Interrupted},
		{locked + `,{"scanResult":"what"}`, outcome{"", backends.Encrypted, ""}, backends.SWErr},
		{locked + `,1`, outcome{"", backends.Encrypted, ""}, backends.SWErr},
		{locked + `,{"subObjectsScanResults":[` + virus + `]}`, outcome{"", backends.Virus, "|A"}, backends.SWErr},
	} {
		for _, whole := range []string{"CLEAN", "DETECT A"} {
			body := `{"object":"memory","scanResult":"` + whole + `","subObjectsScanResults":[` + tt.parts + `]}`
			if whole != "CLEAN" {
				tt.found.category = backends.Virus
			}
			d := backendtest.StartDaemon(t, "unix", backendtest.Script{wiretest.Request(), say(plain(body)), backendtest.CloseWrite(), backendtest.Drain()})
			r, err := open(t, d.Address(), three).Scan(backendtest.Context(t), backendtest.Bytes(t, []byte("x")))
			if whole != "CLEAN" { // the names begin with that of the whole
				if r.Category != backends.Virus || r.Findings[0].Name != "A" || backends.CategoriesOf(err)[0] != tt.failure {
					t.Errorf("%s: %+v, %v", body, r, err)
				}
				continue
			}
			tt.found.mixed(t, r, err, tt.failure)
		}
	}
}
