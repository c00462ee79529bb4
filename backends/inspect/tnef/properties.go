package tnef

import (
	"context"
	"encoding/binary"

	"polyclam/backends/inspect/internal/walk"
)

// The property types of variable size ([MS-OXCDATA] 2.11.1), and the property that holds
// the data of an attachment: a message or a file.
const (
	typeObject  = 0x0d
	typeString8 = 0x1e
	typeString  = 0x1f
	typeBinary  = 0x102
	typeMany    = 0x1000

	attachData = 0x3701
)

// fixedSizes has the sizes of the other types, with padding.
var fixedSizes = map[uint16]int64{
	0x02: 4, 0x03: 4, 0x04: 4, 0x05: 8, 0x06: 8, 0x07: 8, 0x0a: 4, 0x0b: 4, 0x14: 8, 0x40: 8, 0x48: 16,
}

// properties reads a list of MAPI properties. Once bad is set it returns zeros.
type properties struct {
	section *walk.Section
	at, end int64
	bad     bool
}

func (p *properties) skip(n int64) {
	if p.at += n; n < 0 || p.at > p.end {
		p.bad, p.at = true, p.end
	}
}

func (p *properties) u32() uint32 {
	var b [4]byte
	if p.bad || p.at+4 > p.end || walk.ReadFull(p.section, b[:], p.at) != nil {
		p.bad = true
		return 0
	}
	p.at += 4
	return binary.LittleEndian.Uint32(b[:])
}

// padded skips n bytes and the padding to a multiple of four.
func (p *properties) padded(n uint32) { p.skip((int64(n) + 3) &^ 3) }

// attachmentObject inspects an attachment that is stored in its properties, as forwarded
// messages are.
func attachmentObject(ctx context.Context, w *walk.Walk, s *walk.Section, at, end int64) *walk.Sighting {
	const most, interfaceID = 1000, 16
	p := &properties{section: s, at: at, end: end}
	for range min(p.u32(), most) {
		tag := p.u32()
		kind, id := uint16(tag), uint16(tag>>16)
		if id >= 0x8000 {
			p.name()
		}
		values := uint32(1)
		many := kind&typeMany != 0
		kind &^= typeMany
		size, fixed := fixedSizes[kind]
		if many || !fixed {
			values = p.u32()
		}
		for range values {
			if p.bad || w.Stopped() != nil {
				return nil
			}
			if fixed {
				p.skip(size)
				continue
			}
			if kind != typeObject && kind != typeString8 && kind != typeString && kind != typeBinary {
				return nil
			}
			n := p.u32()
			from, length := p.at, int64(n)
			if kind == typeObject {
				from, length = from+interfaceID, length-interfaceID
			}
			if id == attachData && !p.bad {
				inner, err := w.Stored(s, from, min(length, end-from))
				if err != nil {
					return nil
				}
				if seen := w.Look(ctx, inner); seen != nil {
					return seen
				}
			}
			p.padded(n)
		}
	}
	return nil
}

// name skips the name of a named property.
func (p *properties) name() {
	const guid = 16
	p.skip(guid)
	if p.u32() == 0 {
		p.u32()
		return
	}
	p.padded(p.u32())
}
