package seven

import (
	"fmt"
	"io"
)

// graph describes a folder: its coders and how streams flow between them.
type graph struct {
	coders []coder
	binds  []bind
	packed []uint64 // inputs fed by packed streams
	main   uint64   // the output that feeds no input
}

// bind connects an output to an input. Inputs and outputs are numbered across all coders.
type bind struct{ in, out uint64 }

// graph reads a folder.
func (r *reader) graph() (g graph) {
	coders := r.number()
	if coders == 0 || coders > maxCoders {
		r.bad = true
		return g
	}
	ins, outs := uint64(0), uint64(0)
	for i := uint64(0); i < coders && !r.bad; i++ {
		c := r.coder()
		ins, outs = ins+c.ins, outs+c.outs
		g.coders = append(g.coders, c)
	}
	if ins > maxFlows || outs > maxFlows || outs == 0 || ins < outs-1 {
		r.bad = true
		return g
	}
	for range outs - 1 {
		g.binds = append(g.binds, bind{in: r.number(), out: r.number()})
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

func (g *graph) bound(out uint64) bool {
	for _, b := range g.binds {
		if b.out == out {
			return true
		}
	}
	return false
}

// freeInput returns the input that is not bound.
func (g *graph) freeInput(ins uint64) uint64 {
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

func (g *graph) encrypted() bool {
	for _, c := range g.coders {
		if encryptions[c.id] {
			return true
		}
	}
	return false
}

// unknown returns the name of an unsupported method, or "".
func (g *graph) unknown() string {
	for _, c := range g.coders {
		if m, ok := methods[c.id]; ok && uint64(m.ins) == c.ins && c.outs == 1 {
			continue
		}
		if name := others[c.id]; name != "" {
			return name
		}
		return fmt.Sprintf("%X", c.id)
	}
	return ""
}

// memory returns the memory needed to unpack the folder, given the sizes of the outputs.
func (g *graph) memory(sizes []uint64) uint64 {
	const most = 1 << 48
	n := uint64(0)
	for i, c := range g.coders {
		const buffer = 4096 // input buffer
		n += min(most, methods[c.id].memory(c.properties, sizes[i])) + c.ins*buffer
	}
	return n
}

// open returns a reader of an output. Every coder has exactly one output; streams are the
// packed streams. Each coder is visited once: visiting it again would mean a cycle.
func (g *graph) open(out uint64, sizes []uint64, streams []io.Reader, used []bool) (io.Reader, error) {
	if out >= uint64(len(g.coders)) || used[out] {
		return nil, errBroken
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
	r, err := methods[c.id].open(c.properties, sizes[out], ins)
	if err != nil {
		return nil, err
	}
	return io.LimitReader(r, int64(min(sizes[out], 1<<62))), nil
}

func (g *graph) input(in uint64, sizes []uint64, streams []io.Reader, used []bool) (io.Reader, error) {
	for _, b := range g.binds {
		if b.in == in {
			return g.open(b.out, sizes, streams, used)
		}
	}
	for i, p := range g.packed {
		if p == in && streams[i] != nil {
			r := streams[i]
			streams[i] = nil // only one coder may read it
			return r, nil
		}
	}
	return nil, errBroken
}
