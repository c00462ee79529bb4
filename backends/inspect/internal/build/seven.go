package build

import (
	"encoding/binary"
	"hash/crc32"
	"unicode/utf16"
)

// SevenMember is a member of a 7z archive, in its own folder.
type SevenMember struct {
	Name   string
	Packed []byte
	Size   int    // unpacked size
	Coder  []byte // as encoded in the header
	// Chain, if not nil, is a whole folder as encoded in the header, with coders that all
	// have Size bytes of output.
	Chain  []byte
	Coders int
}

// SevenStored returns an uncompressed member.
func SevenStored(name string, data []byte) SevenMember {
	return SevenMember{Name: name, Packed: data, Size: len(data), Coder: []byte{0x01, 0x00}}
}

// SevenNumber encodes a number.
func SevenNumber(v uint64) []byte {
	return binary.LittleEndian.AppendUint64([]byte{0xff}, v)
}

// SevenArchiveOf returns an archive with a start header, streams and header.
func SevenArchiveOf(streams, header []byte) []byte {
	b := make([]byte, SevenStartSize)
	copy(b, SevenSignature+"\x00\x04")
	binary.LittleEndian.PutUint64(b[12:], uint64(len(streams)))
	binary.LittleEndian.PutUint64(b[20:], uint64(len(header)))
	binary.LittleEndian.PutUint32(b[28:], crc32.ChecksumIEEE(header))
	binary.LittleEndian.PutUint32(b[8:], crc32.ChecksumIEEE(b[12:]))
	return append(append(b, streams...), header...)
}

// Seven returns an archive of members.
func Seven(members ...SevenMember) []byte {
	var streams, sizes, folders, unpacked, names []byte
	for _, m := range members {
		streams = append(streams, m.Packed...)
		sizes = append(sizes, SevenNumber(uint64(len(m.Packed)))...)
		if m.Chain == nil {
			m.Chain, m.Coders = append([]byte{1}, m.Coder...), 1
		}
		folders = append(folders, m.Chain...)
		for range m.Coders {
			unpacked = append(unpacked, SevenNumber(uint64(m.Size))...)
		}
		for _, u := range utf16.Encode([]rune(m.Name)) {
			names = binary.LittleEndian.AppendUint16(names, u)
		}
		names = append(names, 0, 0)
	}
	n := SevenNumber(uint64(len(members)))
	h := []byte{SevenHeader, SevenMainStreams, SevenPackInfo, 0}
	h = append(append(append(h, n...), SevenSize), sizes...)
	h = append(h, SevenEnd, SevenUnpackInfo, SevenFolderID)
	h = append(append(append(h, n...), 0), folders...)
	h = append(append(append(h, SevenUnpackSize), unpacked...), SevenEnd, SevenEnd)
	h = append(append(h, SevenFilesInfo), n...)
	h = append(append(h, SevenNames), SevenNumber(uint64(len(names)+1))...)
	h = append(append(append(h, 0), names...), SevenEnd, SevenEnd)
	return SevenArchiveOf(streams, h)
}
