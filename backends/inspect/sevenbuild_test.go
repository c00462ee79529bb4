package inspect

import (
	"encoding/binary"
	"hash/crc32"
	"unicode/utf16"
)

// sevenMember is a member of a 7z archive to make, in a folder of its own.
type sevenMember struct {
	name   string
	packed []byte
	size   int    // unpacked
	coder  []byte // as it stands in the header
	// chain is a whole folder instead, as it stands in the header, whose coders
	// all put out size bytes.
	chain  []byte
	coders int
}

func sevenStored(name string, data []byte) sevenMember {
	return sevenMember{name: name, packed: data, size: len(data), coder: []byte{0x01, 0x00}}
}

// sevenNumber encodes a number.
func sevenNumber(v uint64) []byte {
	return binary.LittleEndian.AppendUint64([]byte{0xff}, v)
}

// sevenArchiveOf puts the start header before streams and header.
func sevenArchiveOf(streams, header []byte) []byte {
	b := make([]byte, sevenStartSize)
	copy(b, sevenSignature+"\x00\x04")
	binary.LittleEndian.PutUint64(b[12:], uint64(len(streams)))
	binary.LittleEndian.PutUint64(b[20:], uint64(len(header)))
	binary.LittleEndian.PutUint32(b[28:], crc32.ChecksumIEEE(header))
	binary.LittleEndian.PutUint32(b[8:], crc32.ChecksumIEEE(b[12:]))
	return append(append(b, streams...), header...)
}

func makeSeven(members ...sevenMember) []byte {
	var streams, sizes, folders, unpacked, names []byte
	for _, m := range members {
		streams = append(streams, m.packed...)
		sizes = append(sizes, sevenNumber(uint64(len(m.packed)))...)
		if m.chain == nil {
			m.chain, m.coders = append([]byte{1}, m.coder...), 1
		}
		folders = append(folders, m.chain...)
		for range m.coders {
			unpacked = append(unpacked, sevenNumber(uint64(m.size))...)
		}
		for _, u := range utf16.Encode([]rune(m.name)) {
			names = binary.LittleEndian.AppendUint16(names, u)
		}
		names = append(names, 0, 0)
	}
	n := sevenNumber(uint64(len(members)))
	h := []byte{sevenHeader, sevenMainStreams, sevenPackInfo, 0}
	h = append(append(append(h, n...), sevenSize), sizes...)
	h = append(h, sevenEnd, sevenUnpackInfo, sevenFolderID)
	h = append(append(append(h, n...), 0), folders...)
	h = append(append(append(h, sevenUnpackSize), unpacked...), sevenEnd, sevenEnd)
	h = append(append(h, sevenFilesInfo), n...)
	h = append(append(h, sevenNames), sevenNumber(uint64(len(names)+1))...)
	h = append(append(append(h, 0), names...), sevenEnd, sevenEnd)
	return sevenArchiveOf(streams, h)
}
