package seven

import (
	"errors"
	"io"

	"polyclam/backends/inspect/internal/walk"
)

// unpacker unpacks one folder after the other.
type unpacker struct {
	file    *file
	streams *streamsInfo
	guard   *walk.Guard

	place  uint64 // offset of the next folder's first packed stream
	packed reader // sizes of the remaining packed streams
	sizes  reader // sizes of the remaining members
}

var errBroken = errors.New("broken 7z archive")

// open prepares to unpack. The caller must close the guard.
func (f *file) open(streams *streamsInfo) (*unpacker, error) {
	if streams.sizes == nil && streams.total > uint64(len(streams.folders)) {
		return nil, errBroken
	}
	g, err := f.walk.Guard(f.ctx)
	if err != nil {
		return nil, err
	}
	return &unpacker{
		file: f, streams: streams, guard: g,
		place: streams.place, packed: reader{b: streams.packed}, sizes: reader{b: streams.sizes},
	}, nil
}

// members inspects the members and returns the index of the one with something encrypted.
func (u *unpacker) members() (uint64, *walk.Sighting) {
	w := u.file.walk
	number := uint64(0)
	for i := range u.streams.folders {
		f := &u.streams.folders[i]
		// Advance past the streams even if the folder is skipped.
		packed, ok := u.packedStreams(f)
		if !ok || w.Stopped() != nil || u.guard.Abandoned {
			return 0, nil
		}
		sizes := u.sizes
		for range max(f.streams, 1) - 1 {
			u.sizes.number()
		}
		if f.unpacked >= walk.SmallestContainer && f.streams > 0 {
			if n, seen := u.folder(f, packed, sizes); seen != nil {
				return number + n, seen
			}
		}
		number += f.streams
	}
	return 0, nil
}

// packedStreams returns readers of the next folder's packed streams.
func (u *unpacker) packedStreams(f *folder) ([]io.Reader, bool) {
	room := uint64(u.file.section.Size - startSize)
	streams := make([]io.Reader, f.packed)
	for i := range streams {
		size := u.packed.number()
		if u.packed.bad || u.place > room || size > room-u.place {
			u.file.walk.Miss(walk.UnscannedCutOff, "7z: the archive ends before its members")
			return nil, false
		}
		streams[i] = io.NewSectionReader(u.guard.ReaderAt(u.file.section), startSize+int64(u.place), int64(size))
		u.place += size
	}
	return streams, true
}

// folder inspects the members of one folder, each of which must be read to its end to reach
// the next. sizes has the sizes of all but the last.
func (u *unpacker) folder(f *folder, packed []io.Reader, sizes reader) (uint64, *walk.Sighting) {
	w := u.file.walk
	from, release := u.reader(f, packed)
	if from == nil {
		return 0, nil
	}
	defer release()
	r := w.Unpacker(u.file.ctx, u.guard.Reader(from))
	left := f.unpacked
	for i := range f.streams {
		size := left
		if i+1 < f.streams {
			size = sizes.number()
		}
		if sizes.bad || size > left || w.Stopped() != nil {
			w.Miss(walk.UnscannedBroken, "7z: the sizes of the members are wrong")
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

// reader returns a reader of a folder, or nil if the folder cannot be unpacked. A folder
// that is too large is skipped before it costs anything.
func (u *unpacker) reader(f *folder, packed []io.Reader) (from io.Reader, release func()) {
	w := u.file.walk
	h := reader{b: f.graph}
	g := h.graph()
	if method := g.unknown(); method != "" {
		w.Miss(walk.UnscannedMethod, "7z: method "+method+" is not supported")
		return nil, nil
	}
	sizes := make([]uint64, f.count)
	for i, outs := 0, (reader{b: f.outs}); i < len(sizes); i++ {
		sizes[i] = outs.number()
	}
	memory := g.memory(sizes)
	if memory > uint64(w.BytesLeft()) || f.unpacked > uint64(w.BytesLeft())-memory {
		w.Note("MaxBytes", w.Limits.MaxBytes)
		return nil, nil
	}
	release, err := w.Borrow(u.file.ctx, int64(memory))
	if err != nil {
		return nil, nil
	}
	// Not the named result: an abandoned call may still write to the variable.
	var opened io.Reader
	err = u.guard.Call(func() (err error) {
		opened, err = g.open(g.main, sizes, packed, make([]bool, len(g.coders)))
		return err
	})
	if err != nil {
		if !errors.Is(err, walk.ErrAbandoned) {
			release()
		}
		w.Miss(walk.UnscannedBroken, "7z: a folder cannot be unpacked")
		return nil, nil
	}
	return opened, release
}

// member inspects one member. broken reports that the rest of the folder cannot be read.
func (u *unpacker) member(r *walk.Unpacker, size uint64) (seen *walk.Sighting, broken bool) {
	f := u.file
	r.Left = int64(min(size, 1<<62))
	inner, err := f.walk.Unpacked(f.section, r, r.Left)
	if err == nil {
		if seen := f.walk.Look(f.ctx, inner); seen != nil {
			return seen, false
		}
	}
	if f.walk.Stopped() != nil || r.Drain() != nil {
		return nil, true
	}
	if r.Left > 0 {
		f.walk.Miss(walk.UnscannedBroken, "7z: a folder breaks off")
		return nil, true
	}
	return nil, false
}

// unpackHeader unpacks an encoded header.
func (f *file) unpackHeader(r reader, streams *streamsInfo) ([]byte, bool) {
	if r.bad || len(streams.folders) != 1 || streams.total != 1 {
		return nil, false
	}
	folder := &streams.folders[0]
	if folder.unpacked > maxHeader {
		f.walk.Note("MaxBytes", int64(min(maxHeader, f.walk.Limits.MaxBytes)))
		return nil, false
	}
	u, err := f.open(streams)
	if err != nil {
		return nil, false
	}
	defer u.guard.Close()
	packed, ok := u.packedStreams(folder)
	if !ok {
		return nil, false
	}
	from, release := u.reader(folder, packed)
	if from == nil {
		return nil, false
	}
	defer release()
	header, err := io.ReadAll(io.LimitReader(f.walk.Unpacker(f.ctx, u.guard.Reader(from)), maxHeader))
	return header, err == nil
}
