package walk

import (
	"context"
	"errors"
	"io"
)

// Stream looks into a section that is one compressed stream. memory is what the
// reader takes that open makes; it is paid for. The caller says in which container
// something was seen.
func (w *Walk) Stream(ctx context.Context, s *Section, name string, memory int64, open func(packed io.Reader) (io.Reader, error)) (*Sighting, error) {
	if memory > w.Left() {
		w.Note("MaxBytes", w.Limits.MaxBytes)
		return nil, nil
	}
	release, err := w.Borrow(ctx, memory)
	if err != nil {
		return nil, err
	}
	in := &Counter{From: io.NewSectionReader(s, 0, s.Size)}
	r, err := open(in)
	if err != nil {
		release()
		return nil, err
	}
	u := w.Unpacker(ctx, r)
	u.In = in
	inner, err := w.Unpacked(s, u, -1)
	release()
	if w.Stopped() != nil {
		return nil, w.Stopped()
	}
	// What has come out is looked into even where the stream is broken.
	seen := w.Look(ctx, inner)
	if failed := u.Failed(); inner != nil && seen == nil && failed != nil {
		w.Broken(name, failed)
	}
	return seen, err
}

// Broken remembers that a member or a stream in a container could not be unpacked
// to its end.
func (w *Walk) Broken(container string, err error) {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		w.Miss(UnscannedCutOff, container+": cut off")
		return
	}
	w.Miss(UnscannedBroken, container+": it cannot be unpacked to its end")
}
