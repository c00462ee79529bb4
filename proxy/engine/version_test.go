package engine

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"polyclam/backends"
)

// versioned is an engine that reports its version and knows RELOAD.
type versioned struct {
	fakeEngine
	text    string
	verr    error
	vgate   chan struct{}
	asks    int
	rerr    error
	rgate   chan struct{}
	reloads int
}

func (v *versioned) Version(context.Context) (backends.Version, error) {
	v.mu.Lock()
	v.asks++
	text, err, gate := v.text, v.verr, v.vgate
	v.mu.Unlock()
	if gate != nil {
		<-gate
	}
	if text == "panic" {
		panic(text)
	}
	return backends.Version{Text: text, DatabaseTime: time.Unix(1e9, 0)}, err
}

// asked is how often it was asked for its version.
func (v *versioned) asked() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.asks
}

func (v *versioned) Reload(context.Context) error {
	v.mu.Lock()
	v.reloads++
	err, gate := v.rerr, v.rgate
	v.mu.Unlock()
	if gate != nil {
		<-gate
	}
	return err
}

func wantVersion(t *testing.T, e *Engine, want string) {
	t.Helper()
	v, ok := e.Version(t.Context())
	if v.Text != want || ok != (want != "") {
		t.Errorf("version %q, %v, want %q", v.Text, ok, want)
	}
}

func TestVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &versioned{text: "one"}
		e := New(config(&fakeEngine{}, f)) // the first node reports none
		defer e.Close()
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() { wantVersion(t, e, "one") })
		}
		wg.Wait()
		if f.asked() != 1 {
			t.Errorf("asked %d times", f.asked())
		}
		f.set(func(*fakeEngine) { f.text = "two" })
		time.Sleep(4 * time.Second)
		wantVersion(t, e, "one")
		time.Sleep(time.Second)
		wantVersion(t, e, "two")
		for _, fail := range []func(){
			func() { f.verr = errors.New("x") },
			func() { f.text = "panic" },
		} {
			f.set(func(*fakeEngine) { fail() })
			time.Sleep(5 * time.Second)
			asks := f.asked()
			wantVersion(t, e, "two") // the last one known
			wantVersion(t, e, "two")
			if f.asked() != asks+1 {
				t.Errorf("asked %d times", f.asked()-asks)
			}
		}
		if v := e.Status().Nodes[1]; v.Version != "two" || v.DatabaseTime.Unix() != 1e9 {
			t.Errorf("status %+v", v)
		}
	})
}

// TestVersionHangs has an engine that hangs forever: the wait for it is bounded, and there
// is one question at a time.
func TestVersionHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, other := &versioned{text: "late", vgate: make(chan struct{})}, &versioned{text: "other"}
		e := New(config(f, other))
		defer e.Close()
		begin := time.Now()
		wantVersion(t, e, "other")
		if took := time.Since(begin); took != time.Second {
			t.Errorf("took %v", took)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		e.Version(ctx) // returns immediately
		for range 10 {
			time.Sleep(10 * time.Second)
			wantVersion(t, e, "other")
		}
		if took := time.Since(begin); took != 101*time.Second || f.asked() != 1 {
			t.Errorf("took %v, asked %d times", took, f.asked())
		}
		if err := e.Reload(within(t, time.Second)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("reload of a node that does not answer: %v", err)
		}
		close(f.vgate) // an answer from before the reload
		synctest.Wait()
		if v := e.Status().Nodes[0].Version; v != "" {
			t.Errorf("version %q", v)
		}
		wantVersion(t, e, "late")
	})
}

func TestVersionUnknown(t *testing.T) {
	e := New(config(&fakeEngine{}))
	defer e.Close()
	wantVersion(t, e, "")
}

func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		good := &versioned{text: "old"}
		bad := &versioned{rerr: errors.New("no")}
		e := New(withCanary(good, &fakeEngine{}, bad))
		run(t, e)
		synctest.Wait()
		wantVersion(t, e, "old")
		good.set(func(*fakeEngine) { good.text = "new" })
		time.Sleep(2 * time.Second)
		err := e.Reload(t.Context())
		if err == nil || !strings.Contains(err.Error(), "reload fake c: no") || strings.Contains(err.Error(), "fake a") {
			t.Errorf("error %v", err)
		}
		if good.reloads != 1 || bad.reloads != 1 {
			t.Errorf("reloads %d and %d", good.reloads, bad.reloads)
		}
		synctest.Wait()
		if n := len(good.checks()); n != 2 {
			t.Errorf("%d health checks", n)
		}
		wantVersion(t, e, "new")

		// The health check under way predates the reload: another one follows.
		good.set(func(f *fakeEngine) { f.hold = make(chan struct{}) })
		time.Sleep(5 * time.Minute)
		bad.set(func(*fakeEngine) { bad.rerr = nil })
		done := make(chan error)
		go func() { done <- e.Reload(t.Context()) }()
		time.Sleep(time.Second)
		close(good.hold)
		if err := <-done; err != nil {
			t.Error(err)
		}
		if n := len(good.checks()); n != 4 {
			t.Errorf("%d health checks", n)
		}
	})
}

func TestReloadHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hung, good := &versioned{rgate: make(chan struct{})}, &versioned{}
		e := New(config(hung, good))
		defer e.Close()
		begin := time.Now()
		err := e.Reload(within(t, 3*time.Second))
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != 3*time.Second || good.reloads != 0 {
			t.Errorf("error %v after %v", err, time.Since(begin))
		}
		close(hung.rgate)
	})
}
