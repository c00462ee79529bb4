package httpscan

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/internal/wire"
	"polyclam/backends/internal/wire/wiretest"
)

// outcome is an answer and the outcome wanted.
type outcome struct {
	status   int
	body     string
	category backends.Category
	names    string
}

const (
	clean    = `[{"Status":"OK","Description":"","FileName":"object"}]`
	apiClean = `{"success":true,"data":{"result":[{"name":"x","is_infected":false,"viruses":[]}]}}`
)

var restOutcomes = []outcome{
	{200, clean, backends.OK, ""},
	{200, `[{"Status":"OK"}]` + "\n", backends.OK, ""},
	{406, `[{"Status":"FOUND","Description":"Eicar","FileName":"x"}]`, backends.Virus, "Eicar"},
	{406, `[{"Status":"FOUND","Description":"Heuristics.Encrypted.Zip"}]`, backends.Encrypted, "Heuristics.Encrypted.Zip"},
	{406, `[{"Status":"FOUND","Description":"Heuristics.Limits.Exceeded.MaxFiles"}]`, backends.Partial, "Heuristics.Limits.Exceeded.MaxFiles"},
	{406, `[{"Status":"FOUND","Description":""}]`, backends.Virus, ""},
	{406, `[]`, backends.SWErr, ""},
	{406, `<html>`, backends.SWErr, ""},
	{406, ``, backends.SWErr, ""},
	{406, clean, backends.SWErr, ""},
	{200, `[{"Status":"OK","Description":"Eicar FOUND"}]`, backends.SWErr, ""},
	{200, `[{"Status":"OK","Description":null}]`, backends.OK, ""},
	{200, `[{"Status":"OK","Description":7}]`, backends.SWErr, ""},
	{200, `[{"Status":"OK","Description":{"Status":"FOUND"}}]`, backends.SWErr, ""},
	{200, `[{"Status":"OK","status":"FOUND"}]`, backends.SWErr, ""},
	{200, `[{"Status":"FOUND","Description":"Eicar"}]`, backends.Virus, "Eicar"},
	{200, `[{"Status":"ERROR","Description":"x"}]`, backends.SWErr, ""},
	{200, `[]`, backends.SWErr, ""},
	{200, ``, backends.SWErr, ""},
	{200, `null`, backends.SWErr, ""},
	{200, `OK`, backends.SWErr, ""},
	{200, `[{"Status":"ok"}]`, backends.SWErr, ""},
	{200, `[{"status":"OK"}]`, backends.SWErr, ""},
	{200, `[{"Status":["OK","OK"]}]`, backends.SWErr, ""},
	{200, `[{"Status":["OK"]}]`, backends.SWErr, ""},
	{200, `[{"Status":"OK","Status":"FOUND"}]`, backends.SWErr, ""},
	{200, `[{"Status":"OK"},{"Status":"OK"}]`, backends.SWErr, ""},
	{200, `{"0":{"Status":"OK"}}`, backends.OK, ""}, // a key instead of an index
	{200, clean + clean, backends.SWErr, ""},
	{200, `[{"Status":"OK"`, backends.SWErr, ""},
	{400, `[{"Status":"ERROR","Description":"x"}]`, backends.SWErr, ""},
	{412, clean, backends.SWErr, ""},
	{412, `[{"Status":"PARSE ERROR","Description":"INSTREAM size limit exceeded. ERROR","FileName":"x"}]`, backends.Partial, ""},
	{412, `[{"Status":"PARSE ERROR","Description":"INSTREAM size limit exceeded. ERROR or so"}]`, backends.SWErr, ""},
	{412, `[{"Status":"PARSE ERROR","Description":"size limit"}]`, backends.SWErr, ""},
	{400, `[{"Status":"ERROR","Description":"INSTREAM size limit exceeded. ERROR"}]`, backends.Partial, ""},
	{200, `[{"Status":"OK","Description":"INSTREAM size limit exceeded. ERROR"}]`, backends.SWErr, ""},
	{413, `[{"Status":"PARSE ERROR","Description":"File size limit exceeded"}]`, backends.CannotExecute, ""}, // about one byte
	{422, clean, backends.SWErr, ""},
	{500, clean, backends.SWErr, ""},
	{501, clean, backends.SWErr, ""},
	{201, clean, backends.SWErr, ""},
	{204, "", backends.SWErr, ""},
	{302, clean, backends.SWErr, ""},
	{307, clean, backends.SWErr, ""},
	{401, clean, backends.SWErr, ""},
	{404, "404 page not found\n", backends.SWErr, ""},
	{503, clean, backends.SWErr, ""},
}

