package inspect

import (
	"context"
	"io"
)

// member is a part of a container that can be looked into.
type member struct {
	packed   *io.SectionReader
	deflated bool
	declared int64 // size when unpacked, as the container says
}

// open makes a section of a member, if it is a container: nil if not. A stored
// member is read where it is. A deflated one is unpacked into memory, but only
// if its first bytes say that it is worth it.
func (w *walk) open(ctx context.Context, parent *section, m member) (*section, error) {
	if err := w.enter(); err != nil {
		return nil, err
	}
	s := &section{depth: parent.depth + 1}
	head := w.scratch.head[:]
	if !m.deflated {
		s.ReaderAt, s.size = m.packed, m.packed.Size()
		s.head = head[:min(headSize, s.size)]
		if err := readFull(s, s.head, 0); err != nil {
			return nil, err
		}
		return w.keep(s), nil
	}
	u := w.unpacker(ctx, m.packed)
	n, err := io.ReadFull(u, head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, err
	}
	s.head = head[:n]
	if w.keep(s) == nil {
		return nil, nil
	}
	if s.depth >= w.config.MaxDepth {
		return s, nil // look will only note that
	}
	if m.declared > w.bytes {
		// Spend nothing on what cannot be finished: others may be small.
		w.note("MaxBytes", int64(w.config.MaxBytes))
		return nil, nil
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

// unpacker reads a deflated member. What goes in is paid for by the meter; it
// pays for what comes out beyond that.
type unpacker struct {
	ctx  context.Context // see meter
	walk *walk
	from io.Reader
	in   counter
	out  int64
	paid int64
}

func (w *walk) unpacker(ctx context.Context, packed io.Reader) *unpacker {
	u := &unpacker{ctx: ctx, walk: w, in: counter{from: packed}}
	u.from = w.scratch.reader(&u.in)
	return u
}

// Read returns unpacked bytes.
func (u *unpacker) Read(p []byte) (int, error) {
	n, err := u.from.Read(p)
	u.out += int64(n)
	if due := u.out - u.in.n - u.paid; due > 0 {
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
