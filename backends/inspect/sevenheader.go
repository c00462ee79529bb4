package inspect

import "slices"

// The numbers of the parts of a header.
const (
	sevenEnd               = 0x00
	sevenHeader            = 0x01
	sevenArchiveProperties = 0x02
	sevenAdditionalStreams = 0x03
	sevenMainStreams       = 0x04
	sevenFilesInfo         = 0x05
	sevenPackInfo          = 0x06
	sevenUnpackInfo        = 0x07
	sevenSubStreams        = 0x08
	sevenSize              = 0x09
	sevenSum               = 0x0a
	sevenFolderID          = 0x0b
	sevenUnpackSize        = 0x0c
	sevenUnpackStreams     = 0x0d
	sevenEmptyStream       = 0x0e
	sevenNames             = 0x11
	sevenEncodedHeader     = 0x17
)

// Bounds for one folder. 7-Zip 26 has 64 coders and 64 streams at most.
const (
	maxSevenCoders = 32
	maxSevenFlows  = 64
)

// maxSevenFolders bounds what a header makes us remember.
const maxSevenFolders = 200_000

// sevenStreams is a StreamsInfo.
type sevenStreams struct {
	raw       []byte // as it stands in the header, to its UnpackInfo
	sizes     []byte // of the members in the folders, as they stand there
	folders   []sevenFolder
	encrypted int // the first folder with an encrypted stream, or -1
	total     uint64
}

// sevenFolder is what is packed together.
type sevenFolder struct {
	memory   uint64 // to unpack it
	unpacked uint64
	streams  uint64 // members in it
	outs     uint8
	known    bool // its methods
	sum      bool
}

// first returns the number of the first stream of a folder.
func (s *sevenStreams) first(folder int) uint64 {
	n := uint64(0)
	for _, f := range s.folders[:folder] {
		n += f.streams
	}
	return n
}

// sums skips the checksums of n things and returns which of them have one.
func (r *sevenReader) sums(n uint64, has func(i uint64)) {
	defined := n
	if r.byte() == 0 {
		defined = 0
		r.bits(n, func(i uint64) {
			defined++
			has(i)
		})
	} else {
		for i := uint64(0); i < n && !r.bad; i++ {
			has(i)
		}
	}
	r.bytes(4 * defined)
}

// properties skips archive properties.
func (r *sevenReader) properties() {
	for r.byte() != sevenEnd && !r.bad {
		r.bytes(r.number())
	}
}

// streams reads a StreamsInfo. It is good only if the reader is not bad then.
func (r *sevenReader) streams() *sevenStreams {
	s := &sevenStreams{raw: r.b, encrypted: -1}
	id := r.byte()
	if id == sevenPackInfo {
		r.packInfo()
		id = r.byte()
	}
	if id == sevenUnpackInfo {
		r.unpackInfo(s)
		s.raw = s.raw[:len(s.raw)-len(r.b)]
		id = r.byte()
	}
	if id == sevenSubStreams {
		r.subStreams(s)
		id = r.byte()
	}
	for _, f := range s.folders {
		s.total += f.streams
	}
	if id != sevenEnd {
		r.bad, r.b = true, nil
	}
	return s
}

func (r *sevenReader) packInfo() {
	r.number() // where
	n := r.count()
	id := r.byte()
	if id == sevenSize {
		for range n {
			r.number()
		}
		id = r.byte()
	}
	if id == sevenSum {
		r.sums(n, func(uint64) {})
		id = r.byte()
	}
	if id != sevenEnd {
		r.bad = true
	}
}

func (r *sevenReader) unpackInfo(s *sevenStreams) {
	r.want(sevenFolderID)
	n := r.count()
	r.want(0) // not external
	if n > maxSevenFolders {
		r.many, r.bad = true, true
	}
	for i := uint64(0); i < n && !r.bad; i++ {
		f, encrypted := r.folder()
		if encrypted && s.encrypted < 0 {
			s.encrypted = int(i)
		}
		s.folders = append(s.folders, f)
	}
	r.want(sevenUnpackSize)
	for i := range s.folders {
		for range s.folders[i].outs {
			// The one that is not bound is not worth finding.
			s.folders[i].unpacked = max(s.folders[i].unpacked, r.number())
		}
	}
	id := r.byte()
	if id == sevenSum {
		r.sums(n, func(i uint64) { s.folders[i].sum = true })
		id = r.byte()
	}
	if id != sevenEnd {
		r.bad = true
	}
}

func (r *sevenReader) folder() (f sevenFolder, encrypted bool) {
	coders := r.number()
	if coders == 0 || coders > maxSevenCoders {
		r.bad = true
	}
	f.known, f.streams = true, 1
	ins, outs := uint64(0), uint64(0)
	var filters []uint64 // by the number of what comes out of them
	for i := uint64(0); i < coders && !r.bad; i++ {
		c := r.coder()
		f.known = f.known && c.known
		f.memory = min(f.memory+c.memory, 1<<40)
		encrypted = encrypted || c.encrypted
		if c.filter {
			filters = append(filters, outs)
		}
		ins, outs = ins+c.ins, outs+c.outs
	}
	if ins > maxSevenFlows || outs > maxSevenFlows || outs == 0 || ins < outs {
		r.bad = true
		return f, false
	}
	f.outs = uint8(outs)
	for range outs - 1 {
		r.number()
		if out := r.number(); slices.Contains(filters, out) {
			f.known = false // something else reads the filter
		}
	}
	if packed := ins - (outs - 1); packed > 1 {
		for range packed {
			r.number()
		}
	}
	f.known = f.known && len(filters) <= 1
	return f, encrypted
}

func (r *sevenReader) subStreams(s *sevenStreams) {
	id := r.byte()
	if id == sevenUnpackStreams {
		left := uint64(len(r.b))
		for i := range s.folders {
			n := r.number()
			if n > left {
				r.bad = true
				return
			}
			left -= n
			s.folders[i].streams = n
		}
		id = r.byte()
	}
	if id == sevenSize {
		s.sizes = r.b
		for _, f := range s.folders {
			for i := uint64(1); i < f.streams && !r.bad; i++ {
				r.number()
			}
		}
		s.sizes = s.sizes[:len(s.sizes)-len(r.b)]
		id = r.byte()
	}
	if id == sevenSum {
		n := uint64(0)
		for _, f := range s.folders {
			if f.streams != 1 || !f.sum {
				n += f.streams
			}
		}
		r.sums(n, func(uint64) {})
		id = r.byte()
	}
	if id != sevenEnd {
		r.bad = true
	}
}
