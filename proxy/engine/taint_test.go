package engine

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"polyclam/backends"
)

// TestTaint checks that an object is tainted if an engine may keep its descriptor: the engine
// failed, was cancelled, or has not returned. It is tainted before its last release.
func TestTaint(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer func(ctx context.Context, o backends.Object) (backends.Result, error)
		want   bool
	}{
		{"clean", func(context.Context, backends.Object) (backends.Result, error) { return backends.Clean(0), nil }, false},
		{"found", func(context.Context, backends.Object) (backends.Result, error) { return backends.Found(1, "X"), nil }, false},
		{"died", func(context.Context, backends.Object) (backends.Result, error) {
			return backends.Result{}, fmt.Errorf("fake: %w", backends.ErrNoReply)
		}, true},
		{"found and failed", func(context.Context, backends.Object) (backends.Result, error) {
			return backends.Found(1, "X"), fmt.Errorf("fake: %w", backends.ErrNoReply)
		}, true},
		{"ends with its context", func(ctx context.Context, _ backends.Object) (backends.Result, error) {
			<-ctx.Done()
			return backends.Result{}, ctx.Err()
		}, true},
		{"hangs", func(ctx context.Context, _ backends.Object) (backends.Result, error) {
			<-ctx.Done()
			time.Sleep(time.Minute)
			return backends.Clean(0), nil
		}, true},
		{"panics", func(context.Context, backends.Object) (backends.Result, error) { panic("fake") }, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := config(&fakeEngine{answer: tt.answer})
				cfg.Timeout = time.Second
				e := New(cfg)
				defer e.Close()
				o := text("object")
				e.Scan(t.Context(), o, false)
				if got := o.tainted.Load(); got != tt.want {
					t.Errorf("tainted: %v, want %v", got, tt.want)
				}
				time.Sleep(2 * time.Minute)
			})
		})
	}
}
