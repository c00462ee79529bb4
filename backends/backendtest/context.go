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

func (s *suite) endedBefore(t *testing.T) {
	b := s.start(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantInterrupted(ctx, t, b, CleanObject(t))
	ctx, cancel = context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	// CategoryOf takes a dial that has no time for CannotExecute: a backend looks
	// at its context before.
	wantInterrupted(ctx, t, b, CleanObject(t))
}

// wantInterrupted scans and wants Interrupted in reasonable time.
func wantInterrupted(ctx context.Context, t *testing.T, b backends.Backend, o backends.Object) {
	t.Helper()
	r, err, ok := scanWithin(ctx, b, o)
	switch {
	case !ok:
		t.Fatal("the scan does not end with its context")
	case err == nil:
		t.Errorf("a result, though the context is over: %+v", r)
	case backends.CategoryOf(err) != backends.Interrupted:
		t.Errorf("%v is %v, want %v", err, backends.CategoryOf(err), backends.Interrupted)
	}
}

// endsInTheMiddle ends the context while the content is read. A backend that
// hands the content over whole may have its answer before; any other answer
// than the right one or Interrupted is wrong.
func (s *suite) endsInTheMiddle(t *testing.T) {
	b := s.start(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c := &cancelling{Object: LargeObject(t, 4<<20), cancel: cancel}
	r, err, ok := scanWithin(ctx, b, c)
	switch {
	case !ok:
		t.Fatal("the scan does not end with its context")
	case err != nil && backends.CategoryOf(err) != backends.Interrupted:
		t.Errorf("%v is %v, want %v", err, backends.CategoryOf(err), backends.Interrupted)
	case err == nil:
		wantCategory(t, r, backends.OK)
	}
}

// cancelling ends a context when it is read.
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

// breaksOff scans contents that cannot be read: an OK would be a lie.
func (s *suite) breaksOff(t *testing.T) {
	b := s.start(t)
	for _, readable := range []int{0, 100 << 10} {
		c := &broken{Object: LargeObject(t, 1<<20), readable: int64(readable)}
		r, err, ok := scanWithin(t.Context(), b, c)
		switch {
		case !ok:
			t.Fatal("the scan does not end")
		case err == nil:
			t.Errorf("a result, though only %d bytes can be read: %+v", readable, r)
		case !backends.CategoryOf(err).IsFailure():
			t.Errorf("%v is no failure", err)
		}
	}
}

// broken fails behind its first bytes, and has no file.
type broken struct {
	*Object
	readable int64
}

var errBroken = errors.New("content: broken on purpose")

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
