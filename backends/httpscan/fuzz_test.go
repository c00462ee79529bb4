package httpscan

import (
	"strings"
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/internal/wire"
)

// FuzzAnswer checks that every answer is a valid result or a failure, and that OK is in the
// tables.
func FuzzAnswer(f *testing.F) {
	for _, list := range [][]outcome{restOutcomes, rawOutcomes, apiOutcomes, customOutcomes} {
		for _, o := range list {
			f.Add(o.status, o.body)
		}
	}
	services := map[string]service{}
	for name, change := range map[string]func(*Config){"rest": func(*Config) {}, "raw": raw, "api": api, "custom": custom} {
		c := NewConfig().(*Config)
		change(c)
		s, err := c.service()
		if err != nil {
			f.Fatal(err)
		}
		services[name] = s
	}
	f.Fuzz(func(t *testing.T, status int, body string) {
		for name, s := range services {
			for _, measured := range []bool{true, false} {
				var a backends.Answer
				s.judge(&wire.Response{Status: status, Body: []byte(body), Measured: measured}, 10, &a)
				r, err := a.Result()
				if err != nil && !backends.CategoryOf(err).IsFailure() {
					t.Errorf("%s %d %q: %v", name, status, body, err)
				}
				if r.Category == "" {
					continue
				}
				if problem := backendtest.Check(r); problem != "" {
					t.Errorf("%s %d %q: %+v: %s", name, status, body, r, problem)
				}
				known := status == 200 || name == "custom" && status == 250
				if r.Category == backends.OK && (err != nil || !known || !measured) {
					t.Errorf("%s %d %q is ok, %v", name, status, body, err)
				}
				if r.Category == backends.OK && name == "raw" && strings.Join(strings.Fields(body), " ") != "{OK 200}" {
					t.Errorf("%q is ok", body)
				}
			}
		}
	})
}
