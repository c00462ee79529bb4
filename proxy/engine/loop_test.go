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

// TestLoop: a clean control that comes back takes its node out, with that reason, until
// that of a later check does not.
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
				return backends.Result{}, &backends.Failure{Text: "scan failed"} // the listener's reply
			}
			return judged(read(o)), nil
		})
		log := &lines{}
		cfg := withCanary(b, &fakeEngine{})
		cfg.Log = zerolog.New(log)
		e := New(cfg)
		run(t, e)
		synctest.Wait()
		wantState(t, e, "down", "up")
		const reason = "asks polyclam itself, through the listener tcp:127.0.0.1:3310"
		if got := e.Status().Nodes[0].Reason; got != reason {
			t.Errorf("reason %q", got)
		}
		for range 4 {
			r := e.Scan(t.Context(), text("mail"), false)
			wantCategory(t, r.Result, r.Err, backends.OK)
			time.Sleep(20 * time.Second)
		}
		if n := log.count("asks polyclam itself"); n != 1 || scans != 0 {
			t.Errorf("logged %d times, %d scans", n, scans)
		}
		mu.Lock()
		looping = false
		mu.Unlock()
		time.Sleep(31 * time.Second)
		wantState(t, e, "up", "up")
	})
}

// TestLoopInFlight: a detection is discarded if the node meanwhile turns out to ask
// polyclam itself.
func TestLoopInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var control []byte
		begun, gate := make(chan struct{}), make(chan struct{})
		e := New(withCanary(backends.Func(func(_ context.Context, o backends.Object) (backends.Result, error) {
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
		run(t, e)
		synctest.Wait()
		var wg sync.WaitGroup
		wg.Go(func() {
			r := e.Scan(t.Context(), text("mail"), false)
			wantCategory(t, r.Result, r.Err, backends.SWErr)
			if r.Err == nil || !strings.Contains(r.Err.Error(), "asks polyclam itself") {
				t.Errorf("error %v", r.Err)
			}
		})
		<-begun
		if !CameBack(text(string(control)), "x") {
			t.Error("not recognized")
		}
		close(gate)
		wg.Wait()
	})
}

// TestCameBack: only this process's own nonces are a loop.
func TestCameBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nonces := make(chan []byte, 10)
		f := &answering{}
		f.set(func(data []byte) (backends.Result, error, bool) {
			if isControl(data) {
				nonces <- bytes.Clone(data)
			}
			return backends.Result{}, nil, false
		})
		e := New(withCanary(f))
		run(t, e)
		synctest.Wait()
		own := <-nonces
		for name, object := range map[string]string{
			"foreign":    string(testfile.Clean(testfile.NewNonce())),
			"longer":     string(own) + "x",
			"other text": strings.Repeat("x", testfile.CleanSize),
		} {
			if CameBack(text(object), "a") {
				t.Errorf("%s: recognized as our own", name)
			}
		}
		wantState(t, e, "up")
		if !CameBack(text(string(own)), "unix:/run/x") { // late, but our own
			t.Error("our own was not recognized")
		}
		wantState(t, e, "down")
		time.Sleep(5 * time.Second)
		wantState(t, e, "up")
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
		t.Error("the last one is missing")
	}
}
