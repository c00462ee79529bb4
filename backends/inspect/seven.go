package inspect

import (
	"context"
	"encoding/binary"
	"hash/crc32"
	"io"
)

// sevenDetector knows 7z archives, as 7zFormat.txt of the LZMA SDK describes
// them. It reads the headers itself: what is encrypted is known by the coder's
// number there, while a library without the password may unpack garbage and not
// notice; and it lets no count of a header pass that the library would allocate
// by. It also puts the coders together itself, from libraries for the single methods:
// bodgit/sevenzip does not know all methods, takes as much memory as the archive
// says, and reads forever with some of its filters.
type sevenDetector struct{}

const (
	sevenSignature = "7z\xbc\xaf\x27\x1c"
	sevenStartSize = 32
	// maxSevenHeader is the largest header read, packed or not.
	maxSevenHeader = 8 << 20
	// maxSevenLevels is how often a header may be packed.
	maxSevenLevels = 4
)

// match implements detector.
func (sevenDetector) match(w *walk, s *section) bool { return matchSignature(s, sevenSignature) }

// sevenFile is an archive.
type sevenFile struct {
	ctx     context.Context // see meter
	walk    *walk
	section *section // from the signature on
}

// look implements detector.
func (d sevenDetector) look(ctx context.Context, w *walk, s *section) (*sighting, error) {
	var start sevenStart
	at, ok := findSignature(w, s, sevenSignature, func(at int64) bool {
		var ok bool
		start, ok = readSevenStart(s, at)
		return ok
	})
	if !ok {
		return nil, nil
	}
	f := &sevenFile{ctx: ctx, walk: w, section: s}
	if at > 0 {
		f.section = &section{ReaderAt: io.NewSectionReader(s, at, s.size-at), size: s.size - at, depth: s.depth}
	}
	header, ok := f.header(start)
	for range maxSevenLevels {
		if !ok || len(header) == 0 {
			return nil, w.stop
		}
		r := sevenReader{b: header[1:]}
		switch header[0] {
		case sevenHeader:
			return f.main(&r)
		case sevenEncodedHeader:
			streams := r.streams()
			if !r.bad && streams.encrypted >= 0 {
				return newSighting(findingSeven, "7z", "", "headers encrypted, AES-256"), nil
			}
			header, ok = f.unpackHeader(r, streams)
		default:
			return nil, nil
		}
	}
	return nil, nil
}

// sevenStart is the start header.
type sevenStart struct {
	offset, size uint64
	sum          uint32
}

func readSevenStart(s *section, at int64) (sevenStart, bool) {
	var h [sevenStartSize]byte
	if at+sevenStartSize > s.size || readFull(s, h[:], at) != nil {
		return sevenStart{}, false
	}
	start := sevenStart{
		offset: binary.LittleEndian.Uint64(h[12:]),
		size:   binary.LittleEndian.Uint64(h[20:]),
		sum:    binary.LittleEndian.Uint32(h[28:]),
	}
	return start, crc32.ChecksumIEEE(h[12:]) == binary.LittleEndian.Uint32(h[8:])
}

// header reads the header at the archive's end.
func (f *sevenFile) header(start sevenStart) ([]byte, bool) {
	room := uint64(f.section.size - sevenStartSize)
	if start.offset > room || start.size > room-start.offset {
		return nil, false
	}
	if start.size > maxSevenHeader || int64(start.size) > f.walk.bytes {
		f.walk.note("MaxBytes", int64(min(maxSevenHeader, f.walk.config.MaxBytes)))
		return nil, false
	}
	b := make([]byte, start.size)
	if readFull(f.section, b, sevenStartSize+int64(start.offset)) != nil {
		return nil, false
	}
	return b, crc32.ChecksumIEEE(b) == start.sum
}

// main reads the header itself, and looks into the members.
func (f *sevenFile) main(r *sevenReader) (*sighting, error) {
	var streams *sevenStreams
	for !r.bad {
		switch r.byte() {
		case sevenArchiveProperties:
			r.properties()
		case sevenAdditionalStreams:
			r.streams()
		case sevenMainStreams:
			streams = r.streams()
		case sevenFilesInfo:
			return f.members(streams, r.b)
		default:
			return f.members(streams, nil)
		}
	}
	if r.many {
		f.walk.note("MaxMembers", maxSevenFolders)
	}
	return nil, nil
}

// members looks at what the header says, and then into what it speaks of. files
// is the part of the header with the names.
func (f *sevenFile) members(streams *sevenStreams, files []byte) (*sighting, error) {
	if streams == nil || len(streams.folders) == 0 {
		return nil, nil
	}
	if i := streams.encrypted; i >= 0 {
		name := sevenName(files, streams.first(i))
		return newSighting(findingSeven, "7z", name, "AES-256"), nil
	}
	u, err := f.open(streams)
	if err != nil {
		return nil, err
	}
	defer u.guard.close()
	i, seen := u.members()
	if seen == nil {
		return nil, f.walk.stop
	}
	return seen.within("7z", sevenName(files, i)), nil
}
