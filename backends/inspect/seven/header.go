package seven

// The numbers of the parts of a header.
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

// Bounds for one folder. 7-Zip 26 has 64 coders and 64 streams at most.
const (
	maxCoders = 32
	maxFlows  = 64
)

// maxFolders bounds what a header makes us remember.
const maxFolders = 50_000

// streamsInfo is a StreamsInfo.
type streamsInfo struct {
	place     uint64 // of the first packed stream, after the start header
	packed    []byte // the sizes of the packed streams, as they are in the header
	sizes     []byte // of the members in the folders, likewise
	folders   []folder
	encrypted int // the first folder with an encrypted stream, or -1
	total     uint64
}

// folder is what is packed together. It keeps the header's own bytes: there may
// be many folders.
type folder struct {
	graph    []byte
	outs     []byte // the sizes of the outputs
	unpacked uint64
	streams  uint64 // members in it
	count    uint8  // of outputs
	main     uint8  // the output that the members are in
	packed   uint8  // packed streams
	sum      bool
}

// first returns the number of the first stream of a folder.
func (s *streamsInfo) first(folder int) uint64 {
	n := uint64(0)
	for _, f := range s.folders[:folder] {
		n += f.streams
	}
	return n
}

// sums skips the checksums of n things and returns which of them have one.
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

// streams reads a StreamsInfo. It is good only if the reader is not bad then.
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
