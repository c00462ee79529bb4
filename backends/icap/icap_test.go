package icap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
)

// open makes a backend for address with its defaults changed by set.
func open(tb testing.TB, address string, set ...func(c *Config)) *Backend {
	tb.Helper()
	config := NewConfig().(*Config)
	for _, f := range set {
		f(config)
	}
	b, err := config.Open(address)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { b.(io.Closer).Close() })
	return b.(*Backend)
}

func on(service string) func(c *Config) { return func(c *Config) { c.Service = service } }

func testContext(tb testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(tb.Context(), time.Minute)
	tb.Cleanup(cancel)
	return ctx
}

var (
	composed = backendtest.Composed
	cicap    = func(s string) backendtest.Words { return backendtest.Recorded("c-icap 0.5.10", s) }
)

// the wanted outcome of one scan
type outcome struct {
	category backends.Category
	code     int
	names    []string
}

func (o outcome) String() string { return fmt.Sprintf("%s/%d%q", o.category, o.code, o.names) }

// outcomeOf is what a scan came to, an error by its category.
func outcomeOf(r backends.Result, err error) outcome {
	if err != nil {
		o := outcome{backends.CategoryOf(err), backends.NoCode, nil}
		var f *backends.Failure
		if errors.As(err, &f) {
			o.code = f.Code
		}
		return o
	}
	o := outcome{r.Category, r.Code, nil}
	for _, f := range r.Findings {
		o.names = append(o.names, f.Name)
	}
	return o
}

// checked scans, and sees that a result is one and an error has none.
func checked(tb testing.TB, b *Backend, c backends.Content) outcome {
	tb.Helper()
	r, err := b.Scan(testContext(tb), c)
	switch {
	case err == nil:
		if problem := backendtest.Check(r); problem != "" {
			tb.Errorf("%+v: %s", r, problem)
		}
	case !reflect.DeepEqual(r, backends.Result{}):
		tb.Errorf("both a result and an error: %+v, %v", r, err)
	case !backends.CategoryOf(err).IsFailure():
		tb.Errorf("%v is no failure", err)
	}
	return outcomeOf(r, err)
}
