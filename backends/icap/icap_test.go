package icap

import (
	"errors"
	"fmt"
	"reflect"
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
)

// open opens a backend for address with the defaults changed by set.
func open(tb testing.TB, address string, set ...func(c *Config)) *Backend {
	tb.Helper()
	return backendtest.Open(tb, NewConfig, address, set...).(*Backend)
}

func on(service string) func(c *Config) { return func(c *Config) { c.Service = service } }

var (
	composed = backendtest.Composed
	cicap    = func(s string) backendtest.Words { return backendtest.Recorded("c-icap 0.5.10", s) }
)

// outcome is the outcome of one scan.
type outcome struct {
	category backends.Category
	code     int
	names    []string
	failure  backends.Category // in addition to a finding; empty: none
}

func (o outcome) String() string {
	s := fmt.Sprintf("%s/%d%q", o.category, o.code, o.names)
	if o.failure != "" {
		s += "+" + string(o.failure)
	}
	return s
}

// outcomeOf returns the outcome of a scan. An error without a result counts by its
// category.
func outcomeOf(r backends.Result, err error) outcome {
	if err != nil && r.Category == "" {
		o := outcome{category: backends.CategoryOf(err), code: backends.NoCode}
		var f *backends.Failure
		if errors.As(err, &f) {
			o.code = f.Code
		}
		return o
	}
	o := outcome{category: r.Category, code: r.Code}
	for _, f := range r.Findings {
		o.names = append(o.names, f.Name)
	}
	if err != nil {
		o.failure = backends.CategoriesOf(err)[0]
	}
	return o
}

// checked scans, and checks that the result is valid and an error is a failure.
func checked(tb testing.TB, b *Backend, o backends.Object) outcome {
	tb.Helper()
	r, err := b.Scan(backendtest.Context(tb), o)
	if r.Category != "" || err == nil {
		if problem := backendtest.Check(r); problem != "" {
			tb.Errorf("%+v: %s", r, problem)
		}
	} else if !reflect.DeepEqual(r, backends.Result{}) {
		tb.Errorf("a result without a category: %+v, %v", r, err)
	}
	if err != nil && (!backends.CategoryOf(err).IsFailure() || r.Category == backends.OK) {
		tb.Errorf("%v with %+v", err, r)
	}
	return outcomeOf(r, err)
}

// reuses makes a backend reuse kept connections immediately.
func reuses(b *Backend) *Backend {
	b.conns.Cooldown = 0
	b.conns.Open()
	return b
}

func keeps(c *Config) { c.KeepAlive = true }
