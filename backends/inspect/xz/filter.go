package xz

import (
	"encoding/binary"
	"fmt"
	"io"

	"polyclam/backends/inspect/internal/archive"
	"polyclam/backends/inspect/internal/filter"
)

// Filter IDs (.xz file format 1.2.1, 5.3).
const (
	filterDelta = 0x03
	filterX86   = 0x04
	filterPPC   = 0x05
	filterIA64  = 0x06
	filterARM   = 0x07
	filterARMT  = 0x08
	filterSPARC = 0x09
	filterARM64 = 0x0a
	filterRISCV = 0x0b
	filterLZMA2 = 0x21
)

// branches are the filters for programs loaded at address 0.
var branches = map[int64]func(io.Reader) io.Reader{
	filterX86:   filter.X86,
	filterPPC:   filter.PPC,
	filterARM:   filter.ARM,
	filterARMT:  filter.ARMT,
	filterSPARC: filter.SPARC,
	filterARM64: func(r io.Reader) io.Reader { return filter.ARM64(r, 0) },
}

// names are those of unsupported filters.
var names = map[int64]string{filterIA64: "IA-64", filterRISCV: "RISC-V"}

// newFilter returns the decoder of a filter.
func newFilter(id int64, properties []byte) (func(io.Reader) io.Reader, error) {
	f := branches[id]
	switch {
	case id == filterDelta && len(properties) == 1:
		return func(r io.Reader) io.Reader { return filter.Delta(r, int(properties[0])+1) }, nil
	case f != nil && len(properties) == 0:
		return f, nil
	case f != nil && len(properties) == 4:
		start := binary.LittleEndian.Uint32(properties)
		switch {
		case start == 0:
			return f, nil
		case id == filterARM64:
			return func(r io.Reader) io.Reader { return filter.ARM64(r, start) }, nil
		}
		return nil, archive.MethodError("a filter with a start address is not supported")
	case names[id] != "":
		return nil, archive.MethodError(fmt.Sprintf("filter %s is not supported", names[id]))
	}
	return nil, archive.MethodError(fmt.Sprintf("filter %d is not supported", id))
}
