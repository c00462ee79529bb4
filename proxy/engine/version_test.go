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

// versioned is an engine that tells its version and can be reloaded.
type versioned struct {
	engine
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

func wantVersion(t *testing.T, u *Engine, want string) {
	t.Helper()
	v, ok := u.Version(t.Context())
	if v.Text != want || ok != (want != "") {
		t.Errorf("version %q, %v, want %q", v.Text, ok, want)
	}
}

func TestVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &versioned{text: "one"}
		u := New(config(&engine{}, e)) // the first node cannot tell
		defer u.Close()
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() { wantVersion(t, u, "one") })
		}
		wg.Wait()
		if e.asked() != 1 {
			t.Errorf("asked %d times", e.asked())
		}
		e.set(func(*engine) { e.text = "two" })
		time.Sleep(4 * time.Second)
		wantVersion(t, u, "one")
		time.Sleep(time.Second)
		wantVersion(t, u, "two")
		for _, fail := range []func(){
			func() { e.verr = errors.New("x") },
			func() { e.text = "panic" },
		} {
			e.set(func(*engine) { fail() })
			time.Sleep(5 * time.Second)
			asks := e.asked()
			wantVersion(t, u, "two") // the last one known
			wantVersion(t, u, "two")
			if e.asked() != asks+1 {
				t.Errorf("asked %d times", e.asked()-asks)
			}
		}
		if v := u.Status().Nodes[1]; v.Version != "two" || v.DatabaseTime.Unix() != 1e9 {
			t.Errorf("status %+v", v)
		}
	})
}

// TestVersionHangs checks the bound of the wait, for an engine that hangs for
// ever, and that no more than one question is under way.
func TestVersionHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, other := &versioned{text: "late", vgate: make(chan struct{})}, &versioned{text: "other"}
		u := New(config(e, other))
		defer u.Close()
		begin := time.Now()
		wantVersion(t, u, "other")
		if took := time.Since(begin); took != time.Second {
			t.Errorf("took %v", took)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		u.Version(ctx) // and back at once
		for range 10 {
			time.Sleep(10 * time.Second)
			wantVersion(t, u, "other")
		}
		if took := time.Since(begin); took != 101*time.Second || e.asked() != 1 {
			t.Errorf("took %v, asked %d times", took, e.asked())
		}
		if err := u.Reload(within(t, time.Second)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("reload of a node that does not answer: %v", err)
		}
		close(e.vgate) // an answer of before the reload
		synctest.Wait()
		if v := u.Status().Nodes[0].Version; v != "" {
			t.Errorf("version %q", v)
		}
		wantVersion(t, u, "late")
	})
}

func TestVersionUnknown(t *testing.T) {
	u := New(config(&engine{}))
	defer u.Close()
	wantVersion(t, u, "")
}

func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		good := &versioned{text: "old"}
		bad := &versioned{rerr: errors.New("no")}
		u := New(withCanary(good, &engine{}, bad))
		run(t, u)
		synctest.Wait()
		wantVersion(t, u, "old")
		good.set(func(*engine) { good.text = "new" })
		time.Sleep(2 * time.Second)
		err := u.Reload(t.Context())
		if err == nil || !strings.Contains(err.Error(), "reload fake c: no") || strings.Contains(err.Error(), "fake a") {
			t.Errorf("error %v", err)
		}
		if good.reloads != 1 || bad.reloads != 1 {
			t.Errorf("reloads %d and %d", good.reloads, bad.reloads)
		}
		synctest.Wait()
		if n := len(good.proved()); n != 2 {
			t.Errorf("%d canaries", n)
		}
		wantVersion(t, u, "new")

		// A reload while a canary is under way is followed by another one.
		good.set(func(e *engine) { e.hold = make(chan struct{}) })
		time.Sleep(5 * time.Minute)
		bad.set(func(*engine) { bad.rerr = nil })
		done := make(chan error)
		go func() { done <- u.Reload(t.Context()) }()
		time.Sleep(time.Second)
		close(good.hold)
		if err := <-done; err != nil {
			t.Error(err)
		}
		if n := len(good.proved()); n != 4 {
			t.Errorf("%d canaries", n)
		}
	})
}

func TestReloadHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hung, good := &versioned{rgate: make(chan struct{})}, &versioned{}
		u := New(config(hung, good))
		defer u.Close()
		begin := time.Now()
		err := u.Reload(within(t, 3*time.Second))
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != 3*time.Second || good.reloads != 0 {
			t.Errorf("error %v after %v", err, time.Since(begin))
		}
		close(hung.rgate)
	})
}
