package seven

import (
	"fmt"
	"io"
)

// sevenGraph is a folder: coders, and how the streams flow between them.
type sevenGraph struct {
	coders []sevenCoder
	binds  []sevenBind
	packed []uint64 // the inputs that packed streams are for
	main   uint64   // the output that is bound to no input
}

// sevenBind feeds an input from an output. Inputs and outputs are counted over
// all coders.
type sevenBind struct{ in, out uint64 }

// graph reads a folder.
func (r *sevenReader) graph() (g sevenGraph) {
	coders := r.number()
	if coders == 0 || coders > maxSevenCoders {
		r.bad = true
		return g
	}
	ins, outs := uint64(0), uint64(0)
	for i := uint64(0); i < coders && !r.bad; i++ {
		c := r.coder()
		ins, outs = ins+c.ins, outs+c.outs
		g.coders = append(g.coders, c)
	}
	if ins > maxSevenFlows || outs > maxSevenFlows || outs == 0 || ins < outs-1 {
		r.bad = true
		return g
	}
	for range outs - 1 {
		g.binds = append(g.binds, sevenBind{in: r.number(), out: r.number()})
	}
	packed := ins - (outs - 1)
	if packed == 1 {
		g.packed = append(g.packed, g.freeInput(ins))
		packed = 0
	}
	for range packed {
		g.packed = append(g.packed, r.number())
	}
	for g.main < outs-1 && g.bound(g.main) {
		g.main++
	}
	return g
}

func (g *sevenGraph) bound(out uint64) bool {
	for _, b := range g.binds {
		if b.out == out {
			return true
		}
	}
	return false
}

// freeInput returns the input that is bound to no output.
func (g *sevenGraph) freeInput(ins uint64) uint64 {
	for in := range ins {
		free := true
		for _, b := range g.binds {
			free = free && b.in != in
		}
		if free {
			return in
		}
	}
	return 0
}

func (g *sevenGraph) encrypted() bool {
	for _, c := range g.coders {
		if sevenEncryptions[c.id] {
			return true
		}
	}
	return false
}

// unknown names a method that cannot be unpacked, or nothing.
func (g *sevenGraph) unknown() string {
	for _, c := range g.coders {
		if m, ok := sevenMethods[c.id]; ok && uint64(m.ins) == c.ins && c.outs == 1 {
			continue
		}
		if name := sevenOthers[c.id]; name != "" {
			return name
		}
		return fmt.Sprintf("%X", c.id)
	}
	return ""
}

// memory is what it takes to unpack the folder, if sizes are those of the
// outputs.
func (g *sevenGraph) memory(sizes []uint64) uint64 {
	const most = 1 << 48
	n := uint64(0)
	for i, c := range g.coders {
		const buffer = 4096 // before it
		n += min(most, sevenMethods[c.id].memory(c.properties, sizes[i])) + c.ins*buffer
	}
	return n
}

// open makes a reader of an output, of coders each of which has one. streams
// are the packed streams. It follows each coder once: another way to it would
// be a circle.
func (g *sevenGraph) open(out uint64, sizes []uint64, streams []io.Reader, used []bool) (io.Reader, error) {
	if out >= uint64(len(g.coders)) || used[out] {
		return nil, errSeven
	}
	used[out] = true
	c := g.coders[out]
	first := uint64(0)
	for _, before := range g.coders[:out] {
		first += before.ins
	}
	ins := make([]io.Reader, c.ins)
	for i := range ins {
		var err error
		if ins[i], err = g.input(first+uint64(i), sizes, streams, used); err != nil {
			return nil, err
		}
	}
	r, err := sevenMethods[c.id].open(c.properties, sizes[out], ins)
	if err != nil {
		return nil, err
	}
	return io.LimitReader(r, int64(min(sizes[out], 1<<62))), nil
}

func (g *sevenGraph) input(in uint64, sizes []uint64, streams []io.Reader, used []bool) (io.Reader, error) {
	for _, b := range g.binds {
		if b.in == in {
			return g.open(b.out, sizes, streams, used)
		}
	}
	for i, p := range g.packed {
		if p == in && streams[i] != nil {
			r := streams[i]
			streams[i] = nil // one coder reads it
			return r, nil
		}
	}
	return nil, errSeven
}
