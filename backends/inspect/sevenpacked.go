package inspect

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"

	"github.com/bodgit/sevenzip"
)

// sevenUnpacker unpacks folders.
type sevenUnpacker struct {
	file    *sevenFile
	streams *sevenStreams
	guard   *guard
	reader  *sevenzip.Reader
}

// What the library takes for a folder, and for a member, generously counted.
const (
	sevenFolderMemory = 1024
	sevenMemberMemory = 512
	maxSevenMembers   = 50_000
)

var errSeven = errors.New("broken 7z archive")

// open gives the library the archive with a header of our own: the streams as
// they are, of which all counts have been checked, and as many nameless files.
// The caller closes the guard of what it returns, which is nil for a limit.
func (f *sevenFile) open(streams *sevenStreams) (*sevenUnpacker, error) {
	if streams.sizes == nil && streams.total > uint64(len(streams.folders)) {
		return nil, errSeven
	}
	// The library's time grows with the square of these.
	if most := max(0, min(f.walk.members, maxSevenMembers)); streams.total > uint64(most) || len(streams.folders) > most {
		f.walk.note("MaxMembers", min(f.walk.config.MaxMembers, maxSevenMembers))
		return nil, nil
	}
	memory := uint64(len(streams.folders))*sevenFolderMemory + streams.total*sevenMemberMemory + 16*uint64(len(streams.raw))
	if memory > uint64(f.walk.bytes) {
		f.walk.note("MaxBytes", int64(f.walk.config.MaxBytes))
		return nil, nil
	}
	if err := f.walk.spend(f.ctx, int64(memory)); err != nil {
		return nil, err
	}
	g, err := f.walk.guard(f.ctx)
	if err != nil {
		return nil, err
	}
	u := &sevenUnpacker{file: f, streams: streams, guard: g}
	a := newSevenArchive(g.readerAt(f.section), f.section.size, streams)
	err = g.call(func() (err error) {
		u.reader, err = sevenzip.NewReader(a, a.size())
		return err
	})
	if err != nil {
		g.close()
		return nil, err
	}
	return u, nil
}

// members looks into the members, and returns the number of that in which
// something is encrypted.
func (u *sevenUnpacker) members() (uint64, *sighting) {
	w := u.file.walk
	folder := -1
	skip := false
	for i, m := range u.reader.File {
		if m.Stream != folder {
			folder = m.Stream
			skip = !u.affordable(folder)
		}
		if w.stop != nil || u.guard.left {
			return 0, nil
		}
		if skip || m.UncompressedSize == 0 {
			continue
		}
		var seen *sighting
		// Behind a member that could not be read as a whole the library would read
		// on by itself to find the next.
		if seen, skip = u.member(m); seen != nil {
			return uint64(i), seen
		}
	}
	return 0, nil
}

// affordable pays for the memory that a folder takes. What is too large is
// skipped before it costs anything.
func (u *sevenUnpacker) affordable(folder int) bool {
	w := u.file.walk
	if folder < 0 || folder >= len(u.streams.folders) {
		return false
	}
	f := u.streams.folders[folder]
	if !f.known || f.unpacked < smallestContainer {
		return false
	}
	if f.memory > uint64(w.bytes) || f.unpacked > uint64(w.bytes)-f.memory {
		w.note("MaxBytes", int64(w.config.MaxBytes))
		return false
	}
	return w.spend(u.file.ctx, int64(f.memory)) == nil
}

// member looks into one member and reads it to its end, as the next in the same
// folder needs. broken says that the rest of the folder cannot be read.
func (u *sevenUnpacker) member(m *sevenzip.File) (seen *sighting, broken bool) {
	f := u.file
	var from io.ReadCloser
	err := u.guard.call(func() (err error) {
		from, err = m.Open()
		return err
	})
	if err != nil {
		return nil, true
	}
	r := f.walk.unpacker(f.ctx, u.guard.reader(from))
	inner, err := f.walk.unpacked(f.section, r, int64(min(m.UncompressedSize, 1<<62)))
	if err == nil {
		if seen := f.walk.look(f.ctx, inner); seen != nil {
			return seen, false
		}
	}
	if f.walk.stop != nil || r.drain() != nil || r.out != int64(m.UncompressedSize) {
		return nil, true
	}
	return nil, u.guard.call(from.Close) != nil
}

// unpackHeader unpacks a header that is packed.
func (f *sevenFile) unpackHeader(r sevenReader, streams *sevenStreams) ([]byte, bool) {
	if r.bad || len(streams.folders) != 1 || streams.total != 1 || !streams.folders[0].known {
		return nil, false
	}
	if streams.folders[0].unpacked > maxSevenHeader {
		f.walk.note("MaxBytes", int64(min(maxSevenHeader, f.walk.config.MaxBytes)))
		return nil, false
	}
	u, err := f.open(streams)
	if err != nil || u == nil {
		return nil, false
	}
	defer u.guard.close()
	if len(u.reader.File) != 1 || !u.affordable(0) {
		return nil, false
	}
	var from io.ReadCloser
	if u.guard.call(func() (err error) {
		from, err = u.reader.File[0].Open()
		return err
	}) != nil {
		return nil, false
	}
	header, err := io.ReadAll(io.LimitReader(f.walk.unpacker(f.ctx, u.guard.reader(from)), maxSevenHeader))
	return header, err == nil
}

// sevenArchive is an archive with another header behind it.
type sevenArchive struct {
	start  [sevenStartSize]byte
	from   io.ReaderAt
	length int64
	header []byte
}

func newSevenArchive(from io.ReaderAt, length int64, streams *sevenStreams) *sevenArchive {
	a := &sevenArchive{from: from, length: length}
	a.header = append(a.header, sevenHeader, sevenMainStreams)
	a.header = append(a.header, streams.raw...)
	// The library needs all of this even where each folder has one member.
	a.header = append(a.header, sevenSubStreams, sevenUnpackStreams)
	for _, f := range streams.folders {
		a.header = append(a.header, 0xff)
		a.header = binary.LittleEndian.AppendUint64(a.header, f.streams)
	}
	a.header = append(append(a.header, sevenSize), streams.sizes...)
	a.header = append(a.header, sevenEnd, sevenEnd)
	a.header = append(a.header, sevenFilesInfo, 0xff)
	a.header = binary.LittleEndian.AppendUint64(a.header, streams.total)
	a.header = append(a.header, sevenEnd, sevenEnd)
	copy(a.start[:], sevenSignature+"\x00\x04")
	binary.LittleEndian.PutUint64(a.start[12:], uint64(length-sevenStartSize))
	binary.LittleEndian.PutUint64(a.start[20:], uint64(len(a.header)))
	binary.LittleEndian.PutUint32(a.start[28:], crc32.ChecksumIEEE(a.header))
	binary.LittleEndian.PutUint32(a.start[8:], crc32.ChecksumIEEE(a.start[12:]))
	return a
}

func (a *sevenArchive) size() int64 { return a.length + int64(len(a.header)) }

// ReadAt implements [io.ReaderAt].
func (a *sevenArchive) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	if off < 0 {
		return 0, io.EOF
	}
	if off < sevenStartSize {
		n = copy(p, a.start[off:])
	}
	if at := off + int64(n); n < len(p) && at < a.length {
		m, err := a.from.ReadAt(p[n:min(int64(len(p)), int64(n)+a.length-at)], at)
		n += m
		if err != nil && err != io.EOF {
			return n, err
		}
	}
	if at := off + int64(n) - a.length; n < len(p) && at >= 0 && at < int64(len(a.header)) {
		n += copy(p[n:], a.header[at:])
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
