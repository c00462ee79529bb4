package backendtest

import (
	"context"
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"polyclam/backends"
)

func (s *suite) contextEnded(t *testing.T) {
	b := s.start(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantInterrupted(ctx, t, b, CleanObject(t))
	ctx, cancel = context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	// With no time left, a connection attempt would be CannotExecute, so backends must
	// check their context first.
	wantInterrupted(ctx, t, b, CleanObject(t))
}

// wantInterrupted scans and wants Interrupted.
func wantInterrupted(ctx context.Context, t *testing.T, b backends.Backend, o backends.Object) {
	t.Helper()
	r, err, ok := scanWithin(ctx, b, o)
	switch {
	case !ok:
		t.Fatal("the scan does not return when its context ends")
	case err == nil:
		t.Errorf("a result although the context has ended: %+v", r)
	case backends.CategoryOf(err) != backends.Interrupted:
		t.Errorf("%v is %v, want %v", err, backends.CategoryOf(err), backends.Interrupted)
	default:
		WantPlain(t, err)
	}
}

// contextEnds ends the context while the backend reads the object. A backend that passes
// a file or path may still get its answer; only OK and Interrupted are correct.
func (s *suite) contextEnds(t *testing.T) {
	b := s.start(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c := &cancelling{Object: LargeObject(t, 4<<20), cancel: cancel}
	r, err, ok := scanWithin(ctx, b, c)
	switch {
	case !ok:
		t.Fatal("the scan does not return when its context ends")
	case err != nil && backends.CategoryOf(err) != backends.Interrupted:
		t.Errorf("%v is %v, want %v", err, backends.CategoryOf(err), backends.Interrupted)
	case err == nil:
		wantCategory(t, r, backends.OK)
	default:
		WantPlain(t, err)
	}
}

// cancelling is an object that cancels a context when it is read.
type cancelling struct {
	*Object
	cancel context.CancelFunc
}

func (c *cancelling) ReadAt(p []byte, off int64) (int, error) {
	c.cancel()
	return c.Object.ReadAt(p, off)
}

func (c *cancelling) File() (*os.File, error) {
	c.cancel()
	return c.Object.File()
}

func (c *cancelling) Path() (string, error) {
	c.cancel()
	return c.Object.Path()
}

// unreadable scans objects with bytes that cannot be read. OK would be wrong.
func (s *suite) unreadable(t *testing.T) {
	b := s.start(t)
	for _, readable := range []int{0, 100 << 10} {
		c := &broken{Object: LargeObject(t, 1<<20), readable: int64(readable)}
		r, err, ok := scanWithin(t.Context(), b, c)
		switch {
		case !ok:
			t.Fatal("the scan does not return")
		case err == nil:
			t.Errorf("a result although only %d bytes can be read: %+v", readable, r)
		case !backends.CategoryOf(err).IsFailure():
			t.Errorf("%v is not a failure", err)
		}
	}
}

// broken is an object that cannot be read after its first bytes, and has no file.
type broken struct {
	*Object
	readable int64
}

var errBroken = errors.New("object: broken on purpose")

func (c *broken) ReadAt(p []byte, off int64) (int, error) {
	if off >= c.Size() {
		return 0, io.EOF
	}
	if off+int64(len(p)) <= c.readable {
		return c.Object.ReadAt(p, off)
	}
	if off >= c.readable {
		return 0, errBroken
	}
	n, _ := c.Object.ReadAt(p[:c.readable-off], off)
	return n, errBroken
}

func (c *broken) File() (*os.File, error) { return nil, errBroken }

func (c *broken) Path() (string, error) { return "", errBroken }
