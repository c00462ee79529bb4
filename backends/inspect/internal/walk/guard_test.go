package walk

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"time"
)

var errOver = errors.New("over")

func guarded(t *testing.T, ctx context.Context, slots int) (*Walk, *Guard) {
	t.Helper()
	w := New(Limits{MaxBytes: 1 << 20, MaxDepth: 8, MaxMembers: 100}, nil, NewSlots(slots), new(Scratch))
	g, err := w.Guard(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return w, g
}

// TestGuardAbandonsCall runs a library that does not return when the context ends.
func TestGuardAbandonsCall(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	w, g := guarded(t, ctx, 1)
	s := w.Section(ctx, bytes.NewReader(make([]byte, 100)), 100)
	hold, entered, read := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	r := g.ReaderAt(s)
	go func() {
		<-entered
		cancel(errOver)
	}()
	err := g.Call(func() error {
		close(entered)
		<-hold
		_, err := r.ReadAt(make([]byte, 10), 0)
		read <- err
		return nil
	})
	if !errors.Is(err, ErrAbandoned) || !errors.Is(w.stop, errOver) {
		t.Fatalf("%v, stopped by %v", err, w.stop)
	}
	if err := g.Call(func() error { panic("called again") }); !errors.Is(err, ErrAbandoned) {
		t.Errorf("%v", err)
	}
	g.Close()
	if len(w.slots.taken) != 1 {
		t.Error("the slot is free although the library still runs")
	}
	// No walk waits for a slot that may never become free.
	other := New(w.Limits, nil, w.slots, new(Scratch))
	if _, err := other.Guard(t.Context()); !errors.Is(err, ErrAbandoned) || other.stop != nil || other.noted == nil {
		t.Errorf("%v, stopped by %v, noted %v", err, other.stop, other.noted)
	}
	close(hold)
	if err := <-read; !errors.Is(err, ErrAbandoned) {
		t.Errorf("the abandoned library could still read: %v", err)
	}
	select {
	case w.slots.taken <- struct{}{}:
	case <-time.After(20 * time.Second):
		t.Error("the slot is never released")
	}
}

// TestGuardWaits checks that no walk waits for a slot longer than its context allows.
func TestGuardWaits(t *testing.T) {
	w, g := guarded(t, t.Context(), 1)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errOver)
	second := New(w.Limits, nil, w.slots, new(Scratch))
	if _, err := second.Guard(ctx); !errors.Is(err, errOver) || !errors.Is(second.stop, errOver) {
		t.Errorf("%v, stopped by %v", err, second.stop)
	}
	g.Close()
	third := New(w.Limits, nil, w.slots, new(Scratch))
	if _, err := third.Guard(t.Context()); err != nil {
		t.Error(err)
	}
}

// oddReader misbehaves as a broken library might.
type oddReader struct{ how string }

func (o oddReader) Read(p []byte) (int, error) {
	switch o.how {
	case "panics":
		panic(o.how)
	case "negative":
		return -1, nil
	case "too many":
		return len(p) + 1, nil
	case "nothing":
		return 0, nil
	}
	return copy(p, "bytes"), io.EOF
}

func TestGuardedReader(t *testing.T) {
	_, g := guarded(t, t.Context(), 1)
	for how, want := range map[string]string{"panics": "", "negative": "", "too many": "", "nothing": "", "reads": "bytes"} {
		got, err := io.ReadAll(g.Reader(oddReader{how}))
		if string(got) != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", how, got, err)
		}
	}
}
