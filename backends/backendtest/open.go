package backendtest

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"polyclam/backends"
)

// Context returns a context with a timeout of a minute, so that a hanging test fails.
func Context(tb testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(tb.Context(), time.Minute)
	tb.Cleanup(cancel)
	return ctx
}

// Open changes the default configuration of a backend, opens the backend for an address,
// and closes it when the test ends. A change may be nil.
func Open[C backends.Config](tb testing.TB, newConfig func() backends.Config, address string, changes ...func(C)) backends.Backend {
	tb.Helper()
	b, err := changed(newConfig, changes...).Open(address)
	if err != nil {
		tb.Fatal(err)
	}
	if c, ok := b.(io.Closer); ok {
		tb.Cleanup(func() { c.Close() })
	}
	return b
}

func changed[C backends.Config](newConfig func() backends.Config, changes ...func(C)) backends.Config {
	config := newConfig()
	for _, change := range changes {
		if change != nil {
			change(config.(C))
		}
	}
	return config
}

// WantConfigErrors applies each change in bad to the default configuration, and wants an
// error that contains its key. Without an address, the error must contain example.
func WantConfigErrors[C backends.Config](t *testing.T, newConfig func() backends.Config, address, example string, bad map[string]func(C)) {
	t.Helper()
	for want, change := range bad {
		if b, err := changed(newConfig, change).Open(address); err == nil || b != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
	if b, err := newConfig().Open(""); err == nil || b != nil || !strings.Contains(err.Error(), example) {
		t.Errorf("without an address: got %v, want an error with %q", err, example)
	}
}
