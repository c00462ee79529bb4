package walk

import (
	"bytes"
	"context"
	"errors"
	"io"
)

// SmallestContainer is less than any container with something encrypted in it
// takes, compressed.
const SmallestContainer = 16

// Stored makes a section of a member that lies in its parent as it is, if it is
// a container: nil if not.
func (w *Walk) Stored(parent *Section, at, size int64) (*Section, error) {
	if err := w.Enter(); err != nil {
		return nil, err
	}
	if at < 0 || at > parent.Size || size < SmallestContainer {
		return nil, nil
	}
	size = min(size, parent.Size-at)
	s := &Section{ReaderAt: io.NewSectionReader(parent, at, size), Size: size, Depth: parent.Depth + 1}
	s.Head = w.scratch.head[:min(HeadSize, s.Size)]
	if err := ReadFull(s, s.Head, 0); err != nil {
		return nil, err
	}
	kept := w.keep(s)
	if kept != nil {
		if parent.members == nil {
			parent.members = make(map[int64]bool)
		}
		parent.members[at] = true
	}
	return kept, nil
}

// Unpacked makes a section of what u unpacks, if it is a container: nil if not.
// It is unpacked into memory, but only if its first bytes say that it is worth
// it. declared is its size, as the container says, or negative.
func (w *Walk) Unpacked(parent *Section, u *Unpacker, declared int64) (*Section, error) {
	if err := w.Enter(); err != nil {
		return nil, err
	}
	s := &Section{Depth: parent.Depth + 1, cheap: u.cheap}
	head := w.scratch.head[:]
	n, err := io.ReadFull(u, head)
	if w.stop != nil {
		return nil, w.stop
	}
	if n < SmallestContainer {
		return nil, err
	}
	s.Head = head[:n]
	s.Attached = u.Attached != nil && u.Attached(s.Head)
	if !w.matches(s) {
		if err := u.deeper(s, w.deep(s)); err != nil {
			return nil, err
		}
	}
	if w.keep(s) == nil {
		return nil, nil
	}
	if s.Depth >= w.Limits.MaxDepth {
		return s, nil // look will only note that
	}
	if declared > w.bytes {
		// Spend nothing on what cannot be finished: others may be small.
		w.Note("MaxBytes", w.Limits.MaxBytes)
		return nil, nil
	}
	if u.Ready != nil {
		if err := u.Ready(); err != nil {
			return nil, err
		}
	}
	return s, u.all(s)
}

// deeper unpacks up to n bytes of the beginning of s.
func (u *Unpacker) deeper(s *Section, n int) error {
	if n <= len(s.Head) {
		return nil
	}
	if u.walk.scratch.deep == nil {
		u.walk.scratch.deep = new([MaxDeep]byte)
	}
	b := u.walk.scratch.deep[:n]
	known := copy(b, s.Head)
	n, err := io.ReadFull(u, b[known:])
	if u.walk.stop != nil {
		return u.walk.stop
	}
	s.Head = b[:known+n]
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil // shorter than that
	}
	return err
}

// keep returns s with its own head if a detector wants it, else nil.
func (w *Walk) keep(s *Section) *Section {
	if !w.matches(s) {
		return nil
	}
	s.Head = append([]byte(nil), s.Head...)
	return s
}

// Unpacker reads a member that is not in its container as it is. What it reads is
// paid for by the meter; it pays for what comes out beyond that.
type Unpacker struct {
	ctx  context.Context // see meter
	walk *Walk
	from io.Reader
	In   *Counter // nil if not known: then all that comes out is paid for
	out  int64
	paid int64
	Left int64 // of a member that is not all that from has; negative if it is
	// ready is called before more than the first bytes are unpacked. It may be nil.
	Ready func() error
	// cheap says that all that comes out has been paid for.
	cheap  bool
	failed error
	// Attached says what Attached of the section is, by its head. It may be nil.
	Attached func(head []byte) bool
}

// Inflater unpacks what packed has deflated. Only one can be in use at a time.
func (w *Walk) Inflater(ctx context.Context, packed io.Reader) *Unpacker {
	u := &Unpacker{ctx: ctx, walk: w, Left: -1, In: &Counter{From: packed}}
	u.from = w.scratch.reader(u.In)
	return u
}

// Decoder is for what comes out no larger than it goes in, which has been paid
// for.
func (w *Walk) Decoder(ctx context.Context, from io.Reader) *Unpacker {
	in := &Counter{From: from}
	return &Unpacker{ctx: ctx, walk: w, Left: -1, from: in, In: in, cheap: true}
}

// Unpacker pays for what comes out of from.
func (w *Walk) Unpacker(ctx context.Context, from io.Reader) *Unpacker {
	return &Unpacker{ctx: ctx, walk: w, Left: -1, from: from}
}

// Read returns unpacked bytes.
func (u *Unpacker) Read(p []byte) (int, error) {
	if u.walk.stop != nil {
		return 0, u.walk.stop
	}
	if u.Left == 0 {
		return 0, io.EOF
	}
	if u.Left > 0 {
		p = p[:min(int64(len(p)), u.Left)]
	}
	n, err := u.from.Read(p)
	if err != nil && err != io.EOF {
		u.failed = err
	}
	u.out += int64(n)
	if u.Left > 0 {
		u.Left -= int64(n)
	}
	due := u.out - u.paid
	if u.In != nil {
		due -= u.In.n
	}
	if due > 0 {
		if err := u.walk.Spend(u.ctx, due); err != nil {
			return 0, err
		}
		u.paid += due
	}
	return n, err
}

// all unpacks the rest of the member after s.head and makes it what s reads. A
// member that breaks off is kept as far as it goes.
func (u *Unpacker) all(s *Section) error {
	var data pieces
	copy(data.room(), s.Head)
	data.size = int64(len(s.Head))
	for {
		n, err := io.ReadFull(u, data.room())
		data.size += int64(n)
		if u.walk.stop != nil {
			return u.walk.stop
		}
		if err != nil {
			break
		}
	}
	s.Size = data.size
	s.ReaderAt = &meter{ctx: u.ctx, walk: u.walk, from: &data, size: data.size}
	return nil
}

// Failed returns the error that ended u before its end, or nil.
func (u *Unpacker) Failed() error { return u.failed }

// Drain reads u to its end, as solid archives need.
func (u *Unpacker) Drain() error {
	for {
		_, err := io.ReadFull(u, u.walk.scratch.buffer(32<<10))
		if u.walk.stop != nil {
			return u.walk.stop
		}
		if err != nil {
			return nil
		}
	}
}

// Counter counts what is read.
type Counter struct {
	From io.Reader
	n    int64
}

// Read implements [io.Reader].
func (c *Counter) Read(p []byte) (int, error) {
	n, err := c.From.Read(p)
	c.n += int64(n)
	return n, err
}

// Begun returns the first bytes of what u unpacked last, if it was not kept.
func (w *Walk) Begun(u *Unpacker) []byte { return bytes.Clone(w.scratch.head[:min(u.out, HeadSize)]) }
