package walk

import (
	"context"
	"math"
)

// Limits are the budgets of a walk.
type Limits struct {
	MaxBytes   int64 // read or unpacked; memory too
	MaxDepth   int   // containers within containers
	MaxMembers int   // members looked into
}

// Left is what is left of MaxBytes.
func (w *Walk) Left() int64 { return w.bytes }

// Free does something that costs nothing, because the same bytes are going to be
// read, and paid for, once more. It still ends with the context.
func (w *Walk) Free(f func()) {
	defer func(left int64) { w.bytes = left }(w.bytes)
	w.bytes = math.MaxInt64
	f()
}

// Spend takes n bytes off the budget.
func (w *Walk) Spend(ctx context.Context, n int64) error {
	switch {
	case w.stop != nil:
	case ctx.Err() != nil:
		w.stop = context.Cause(ctx)
	case n > w.bytes:
		w.stop = limitReached("MaxBytes", w.Limits.MaxBytes)
	default:
		w.bytes -= n
	}
	return w.stop
}

// Enter takes a member off the budget.
func (w *Walk) Enter() error {
	if w.stop == nil && w.members <= 0 {
		w.stop = limitReached("MaxMembers", w.Limits.MaxMembers)
	}
	w.members--
	return w.stop
}

// Note remembers a limit that kept us from one member only.
func (w *Walk) Note(what string, value any) {
	if w.noted == nil {
		w.noted = limitReached(what, value)
	}
}

// Miss remembers that something could not be looked into for a reason of its
// own: finding is one of the names Unscanned*.
func (w *Walk) Miss(finding, detail string) { w.Missed(&Gap{finding, detail}) }

// Missed remembers a gap, if it is the first.
func (w *Walk) Missed(g *Gap) {
	if w.noted == nil {
		w.noted = g
	}
}

// Borrow takes n bytes of memory off the budget, and gives most of them back
// when release is called: making memory costs time too.
func (w *Walk) Borrow(ctx context.Context, n int64) (release func(), err error) {
	if err := w.Spend(ctx, n); err != nil {
		return nil, err
	}
	return func() { w.bytes += n - n/borrowCost }, nil
}

// borrowCost is the part of borrowed memory that is not given back.
const borrowCost = 32
