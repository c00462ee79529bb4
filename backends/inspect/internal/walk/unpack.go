package walk

import (
	"bytes"
	"context"
	"errors"
	"io"
)

// SmallestContainer is a lower bound on the compressed size of a container with something
// encrypted in it.
const SmallestContainer = 16

// Stored returns the section of a member that its parent stores uncompressed, or nil if
// no detector wants it.
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

// Unpacked returns the section of what u unpacks, or nil if no detector wants it. The
// member is unpacked into memory, but only if its first bytes match a detector. declared
// is the size according to the container, negative if unknown.
func (w *Walk) Unpacked(parent *Section, u *Unpacker, declared int64) (*Section, error) {
	if err := w.Enter(); err != nil {
		return nil, err
	}
	s := &Section{Depth: parent.Depth + 1, prepaid: u.prepaid}
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
		if err := u.extendHead(s, w.deep(s)); err != nil {
			return nil, err
		}
	}
	if w.keep(s) == nil {
		return nil, nil
	}
	if s.Depth >= w.Limits.MaxDepth {
		return s, nil // Look only records the limit
	}
	if declared > w.bytes {
		// Spend nothing on a member that cannot be finished: the next may be small.
		w.Note("MaxBytes", w.Limits.MaxBytes)
		return nil, nil
	}
	if u.Ready != nil {
		if err := u.Ready(); err != nil {
			return nil, err
		}
	}
	return s, u.unpackRest(s)
}

// extendHead unpacks s further, so that its head has up to n bytes.
func (u *Unpacker) extendHead(s *Section, n int) error {
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
		err = nil // the member is shorter
	}
	return err
}

// keep returns s with its own copy of the head if a detector wants it, else nil.
func (w *Walk) keep(s *Section) *Section {
	if !w.matches(s) {
		return nil
	}
	s.Head = append([]byte(nil), s.Head...)
	return s
}

// Unpacker reads a compressed member. The meter charges for the input, and the Unpacker
// for any output beyond that.
type Unpacker struct {
	ctx  context.Context // see meter
	walk *Walk
	from io.Reader
	In   *Counter // nil if unknown: then all output is charged
	out  int64
	paid int64
	Left int64 // remaining bytes of a member that ends before from does; negative if it ends with from
	// Ready, if not nil, is called before more than the first bytes are unpacked.
	Ready func() error
	// prepaid means that the input has paid for all output.
	prepaid bool
	failed  error
	// Attached, if not nil, decides by the head whether to set Section.Attached.
	Attached func(head []byte) bool
}

// Inflater returns an Unpacker for deflated data. Only one may be in use.
func (w *Walk) Inflater(ctx context.Context, packed io.Reader) *Unpacker {
	u := &Unpacker{ctx: ctx, walk: w, Left: -1, In: &Counter{From: packed}}
	u.from = w.scratch.reader(u.In)
	return u
}

// Decoder returns an Unpacker for encodings whose output is never larger than the input,
// which has already been paid for.
func (w *Walk) Decoder(ctx context.Context, from io.Reader) *Unpacker {
	in := &Counter{From: from}
	return &Unpacker{ctx: ctx, walk: w, Left: -1, from: in, In: in, prepaid: true}
}

// Unpacker returns an Unpacker that charges for everything read from from.
func (w *Walk) Unpacker(ctx context.Context, from io.Reader) *Unpacker {
	return &Unpacker{ctx: ctx, walk: w, Left: -1, from: from}
}

// Read implements [io.Reader].
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

// unpackRest unpacks what follows s.Head and makes it readable through s. It keeps a
// truncated member as far as it goes.
func (u *Unpacker) unpackRest(s *Section) error {
	var data pieces
	copy(data.free(), s.Head)
	data.size = int64(len(s.Head))
	for {
		n, err := io.ReadFull(u, data.free())
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

// Failed returns the error that ended u prematurely, or nil.
func (u *Unpacker) Failed() error { return u.failed }

// Drain reads u to its end, as solid archives require.
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

// Counter counts the bytes read through it.
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

// FirstBytes returns the first bytes of the last member that u unpacked, if it was not
// kept.
func (w *Walk) FirstBytes(u *Unpacker) []byte {
	return bytes.Clone(w.scratch.head[:min(u.out, HeadSize)])
}
