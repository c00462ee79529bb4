package engine

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"polyclam/backends"
	"polyclam/backends/testfile"
)

// hanging is an engine that hangs on archives while hangs is set.
type hanging struct {
	answering
	hangs atomic.Bool
	asked atomic.Int32 // clean controls
	fails error        // fails with this instead of hanging
}

// Scan implements backends.Backend.
func (h *hanging) Scan(ctx context.Context, o backends.Object) (backends.Result, error) {
	data := read(o)
	switch {
	case isControl(data):
		h.asked.Add(1)
	case !h.hangs.Load() || !bytes.HasPrefix(data, []byte("PK")):
	case h.fails != nil:
		return backends.Result{}, h.fails
	default:
		<-ctx.Done()
		return backends.Result{}, ctx.Err()
	}
	return h.answering.Scan(ctx, o)
}

func wantLocked(t *testing.T, e *Engine, when string, want backends.Category, detail string) {
	t.Helper()
	r := e.Scan(within(t, time.Minute), text("locked mail"), false)
	if r.Err != nil || r.Result.Category != want || !strings.Contains(r.Result.Detail, detail) {
		t.Errorf("%s: %+v, %v, want %s", when, r.Result, r.Err, want)
	}
}

// TestHeuristicsUnknown: a node that hangs on the test archives is used, but what it calls
// encrypted may hide a virus until it has answered. It is asked again soon.
func TestHeuristicsUnknown(t *testing.T) {
	for _, tt := range []struct {
		name  string
		stops bool
		want  backends.Category
	}{{"working", false, backends.Encrypted}, {"stops at the first", true, backends.Suspicious}} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, log := &hanging{}, &lines{}
				f.set(func(data []byte) (backends.Result, error, bool) {
					if string(data) == "locked mail" {
						return backends.Found(1, "Heuristics.Encrypted.Zip"), nil, true
					}
					return stopsAt(tt.stops, false, true)(data)
				})
				f.hangs.Store(true)
				cfg := withCanary(f)
				cfg.Log = zerolog.New(log)
				e := New(cfg)
				run(t, e)
				time.Sleep(infoTime + 100*time.Millisecond)
				wantState(t, e, "up")
				wantLocked(t, e, "hanging", backends.Suspicious, "did not answer the archives")
				r := e.Scan(t.Context(), text("mail"), false)
				wantCategory(t, r.Result, r.Err, backends.OK)
				time.Sleep(20 * time.Second)
				wantState(t, e, "up")
				if n := f.asked.Load(); n != 4 { // 5 s each, after 1, 2 and 4 s
					t.Errorf("asked %d times", n)
				}
				f.hangs.Store(false)
				time.Sleep(10 * time.Second)
				wantLocked(t, e, "answering", tt.want, "")
				if got := e.Status().Nodes[0]; got.HeuristicsFirst != tt.stops || log.count("heuristics unknown") != 1 {
					t.Errorf("status %+v, log %s", got, log.buf.String())
				}
				asked := f.asked.Load()
				time.Sleep(4 * time.Minute)
				if n := f.asked.Load(); n > asked {
					t.Errorf("asked %d times although everything is known", n-asked)
				}
			})
		})
	}
}

// TestHeuristicsRefused: an engine that itself reports a failure on the test archives fails
// on such mail, too. Its results are not suspicious forever.
func TestHeuristicsRefused(t *testing.T) {
	own := &backends.Failure{Category: backends.SWErr, Code: 1, Text: "cannot unpack"}
	for name, tt := range map[string]struct {
		err  error
		want backends.Category
	}{
		"the engine's own error": {own, backends.Encrypted},
		"connection lost":        {errors.New("connection lost"), backends.Suspicious},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &hanging{fails: tt.err}
				f.set(stopsAt(true, false, true))
				f.hangs.Store(true)
				e := New(withCanary(f))
				run(t, e)
				synctest.Wait()
				wantLocked(t, e, "the first time", backends.Suspicious, "did not answer")
				time.Sleep(10 * time.Minute)
				wantState(t, e, "up")
				wantLocked(t, e, "later", tt.want, "")
			})
		})
	}
}

// TestHeuristicsAfterDown: after a node was down, nothing is known until it answers the
// archives again.
func TestHeuristicsAfterDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &hanging{}
		mail := func(data []byte) (backends.Result, error, bool) {
			return backends.Found(1, "Heuristics.Encrypted.Zip"), nil, string(data) == "locked mail"
		}
		f.set(mail)
		e := New(withCanary(f))
		run(t, e)
		synctest.Wait()
		wantLocked(t, e, "before", backends.Encrypted, "")
		f.set(func([]byte) (backends.Result, error, bool) { return backends.Result{}, errRefused, true })
		e.Scan(t.Context(), text("x"), false)
		f.set(mail)
		f.hangs.Store(true)
		time.Sleep(infoTime + 4*time.Second)
		wantState(t, e, "up")
		wantLocked(t, e, "back", backends.Suspicious, "did not answer")
	})
}

// TestEncryptedFailed: if the encrypted archive fails, it remains unknown what the engine
// does with one before EICAR.
func TestEncryptedFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &answering{}
		f.set(func(data []byte) (backends.Result, error, bool) {
			if bytes.Equal(data, testfile.Encrypted()) {
				return backends.Result{}, errors.New("busy"), true
			}
			return stopsAt(true, false, true)(data)
		})
		e := New(withCanary(f))
		run(t, e)
		synctest.Wait()
		wantLocked(t, e, "unknown", backends.Suspicious, "did not answer")
	})
}
