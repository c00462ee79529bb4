package inspect

import (
	"errors"
	"io"
)

// sevenUnpacker unpacks folders, one after the other.
type sevenUnpacker struct {
	file    *sevenFile
	streams *sevenStreams
	guard   *guard

	place  uint64      // of the next folder's first packed stream
	packed sevenReader // the sizes of the packed streams from there on
	sizes  sevenReader // the sizes of the members from the next folder on
}

var errSeven = errors.New("broken 7z archive")

// open prepares to unpack. The caller closes the guard.
func (f *sevenFile) open(streams *sevenStreams) (*sevenUnpacker, error) {
	if streams.sizes == nil && streams.total > uint64(len(streams.folders)) {
		return nil, errSeven
	}
	g, err := f.walk.guard(f.ctx)
	if err != nil {
		return nil, err
	}
	return &sevenUnpacker{
		file: f, streams: streams, guard: g,
		place: streams.place, packed: sevenReader{b: streams.packed}, sizes: sevenReader{b: streams.sizes},
	}, nil
}

// members looks into the members, and returns the number of that in which
// something is encrypted.
func (u *sevenUnpacker) members() (uint64, *sighting) {
	w := u.file.walk
	number := uint64(0)
	for i := range u.streams.folders {
		f := &u.streams.folders[i]
		// Their places count even where the folder is skipped.
		packed, ok := u.packedStreams(f)
		if !ok || w.stop != nil || u.guard.left {
			return 0, nil
		}
		sizes := u.sizes
		for range max(f.streams, 1) - 1 {
			u.sizes.number()
		}
		if f.unpacked >= smallestContainer && f.streams > 0 {
			if n, seen := u.folder(f, packed, sizes); seen != nil {
				return number + n, seen
			}
		}
		number += f.streams
	}
	return 0, nil
}

// packedStreams finds the packed streams of the next folder.
func (u *sevenUnpacker) packedStreams(f *sevenFolder) ([]io.Reader, bool) {
	room := uint64(u.file.section.size - sevenStartSize)
	streams := make([]io.Reader, f.packed)
	for i := range streams {
		size := u.packed.number()
		if u.packed.bad || u.place > room || size > room-u.place {
			u.file.walk.miss(unscannedCutOff, "7z: the archive ends before its members")
			return nil, false
		}
		streams[i] = io.NewSectionReader(u.guard.readerAt(u.file.section), sevenStartSize+int64(u.place), int64(size))
		u.place += size
	}
	return streams, true
}

// folder looks into the members of one folder, each of which has to be read to
// its end for the next. sizes are those of its members but the last.
func (u *sevenUnpacker) folder(f *sevenFolder, packed []io.Reader, sizes sevenReader) (uint64, *sighting) {
	w := u.file.walk
	from, release := u.reader(f, packed)
	if from == nil {
		return 0, nil
	}
	defer release()
	r := w.unpacker(u.file.ctx, u.guard.reader(from))
	left := f.unpacked
	for i := range f.streams {
		size := left
		if i+1 < f.streams {
			size = sizes.number()
		}
		if sizes.bad || size > left || w.stop != nil {
			return 0, nil
		}
		left -= size
		if size == 0 {
			continue
		}
		seen, broken := u.member(r, size)
		if seen != nil || broken {
			return i, seen
		}
	}
	return 0, nil
}

// reader makes a reader of a folder. It is nil if the folder cannot be unpacked;
// what is too large is skipped before it costs anything.
func (u *sevenUnpacker) reader(f *sevenFolder, packed []io.Reader) (from io.Reader, release func()) {
	w := u.file.walk
	h := sevenReader{b: f.graph}
	g := h.graph()
	if method := g.unknown(); method != "" {
		w.miss(unscannedMethod, "7z: method "+method+" is not supported")
		return nil, nil
	}
	sizes := make([]uint64, f.count)
	for i, outs := 0, (sevenReader{b: f.outs}); i < len(sizes); i++ {
		sizes[i] = outs.number()
	}
	memory := g.memory(sizes)
	if memory > uint64(w.bytes) || f.unpacked > uint64(w.bytes)-memory {
		w.note("MaxBytes", int64(w.config.MaxBytes))
		return nil, nil
	}
	release, err := w.borrow(u.file.ctx, int64(memory))
	if err != nil {
		return nil, nil
	}
	err = u.guard.call(func() (err error) {
		from, err = g.open(g.main, sizes, packed, make([]bool, len(g.coders)))
		return err
	})
	if err != nil {
		if !errors.Is(err, errLeft) {
			release()
		}
		w.miss(unscannedBroken, "7z: a folder cannot be unpacked")
		return nil, nil
	}
	return from, release
}

// member looks into one member. broken says that the rest of the folder cannot
// be read.
func (u *sevenUnpacker) member(r *unpacker, size uint64) (seen *sighting, broken bool) {
	f := u.file
	r.left = int64(min(size, 1<<62))
	inner, err := f.walk.unpacked(f.section, r, r.left)
	if err == nil {
		if seen := f.walk.look(f.ctx, inner); seen != nil {
			return seen, false
		}
	}
	if f.walk.stop != nil || r.drain() != nil {
		return nil, true
	}
	if r.left > 0 {
		f.walk.miss(unscannedBroken, "7z: a folder breaks off")
		return nil, true
	}
	return nil, false
}

// unpackHeader unpacks a header that is packed.
func (f *sevenFile) unpackHeader(r sevenReader, streams *sevenStreams) ([]byte, bool) {
	if r.bad || len(streams.folders) != 1 || streams.total != 1 {
		return nil, false
	}
	folder := &streams.folders[0]
	if folder.unpacked > maxSevenHeader {
		f.walk.note("MaxBytes", int64(min(maxSevenHeader, f.walk.config.MaxBytes)))
		return nil, false
	}
	u, err := f.open(streams)
	if err != nil {
		return nil, false
	}
	defer u.guard.close()
	packed, ok := u.packedStreams(folder)
	if !ok {
		return nil, false
	}
	from, release := u.reader(folder, packed)
	if from == nil {
		return nil, false
	}
	defer release()
	header, err := io.ReadAll(io.LimitReader(f.walk.unpacker(f.ctx, u.guard.reader(from)), maxSevenHeader))
	return header, err == nil
}
