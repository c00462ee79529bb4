package inspect

import (
	"context"
	"io"
)

// smallestContainer is less than any container with something encrypted in it
// takes, compressed.
const smallestContainer = 16

// stored makes a section of a member that lies in its parent as it is, if it is
// a container: nil if not.
func (w *walk) stored(parent *section, at, size int64) (*section, error) {
	if err := w.enter(); err != nil {
		return nil, err
	}
	if at < 0 || at > parent.size || size < smallestContainer {
		return nil, nil
	}
	size = min(size, parent.size-at)
	s := &section{ReaderAt: io.NewSectionReader(parent, at, size), size: size, depth: parent.depth + 1}
	s.head = w.scratch.head[:min(headSize, s.size)]
	if err := readFull(s, s.head, 0); err != nil {
		return nil, err
	}
	return w.keep(s), nil
}

// unpacked makes a section of what u unpacks, if it is a container: nil if not.
// It is unpacked into memory, but only if its first bytes say that it is worth
// it. declared is its size, as the container says, or negative.
func (w *walk) unpacked(parent *section, u *unpacker, declared int64) (*section, error) {
	if err := w.enter(); err != nil {
		return nil, err
	}
	s := &section{depth: parent.depth + 1, cheap: u.cheap}
	head := w.scratch.head[:]
	n, err := io.ReadFull(u, head)
	if w.stop != nil {
		return nil, w.stop
	}
	if n < smallestContainer {
		return nil, err
	}
	s.head = head[:n]
	if w.keep(s) == nil {
		return nil, nil
	}
	if s.depth >= w.config.MaxDepth {
		return s, nil // look will only note that
	}
	if declared > w.bytes {
		// Spend nothing on what cannot be finished: others may be small.
		w.note("MaxBytes", int64(w.config.MaxBytes))
		return nil, nil
	}
	if u.ready != nil {
		if err := u.ready(); err != nil {
			return nil, err
		}
	}
	return s, u.all(s)
}

// keep returns s with a head of its own if a detector wants it, else nil.
func (w *walk) keep(s *section) *section {
	if !w.matches(s) {
		return nil
	}
	s.head = append([]byte(nil), s.head...)
	return s
}

// unpacker reads a member that is not in its container as it is. What it reads is
// paid for by the meter; it pays for what comes out beyond that.
type unpacker struct {
	ctx  context.Context // see meter
	walk *walk
	from io.Reader
	in   *counter // nil if not known: then all that comes out is paid for
	out  int64
	paid int64
	left int64 // of a member that is not all that from has; negative if it is
	// ready is called before more than the first bytes are unpacked. It may be nil.
	ready func() error
	// cheap says that all that comes out has been paid for.
	cheap bool
}

// inflater unpacks what packed has deflated. Only one can be in use at a time.
func (w *walk) inflater(ctx context.Context, packed io.Reader) *unpacker {
	u := &unpacker{ctx: ctx, walk: w, left: -1, in: &counter{from: packed}}
	u.from = w.scratch.reader(u.in)
	return u
}

// decoder is for what comes out no larger than it goes in, which has been paid
// for.
func (w *walk) decoder(ctx context.Context, from io.Reader) *unpacker {
	in := &counter{from: from}
	return &unpacker{ctx: ctx, walk: w, left: -1, from: in, in: in, cheap: true}
}

// unpacker pays for what comes out of from.
func (w *walk) unpacker(ctx context.Context, from io.Reader) *unpacker {
	return &unpacker{ctx: ctx, walk: w, left: -1, from: from}
}

// Read returns unpacked bytes.
func (u *unpacker) Read(p []byte) (int, error) {
	if u.walk.stop != nil {
		return 0, u.walk.stop
	}
	if u.left == 0 {
		return 0, io.EOF
	}
	if u.left > 0 {
		p = p[:min(int64(len(p)), u.left)]
	}
	n, err := u.from.Read(p)
	u.out += int64(n)
	if u.left > 0 {
		u.left -= int64(n)
	}
	due := u.out - u.paid
	if u.in != nil {
		due -= u.in.n
	}
	if due > 0 {
		if err := u.walk.spend(u.ctx, due); err != nil {
			return 0, err
		}
		u.paid += due
	}
	return n, err
}

// all unpacks the rest of the member behind s.head and makes it what s reads. A
// member that breaks off is kept as far as it goes.
func (u *unpacker) all(s *section) error {
	var data pieces
	copy(data.room(), s.head)
	data.size = int64(len(s.head))
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
	s.size = data.size
	s.ReaderAt = &meter{ctx: u.ctx, walk: u.walk, from: &data, size: data.size}
	return nil
}

// drain reads u to its end, as solid archives need.
func (u *unpacker) drain() error {
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

// counter counts what is read.
type counter struct {
	from io.Reader
	n    int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.n += int64(n)
	return n, err
}
