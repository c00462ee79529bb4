package engine

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"polyclam/backends"
	"polyclam/backends/testfile"
)

// TestLoop: a clean control that comes back takes its node out, with that reason,
// until a check does not come back.
func TestLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		looping, scans := true, 0
		b := backends.Func(func(_ context.Context, o backends.Object) (backends.Result, error) {
			mu.Lock()
			defer mu.Unlock()
			if !isTestObject(read(o)) {
				scans++
			}
			if looping && CameBack(o, "tcp:127.0.0.1:3310") {
				return backends.Result{}, &backends.Failure{Text: "scan failed"} // what the listener says
			}
			return judged(read(o)), nil
		})
		log := &lines{}
		cfg := withCanary(b, &engine{})
		cfg.Log = zerolog.New(log)
		u := New(cfg)
		run(t, u)
		synctest.Wait()
		wantState(t, u, "down", "up")
		const reason = "asks polyclam itself, through the listener tcp:127.0.0.1:3310"
		if got := u.Status().Nodes[0].Reason; got != reason {
			t.Errorf("reason %q", got)
		}
		for range 4 {
			r := u.Scan(t.Context(), content("mail"), false)
			wantCategory(t, r.Result, r.Err, backends.OK)
			time.Sleep(20 * time.Second)
		}
		if n := log.count("asks polyclam itself"); n != 1 || scans != 0 {
			t.Errorf("%d lines, %d scans", n, scans)
		}
		mu.Lock()
		looping = false
		mu.Unlock()
		time.Sleep(31 * time.Second)
		wantState(t, u, "up", "up")
	})
}

// TestLoopInFlight: what a node finds while it turns out to ask polyclam itself is
// thrown away.
func TestLoopInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var control []byte
		begun, gate := make(chan struct{}), make(chan struct{})
		u := New(withCanary(backends.Func(func(_ context.Context, o backends.Object) (backends.Result, error) {
			data := read(o)
			if isControl(data) {
				control = data
			}
			if string(data) == "mail" {
				close(begun)
				<-gate
				return backends.Found(1, "X"), nil
			}
			return judged(data), nil
		})))
		run(t, u)
		synctest.Wait()
		var wg sync.WaitGroup
		wg.Go(func() {
			r := u.Scan(t.Context(), content("mail"), false)
			wantCategory(t, r.Result, r.Err, backends.SWErr)
			if r.Err == nil || !strings.Contains(r.Err.Error(), "asks polyclam itself") {
				t.Errorf("error %v", r.Err)
			}
		})
		<-begun
		if !CameBack(content(string(control)), "x") {
			t.Error("not recognised")
		}
		close(gate)
		wg.Wait()
	})
}

// TestCameBack: nothing but a nonce of our own is a loop.
func TestCameBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nonces := make(chan []byte, 10)
		e := &answering{}
		e.set(func(data []byte) (backends.Result, error, bool) {
			if isControl(data) {
				nonces <- bytes.Clone(data)
			}
			return backends.Result{}, nil, false
		})
		u := New(withCanary(e))
		run(t, u)
		synctest.Wait()
		own := <-nonces
		for name, object := range map[string]string{
			"another's":  string(testfile.Clean(testfile.NewNonce())),
			"longer":     string(own) + "x",
			"other text": strings.Repeat("x", testfile.CleanSize),
		} {
			if CameBack(content(object), "a") {
				t.Errorf("%s came back", name)
			}
		}
		wantState(t, u, "up")
		if !CameBack(content(string(own)), "unix:/run/x") { // late, but ours
			t.Error("our own was not recognised")
		}
		wantState(t, u, "down")
		time.Sleep(5 * time.Second)
		wantState(t, u, "up")
	})
}

func TestNoncesAreBounded(t *testing.T) {
	var s nonces
	first := testfile.NewNonce()
	s.add(first, nil, nil)
	var last testfile.Nonce
	for range maxNonces {
		last = testfile.NewNonce()
		s.add(last, nil, nil)
	}
	if _, ok := s.find(first); ok || len(s.origin) != maxNonces {
		t.Errorf("%d nonces, the first is still there: %t", len(s.origin), ok)
	}
	if _, ok := s.find(last); !ok {
		t.Error("the last is not there")
	}
}
