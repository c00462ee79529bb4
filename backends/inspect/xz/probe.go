package xz

import (
	"errors"
	"io"

	"polyclam/backends/inspect/internal/archive"
)

const (
	// probeSize is how much is unpacked with a small dictionary. Most files need no more:
	// their beginning shows that they are not containers.
	probeSize       = 48 << 10
	probeDictionary = 64 << 10
	// maxDictionary bounds memory, and the time of one read: the decoder fills its
	// dictionary before it returns. A reference farther back is an error.
	maxDictionary = 64 << 20
)

// probe reads the beginning of a file with a small dictionary. Then it reopens the file and
// skips what has been read.
type probe struct {
	open  func(dictionary int64) io.Reader // with at most this dictionary
	from  io.Reader
	read  int64
	whole bool
}

func newProbe(open func(dictionary int64) io.Reader) *probe {
	return &probe{open: open, from: open(probeDictionary)}
}

// Read implements [io.Reader].
func (r *probe) Read(p []byte) (int, error) {
	if !r.whole && r.read < probeSize {
		n, err := r.from.Read(p[:min(int64(len(p)), probeSize-r.read)])
		r.read += int64(n)
		if n > 0 || !errors.Is(err, errData) {
			return n, err
		}
		// The decoder looks ahead, and its dictionary may have been too small for that.
	}
	if !r.whole {
		r.whole = true
		r.from = r.open(maxDictionary)
		if n, err := io.CopyN(io.Discard, r.from, r.read); n < r.read {
			return 0, archive.CutOff(err)
		}
	}
	return r.from.Read(p)
}