var rawOutcomes = []outcome{
	{200, "{OK   200}", backends.OK, ""},
	{406, "{FOUND Eicar-Test-Signature  406}", backends.Virus, "Eicar-Test-Signature"},
	{406, "{FOUND Heuristics.Encrypted.Zip  406}", backends.Encrypted, "Heuristics.Encrypted.Zip"},
	{406, "{FOUND}", backends.Virus, ""},
	{200, "{FOUND X  406}", backends.Virus, "X"},
	{200, "{ERROR x  400}", backends.SWErr, ""},
	{200, "", backends.SWErr, ""},
	{200, "{OK", backends.SWErr, ""},
	{200, "{OK   200}\n", backends.OK, ""},
	{200, "{OK  200}", backends.OK, ""}, // older versions without FileName
	{200, "{OK   200} and more", backends.SWErr, ""},
	{200, "{OK   200}{OK   200}", backends.SWErr, ""},
	{200, "x{OK   200}", backends.SWErr, ""},
	{200, "{OK Eicar  200}", backends.SWErr, ""},
	{200, "{OK   406}", backends.SWErr, ""},
	{406, "{OK   200}", backends.SWErr, ""},
	{406, "<html>", backends.SWErr, ""},
	{406, "{FOUND {HEX}EICAR.TEST.3.UNOFFICIAL  406}", backends.Virus, "{HEX}EICAR.TEST.3.UNOFFICIAL"},
	{200, clean, backends.SWErr, ""},
	{400, "{ERROR x  400}", backends.SWErr, ""},
	{412, "{PARSE ERROR INSTREAM size limit exceeded. ERROR  412}", backends.Partial, ""},
	{412, "{PARSE ERROR INSTREAM size  412}", backends.SWErr, ""},
}

var apiOutcomes = []outcome{
	{200, apiClean, backends.OK, ""},
	{200, `{"success":true,"data":{"result":[{"is_infected":true,"viruses":["A","B"]}]}}`, backends.Virus, "A|B"},
	{200, `{"success":true,"data":{"result":[{"is_infected":true,"viruses":[]}]}}`, backends.Virus, ""},
	{200, `{"success":true,"data":{"result":[{"is_infected":true,"viruses":["Heuristics.Encrypted.Zip"]}]}}`, backends.Encrypted, "Heuristics.Encrypted.Zip"},
	{200, `{"success":true,"data":{"result":[{"is_infected":true,"viruses":["Heuristics.Encrypted.Zip","A",1,null,{}]}]}}`, backends.Virus, "Heuristics.Encrypted.Zip|A|1"},
	{200, `{"success":true,"data":{"result":[{"is_infected":null,"viruses":[]}]}}`, backends.SWErr, ""},
	{200, `{"success":true,"data":{"result":[{"viruses":[]}]}}`, backends.SWErr, ""},
	{200, `{"success":true,"data":{"result":[]}}`, backends.SWErr, ""},
	{200, `{"success":true,"data":{"result":[{"is_infected":false},{"is_infected":false}]}}`, backends.SWErr, ""},
	{200, `{"success":true,"data":{"result":[{"is_infected":false}]}}`, backends.OK, ""},
	{200, `{"success":true,"data":{"result":[{"is_infected":false,"viruses":null}]}}`, backends.OK, ""},
	{200, `{"success":true,"data":{"result":[{"is_infected":false,"viruses":"Eicar"}]}}`, backends.SWErr, ""},
	{200, `{"success":true,"data":{"result":[{"is_infected":false,"viruses":{"Eicar":1}}]}}`, backends.SWErr, ""},
	{200, `{"success":true,"data":{"result":[{"is_infected":false}],"Result":[{"is_infected":true}]}}`, backends.SWErr, ""},
	{200, `{"success":false,"data":{"result":[{"is_infected":false}]}}`, backends.SWErr, ""},
	{200, `{"data":{"result":[{"is_infected":false}]}}`, backends.SWErr, ""},
	{200, `{"success":false,"data":{"error":"x"}}`, backends.SWErr, ""},
	{400, `{"success":false,"data":{"error":"No files were uploaded"}}`, backends.SWErr, ""},
	{500, `{"success":false,"data":{"error":"x"}}`, backends.SWErr, ""},
	{413, `File size limit has been reached`, backends.Partial, ""},
	{200, `<html>`, backends.SWErr, ""},
}

