// Package seven inspects 7z archives (7zFormat.txt and Methods.txt of the LZMA SDK). An
// archive is encrypted if one of its coders is an encryption method; if that is the
// encoded header's, even the names are encrypted.
//
// It parses headers and connects coders itself, with libraries for the individual methods.
// bodgit/sevenzip allocates whatever an archive's numbers say, lacks some methods, loops
// forever in some filters, and without a password may unpack garbage unnoticed.
package seven

import (
	"context"
	"encoding/binary"
	"hash/crc32"
	"io"

	"polyclam/backends/inspect/internal/walk"
)

// Detector recognises 7z archives, including those in self-extracting programs.
type Detector struct{}

const (
	signature = "7z\xbc\xaf\x27\x1c"
	startSize = 32
	// maxHeader is the largest header that is read, packed or unpacked.
	maxHeader = 8 << 20
	// maxLevels is how many times a header may be packed.
	maxLevels = 4
)

// Signature implements [walk.Signed].
func (Detector) Signature() string { return signature }

// Match implements [walk.Detector].
func (Detector) Match(w *walk.Walk, s *walk.Section) bool {
	return walk.MatchSignature(s, signature)
}

// file is an archive.
type file struct {
	ctx     context.Context // lives as long as the scan
	walk    *walk.Walk
	section *walk.Section // begins with the signature
}

// Look implements [walk.Detector].
func (d Detector) Look(ctx context.Context, w *walk.Walk, s *walk.Section) (*walk.Sighting, error) {
	var start startHeader
	at, ok := walk.FindSignature(w, s, signature, func(at int64) bool {
		var ok bool
		start, ok = readStart(s, at)
		return ok
	})
	if !ok {
		return nil, nil
	}
	f := &file{ctx: ctx, walk: w, section: s}
	if at > 0 {
		f.section = &walk.Section{ReaderAt: io.NewSectionReader(s, at, s.Size-at), Size: s.Size - at, Depth: s.Depth}
	}
	header, ok := f.header(start)
	for range maxLevels {
		if !ok || len(header) == 0 {
			break
		}
		r := reader{b: header[1:]}
		switch header[0] {
		case idHeader:
			return f.main(&r)
		case encodedHeader:
			streams := r.streams()
			if !r.bad && streams.encrypted >= 0 {
				return walk.NewSighting(walk.FindingSeven, "7z", "", "headers encrypted, AES-256"), nil
			}
			header, ok = f.unpackHeader(r, streams)
		default:
			ok = false
		}
	}
	if start.size > 0 {
		w.Miss(walk.UnscannedBroken, "7z: the header cannot be read")
	}
	return nil, w.Stopped()
}

// startHeader locates the header.
type startHeader struct {
	offset, size uint64
	sum          uint32
}

func readStart(s *walk.Section, at int64) (startHeader, bool) {
	var h [startSize]byte
	if at+startSize > s.Size || walk.ReadFull(s, h[:], at) != nil {
		return startHeader{}, false
	}
	start := startHeader{
		offset: binary.LittleEndian.Uint64(h[12:]),
		size:   binary.LittleEndian.Uint64(h[20:]),
		sum:    binary.LittleEndian.Uint32(h[28:]),
	}
	return start, crc32.ChecksumIEEE(h[12:]) == binary.LittleEndian.Uint32(h[8:])
}

// header reads the header at the end of the archive.
func (f *file) header(start startHeader) ([]byte, bool) {
	room := uint64(f.section.Size - startSize)
	if start.offset > room || start.size > room-start.offset {
		f.walk.Miss(walk.UnscannedCutOff, "7z: the archive ends before its header")
		return nil, false
	}
	if start.size > maxHeader || int64(start.size) > f.walk.BytesLeft() {
		f.walk.Note("MaxBytes", int64(min(maxHeader, f.walk.Limits.MaxBytes)))
		return nil, false
	}
	b := make([]byte, start.size)
	if walk.ReadFull(f.section, b, startSize+int64(start.offset)) != nil {
		return nil, false
	}
	if crc32.ChecksumIEEE(b) != start.sum {
		f.walk.Miss(walk.UnscannedBroken, "7z: the header is broken")
		return nil, false
	}
	return b, true
}

// main parses the header and inspects the members.
func (f *file) main(r *reader) (*walk.Sighting, error) {
	var streams *streamsInfo
	for !r.bad {
		switch r.byte() {
		case archiveProperties:
			r.properties()
		case additionalStreams:
			r.streams()
		case mainStreams:
			streams = r.streams()
		case filesInfo:
			return f.members(streams, r.b)
		default:
			return f.members(streams, nil)
		}
	}
	if r.many {
		f.walk.Note("MaxMembers", maxFolders)
	}
	f.walk.Miss(walk.UnscannedBroken, "7z: the header cannot be read")
	return nil, nil
}

// members checks the coders for encryption, then inspects the members. files is the part of
// the header with the names.
func (f *file) members(streams *streamsInfo, files []byte) (*walk.Sighting, error) {
	if streams == nil || len(streams.folders) == 0 {
		return nil, nil
	}
	if i := streams.encrypted; i >= 0 {
		name := nameOf(files, streams.first(i))
		return walk.NewSighting(walk.FindingSeven, "7z", name, "AES-256"), nil
	}
	u, err := f.open(streams)
	if err != nil {
		return nil, err
	}
	defer u.guard.Close()
	i, seen := u.members()
	if seen == nil {
		return nil, f.walk.Stopped()
	}
	return seen.Within("7z", nameOf(files, i)), nil
}
