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

// hanging is an engine that answers no archives while hangs is set.
type hanging struct {
	answering
	hangs atomic.Bool
	asked atomic.Int32 // for its clean control
	fails error        // its answer to archives instead, while hangs is set
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

func wantLocked(t *testing.T, u *Engine, when string, want backends.Category, detail string) {
	t.Helper()
	r := u.Scan(within(t, time.Minute), content("locked mail"), false)
	if r.Err != nil || r.Result.Category != want || !strings.Contains(r.Result.Detail, detail) {
		t.Errorf("%s: %+v, %v, want %s", when, r.Result, r.Err, want)
	}
}

// TestHeuristicsUnknown: a node that hangs on the test archives is used, but what it
// calls encrypted may hide a virus until it has answered; that is not long.
func TestHeuristicsUnknown(t *testing.T) {
	for _, tt := range []struct {
		name  string
		stops bool
		want  backends.Category
	}{{"honest", false, backends.Encrypted}, {"stops at the first", true, backends.Suspicious}} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e, log := &hanging{}, &lines{}
				e.set(func(data []byte) (backends.Result, error, bool) {
					if string(data) == "locked mail" {
						return backends.Found(1, "Heuristics.Encrypted.Zip"), nil, true
					}
					return stopsAt(tt.stops, false, true)(data)
				})
				e.hangs.Store(true)
				cfg := withCanary(e)
				cfg.Log = zerolog.New(log)
				u := New(cfg)
				run(t, u)
				time.Sleep(infoTime + 100*time.Millisecond)
				wantState(t, u, "up")
				wantLocked(t, u, "hanging", backends.Suspicious, "did not answer the archives")
				r := u.Scan(t.Context(), content("mail"), false)
				wantCategory(t, r.Result, r.Err, backends.OK)
				time.Sleep(20 * time.Second)
				wantState(t, u, "up")
				if n := e.asked.Load(); n != 4 { // 5 s each, after 1, 2 and 4 s
					t.Errorf("asked %d times", n)
				}
				e.hangs.Store(false)
				time.Sleep(10 * time.Second)
				wantLocked(t, u, "answering", tt.want, "")
				if got := u.Status().Nodes[0]; got.HeuristicsFirst != tt.stops || log.count("heuristics unknown") != 1 {
					t.Errorf("status %+v, log %s", got, log.buf.String())
				}
				asked := e.asked.Load()
				time.Sleep(4 * time.Minute)
				if n := e.asked.Load(); n > asked {
					t.Errorf("asked %d times although all is known", n-asked)
				}
			})
		})
	}
}

// TestHeuristicsRefused: an engine that fails on the test archives, in its own words,
// fails on such mail too. It is not suspected for ever.
func TestHeuristicsRefused(t *testing.T) {
	own := &backends.Failure{Category: backends.SWErr, Code: 1, Text: "cannot unpack"}
	for name, tt := range map[string]struct {
		err  error
		want backends.Category
	}{
		"its own word": {own, backends.Encrypted},
		"no word":      {errors.New("connection lost"), backends.Suspicious},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &hanging{fails: tt.err}
				e.set(stopsAt(true, false, true))
				e.hangs.Store(true)
				u := New(withCanary(e))
				run(t, u)
				synctest.Wait()
				wantLocked(t, u, "the first time", backends.Suspicious, "did not answer")
				time.Sleep(10 * time.Minute)
				wantState(t, u, "up")
				wantLocked(t, u, "later", tt.want, "")
			})
		})
	}
}

// TestHeuristicsAfterDown: what is known of a node is worth nothing after it was down,
// unless it answers again.
func TestHeuristicsAfterDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &hanging{}
		mail := func(data []byte) (backends.Result, error, bool) {
			return backends.Found(1, "Heuristics.Encrypted.Zip"), nil, string(data) == "locked mail"
		}
		e.set(mail)
		u := New(withCanary(e))
		run(t, u)
		synctest.Wait()
		wantLocked(t, u, "before", backends.Encrypted, "")
		e.set(func([]byte) (backends.Result, error, bool) { return backends.Result{}, errRefused, true })
		u.Scan(t.Context(), content("x"), false)
		e.set(mail)
		e.hangs.Store(true)
		time.Sleep(infoTime + 4*time.Second)
		wantState(t, u, "up")
		wantLocked(t, u, "back", backends.Suspicious, "did not answer")
	})
}

// TestEncryptedFailed: a failure with the encrypted archive leaves open what the
// engine does with one before EICAR.
func TestEncryptedFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &answering{}
		e.set(func(data []byte) (backends.Result, error, bool) {
			if bytes.Equal(data, testfile.Encrypted()) {
				return backends.Result{}, errors.New("busy"), true
			}
			return stopsAt(true, false, true)(data)
		})
		u := New(withCanary(e))
		run(t, u)
		synctest.Wait()
		wantLocked(t, u, "unknown", backends.Suspicious, "did not answer")
	})
}
