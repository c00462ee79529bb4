package walk

import (
	"context"
	"math"

	"polyclam/backends/internal/ended"
)

// Limits bound a walk.
type Limits struct {
	MaxBytes   int64 // read or unpacked; memory counts too
	MaxDepth   int   // nested containers
	MaxMembers int   // members opened
}

// BytesLeft returns what remains of MaxBytes.
func (w *Walk) BytesLeft() int64 { return w.bytes }

// Unmetered runs f without charging for it, because the same bytes are read again later and
// charged for then. It still ends with the context.
func (w *Walk) Unmetered(f func()) {
	defer func(left int64) { w.bytes = left }(w.bytes)
	w.bytes = math.MaxInt64
	f()
}

// Spend takes n bytes off the budget, or stops the walk.
func (w *Walk) Spend(ctx context.Context, n int64) error {
	switch {
	case w.stop != nil:
	case ctx.Err() != nil:
		w.stop = ended.Context(ctx)
	case n > w.bytes:
		w.stop = limitReached("MaxBytes", w.Limits.MaxBytes)
	default:
		w.bytes -= n
	}
	return w.stop
}

// Enter takes one member off the budget, or stops the walk.
func (w *Walk) Enter() error {
	if w.stop == nil && w.members <= 0 {
		w.stop = limitReached("MaxMembers", w.Limits.MaxMembers)
	}
	w.members--
	return w.stop
}

// Note records a limit that excluded a single member only.
func (w *Walk) Note(what string, value any) {
	if w.noted == nil {
		w.noted = limitReached(what, value)
	}
}

// Miss records that something could not be inspected. The finding is one of the Unscanned*
// names.
func (w *Walk) Miss(finding, detail string) { w.AddGap(&Gap{finding, detail}) }

// AddGap records a gap. Only the first one counts.
func (w *Walk) AddGap(g *Gap) {
	if w.noted == nil {
		w.noted = g
	}
}

// Borrow takes n bytes of memory off the budget. Calling release gives most of them back,
// but not all: allocating memory costs time too.
func (w *Walk) Borrow(ctx context.Context, n int64) (release func(), err error) {
	if err := w.Spend(ctx, n); err != nil {
		return nil, err
	}
	return func() { w.bytes += n - n/borrowCost }, nil
}

// borrowCost is the fraction of borrowed memory that is not given back: one part in 32.
const borrowCost = 32