var customOutcomes = []outcome{
	{200, "", backends.OK, ""}, {250, "result=clean", backends.OK, ""}, {250, "result=clean\r\n", backends.OK, ""}, {250, "result=clean;name=X", backends.SWErr, ""}, {250, "result=bad;name=X Y;", backends.Virus, "X Y"},
	{250, "result=locked;name=X", backends.Encrypted, ""}, {250, "result=broken", backends.SWErr, ""}, {250, "result=new", backends.SWErr, ""}, {250, "", backends.SWErr, ""},
	{403, "name=X", backends.Virus, "X"}, {403, "", backends.Virus, ""}, {410, "name=X", backends.Suspicious, "X"}, {410, "", backends.Suspicious, ""},
	{411, "", backends.Encrypted, ""}, {412, "", backends.Partial, ""}, {500, "", backends.SWErr, ""}, {503, "", backends.CannotExecute, ""}, {504, "", backends.Interrupted, ""},
	{403, "name=" + strings.Repeat("A", 5000), backends.Virus, strings.Repeat("A", 1024)},
}

func TestOutcomes(t *testing.T) {
	for name, flavour := range map[string]struct {
		change   func(*Config)
		outcomes []outcome
	}{"rest": {nil, restOutcomes}, "raw": {raw, rawOutcomes}, "api": {api, apiOutcomes}, "custom": {custom, customOutcomes}} {
		for _, tt := range flavour.outcomes {
			t.Run(fmt.Sprintf("%s %d %.60q", name, tt.status, tt.body), func(t *testing.T) {
				d := backendtest.StartDaemon(t, "tcp", backendtest.Script{wiretest.Request(), say(answer(tt.status, tt.body)), backendtest.CloseWrite(), backendtest.Drain()})
				r, err := open(t, d.Address(), flavour.change).Scan(backendtest.Context(t), backendtest.Bytes(t, []byte("x")))
				tt.check(t, r, err)
			})
		}
	}
}

func (o outcome) check(t *testing.T, r backends.Result, err error) {
	t.Helper()
	if o.category.IsFailure() {
		if err == nil || backends.CategoryOf(err) != o.category || !reflect.DeepEqual(r, backends.Result{}) || len(err.Error()) > 1500 {
			t.Errorf("got %+v, %v, want %v", r, err, o.category)
		}
		return
	}
	var names []string
	for _, f := range r.Findings {
		names = append(names, f.Name)
	}
	if err != nil || r.Category != o.category || r.Code != o.status || strings.Join(names, "|") != o.names {
		t.Errorf("got %+v, %v, want %v, %q", r, err, o.category, o.names)
	}
	if problem := backendtest.Check(r); problem != "" || len(r.Detail) > 512 {
		t.Errorf("%+v: %s", r, problem)
	}
}

