package spool

import (
	"context"
	"io"
	"sync/atomic"

	"polyclam/backends"
)

var (
	_ backends.Object = (*View)(nil)
	_ backends.Named  = (*View)(nil)
)

// A View is an [Object] for a scan that outlives the request it came with: a client's file
// is read under a context of the view. It holds one reference to the object, and counts
// its own references. It is safe for concurrent use.
type View struct {
	*Object
	ctx      context.Context
	released func()
	refs     atomic.Int64
}

// NewView returns a view of o with one reference; the caller must hold one to o. released is
// called after the last Release.
func NewView(ctx context.Context, o *Object, released func()) *View {
	o.Retain()
	v := &View{Object: o, ctx: ctx, released: released}
	v.refs.Store(1)
	return v
}

// Retain adds a reference, for Release to remove. The caller must hold one already.
func (v *View) Retain() { v.refs.Add(1) }

// Release removes a reference. The last one releases the object.
func (v *View) Release() {
	if v.refs.Add(-1) == 0 {
		v.Object.Release()
		v.released()
	}
}

// ReadAt implements [io.ReaderAt], see [Object.ReadAt].
func (v *View) ReadAt(p []byte, off int64) (int, error) {
	if !v.pin() {
		return 0, ErrReleased
	}
	defer v.unpin()
	return v.readAt(v.ctx, p, off)
}

// Path implements [backends.Object], see [Object.Path].
func (v *View) Path() (string, error) { return v.pathUnder(v.ctx) }

var _ io.ReaderAt = (*View)(nil)
