package seven

// Property IDs of a header (7zFormat.txt).
const (
	idEnd             = 0x00
	idHeader          = 0x01
	archiveProperties = 0x02
	additionalStreams = 0x03
	mainStreams       = 0x04
	filesInfo         = 0x05
	idPackInfo        = 0x06
	idUnpackInfo      = 0x07
	idSubStreams      = 0x08
	idSize            = 0x09
	idSum             = 0x0a
	folderID          = 0x0b
	unpackSize        = 0x0c
	unpackStreams     = 0x0d
	emptyStream       = 0x0e
	idNames           = 0x11
	encodedHeader     = 0x17
)

// Limits for one folder. 7-Zip 26 allows at most 64 coders and 64 streams.
const (
	maxCoders = 32
	maxFlows  = 64
)

// maxFolders bounds the memory for a header.
const maxFolders = 50_000

// streamsInfo is a parsed StreamsInfo.
type streamsInfo struct {
	place     uint64 // offset of the first packed stream, from the end of the start header
	packed    []byte // encoded sizes of the packed streams
	sizes     []byte // encoded sizes of the members
	folders   []folder
	encrypted int // the first folder with an encrypted stream, or -1
	total     uint64
}

// folder is a unit of compression. It refers to the encoded header, because there may be
// many folders.
type folder struct {
	graph    []byte
	outs     []byte // encoded sizes of the outputs
	unpacked uint64
	streams  uint64 // number of members
	count    uint8  // number of outputs
	main     uint8  // the output that contains the members
	packed   uint8  // number of packed streams
	sum      bool
}

// first returns the index of a folder's first stream.
func (s *streamsInfo) first(folder int) uint64 {
	n := uint64(0)
	for _, f := range s.folders[:folder] {
		n += f.streams
	}
	return n
}

// sums skips the checksums of n items and calls has for each item that has one.
func (r *reader) sums(n uint64, has func(i uint64)) {
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
func (r *reader) properties() {
	for r.byte() != idEnd && !r.bad {
		r.bytes(r.number())
	}
}

// streams reads a StreamsInfo. The result is valid only if r is not bad afterwards.
func (r *reader) streams() *streamsInfo {
	s := &streamsInfo{encrypted: -1}
	id := r.byte()
	if id == idPackInfo {
		r.packInfo(s)
		id = r.byte()
	}
	if id == idUnpackInfo {
		r.unpackInfo(s)
		id = r.byte()
	}
	if id == idSubStreams {
		r.subStreams(s)
		id = r.byte()
	}
	for _, f := range s.folders {
		s.total += f.streams
	}
	if id != idEnd {
		r.bad, r.b = true, nil
	}
	return s
}

func (r *reader) packInfo(s *streamsInfo) {
	s.place = r.number()
	n := r.count()
	id := r.byte()
	if id == idSize {
		s.packed = r.b
		for range n {
			r.number()
		}
		s.packed = s.packed[:len(s.packed)-len(r.b)]
		id = r.byte()
	}
	if id == idSum {
		r.sums(n, func(uint64) {})
		id = r.byte()
	}
	if id != idEnd {
		r.bad = true
	}
}

func (r *reader) unpackInfo(s *streamsInfo) {
	r.want(folderID)
	n := r.count()
	r.want(0) // not external
	if n > maxFolders {
		r.many, r.bad = true, true
	}
	for i := uint64(0); i < n && !r.bad; i++ {
		f := folder{graph: r.b, streams: 1}
		g := r.graph()
		f.graph = f.graph[:len(f.graph)-len(r.b)]
		f.main, f.packed = uint8(g.main), uint8(len(g.packed))
		f.count = uint8(len(g.binds) + 1)
		if s.encrypted < 0 && g.encrypted() {
			s.encrypted = int(i)
		}
		s.folders = append(s.folders, f)
	}
	r.want(unpackSize)
	for i := range s.folders {
		f := &s.folders[i]
		f.outs = r.b
		for out := range f.count {
			if n := r.number(); out == f.main {
				f.unpacked = n
			}
		}
		f.outs = f.outs[:len(f.outs)-len(r.b)]
	}
	id := r.byte()
	if id == idSum {
		r.sums(n, func(i uint64) { s.folders[i].sum = true })
		id = r.byte()
	}
	if id != idEnd {
		r.bad = true
	}
}

func (r *reader) subStreams(s *streamsInfo) {
	id := r.byte()
	if id == unpackStreams {
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
	if id == idSize {
		s.sizes = r.b
		for _, f := range s.folders {
			for i := uint64(1); i < f.streams && !r.bad; i++ {
				r.number()
			}
		}
		s.sizes = s.sizes[:len(s.sizes)-len(r.b)]
		id = r.byte()
	}
	if id == idSum {
		n := uint64(0)
		for _, f := range s.folders {
			if f.streams != 1 || !f.sum {
				n += f.streams
			}
		}
		r.sums(n, func(uint64) {})
		id = r.byte()
	}
	if id != idEnd {
		r.bad = true
	}
}
