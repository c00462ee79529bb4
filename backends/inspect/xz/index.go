package xz

import (
	"bufio"
	"encoding/binary"
	"io"

	"polyclam/backends/inspect/internal/archive"
)

// largestBlock returns an upper bound for the unpacked size of a block: from the indexes,
// or else from the best possible compression. If an index lies, the dictionary is too small
// and unpacking fails.
func largestBlock(r io.ReaderAt, size int64) int64 {
	largest := int64(0)
	for end := size; end > 0; {
		var f [headerSize]byte
		if archive.ReadFull(r, f[:], end-headerSize) != nil {
			return maxUnpacked(size)
		}
		if string(f[8:]) == "\x00\x00\x00\x00" {
			end -= 4 // padding
			continue
		}
		packed := (int64(binary.LittleEndian.Uint32(f[4:])) + 1) * 4
		start := end - headerSize - packed
		if string(f[10:]) != footerEnd || start < headerSize {
			return maxUnpacked(size)
		}
		blocks, unpacked, ok := readIndex(io.NewSectionReader(r, start, packed))
		if !ok || blocks > start-headerSize {
			return maxUnpacked(size)
		}
		largest = max(largest, unpacked)
		end = start - blocks - headerSize
	}
	return largest
}

// readIndex returns the space that the blocks occupy, and the largest unpacked size.
func readIndex(r io.Reader) (space, largest int64, ok bool) {
	b := bufio.NewReaderSize(r, 1024)
	if zero, err := b.ReadByte(); zero != 0 || err != nil {
		return 0, 0, false
	}
	count, err := binary.ReadUvarint(b)
	for i := uint64(0); i < count && err == nil; i++ {
		var packed, unpacked uint64
		if packed, err = binary.ReadUvarint(b); err != nil {
			break
		}
		if unpacked, err = binary.ReadUvarint(b); err != nil {
			break
		}
		if packed > 1<<62 || unpacked > 1<<62 || space > 1<<62 {
			return 0, 0, false
		}
		space += (int64(packed) + 3) &^ 3
		largest = max(largest, int64(unpacked))
	}
	return space, largest, err == nil
}
