package httpscan

import (
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
)

// FuzzAnswer: whatever comes, it is a result or a failure, and an ok is one that the
// tables say.
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
			r, err := s.amounts(newResponse(status, body), 10)
			if err != nil {
				if !backends.CategoryOf(err).IsFailure() {
					t.Errorf("%s %d %q: %v", name, status, body, err)
				}
				continue
			}
			if problem := backendtest.Check(r); problem != "" {
				t.Errorf("%s %d %q: %+v: %s", name, status, body, r, problem)
			}
			if r.Category == backends.OK && status != 200 && (name != "custom" || status != 250) {
				t.Errorf("%s %d %q is ok", name, status, body)
			}
		}
	})
}