// TestContradictions checks that a finding counts together with the failure.
func TestContradictions(t *testing.T) {
	for _, tt := range []struct {
		change func(*Config)
		outcome
	}{
		{nil, outcome{406, `[{"Status":"OK"},{"Status":"FOUND","Description":"Eicar"}]`, backends.Virus, "Eicar"}},
		{nil, outcome{200, `[{"Status":"OK"},{"Status":"FOUND","Description":"Eicar"}]`, backends.Virus, "Eicar"}},
		{nil, outcome{406, `[{"Status":"FOUND","Description":"A"},{"Status":"FOUND","Description":"B"}]`, backends.Virus, "A|B"}},
		{nil, outcome{406, `[{"Status":"FOUND","Description":"A"},{"Status":"ERROR","Description":"B"}]`, backends.Virus, "A"}},
		{raw, outcome{200, "{OK   200}{FOUND Eicar  406}", backends.Virus, "Eicar"}},
		{raw, outcome{406, "{FOUND Eicar  406}{ERROR x  400}", backends.Virus, "Eicar"}},
		{api, outcome{200, `{"success":true,"data":{"result":[{"is_infected":false,"viruses":["Eicar"]}]}}`, backends.Virus, "Eicar"}},
		{api, outcome{200, `{"success":true,"data":{"result":[{"is_infected":false,"viruses":["Heuristics.Encrypted.Zip"]}]}}`, backends.Encrypted, "Heuristics.Encrypted.Zip"}},
		{api, outcome{200, `{"success":true,"data":{"result":[{"is_infected":false,"viruses":[null]}]}}`, backends.Virus, ""}},
		{api, outcome{200, `{"success":true,"data":{"result":[{"is_infected":false},{"is_infected":true,"viruses":["A"]}]}}`, backends.Virus, "A"}},
		{api, outcome{200, `{"success":false,"data":{"result":[{"is_infected":true,"viruses":["A"]}]}}`, backends.Virus, "A"}},
		{custom, outcome{250, "result=bad;name=X;\nresult=broken", backends.Virus, "X"}},
	} {
		if tt.change == nil {
			tt.change = func(*Config) {}
		}
		c := NewConfig().(*Config)
		tt.change(c)
		if c.Flavour == flavourCustom {
			c.AnswerRegex = `(?m)` + c.AnswerRegex
		}
		s, err := c.service()
		if err != nil {
			t.Fatal(err)
		}
		var a backends.Answer
		s.judge(&wire.Response{Status: tt.status, Body: []byte(tt.body), Measured: true}, 1, &a)
		r, err := a.Result()
		if err == nil {
			t.Errorf("%d %q: no failure with %+v", tt.status, tt.body, r)
		}
		tt.check(t, r, nil)
	}
}

// TestTooLarge checks that 413 is partial only for an object that may really be too large.
func TestTooLarge(t *testing.T) {
	refuse := answer(413, `[{"Status":"PARSE ERROR","Description":"File size limit exceeded"}]`)
	for _, tt := range []struct {
		size   int
		change func(*Config)
		want   backends.Category
	}{
		{smallest, nil, backends.Partial},
		{smallest - 1, nil, backends.CannotExecute},
		{1, func(c *Config) { c.Statuses = map[string]string{"413": "partial"} }, backends.Partial},
		{smallest, func(c *Config) { c.Statuses = map[string]string{"413": "swerr"} }, backends.SWErr},
	} {
		d := backendtest.StartDaemon(t, "tcp", backendtest.Script{wiretest.Request(), say(refuse), backendtest.Drain()})
		r, err := open(t, d.Address(), tt.change).Scan(backendtest.Context(t), backendtest.LargeObject(t, tt.size))
		outcome{status: 413, category: tt.want}.check(t, r, err)
	}
}
