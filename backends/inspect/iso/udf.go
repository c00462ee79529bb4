package iso

import (
	"encoding/binary"
	"errors"

	"polyclam/backends/inspect/internal/archive"
)

// The tags of UDF descriptors (ECMA-167).
const (
	tagAnchor      = 2
	tagPartition   = 5
	tagVolume      = 6
	tagTerminator  = 8
	tagFileSet     = 256
	tagFile        = 257
	tagExtents     = 258
	tagEntry       = 261
	tagLargerEntry = 266
)

const (
	maxDescriptors = 64
	maxPartitions  = 8
	// maxUDFExtents bounds the extents of one file or directory.
	maxUDFExtents = 4096
	maxLists      = 64 // extent lists of one file
)

var (
	errUDF     = errors.New("damaged UDF file system")
	errMapping = archive.MethodError("UDF with a partition of a kind that is not supported")
	errInline  = archive.MethodError("UDF extents of a kind that is not supported")
)

// udf is a UDF file system.
type udf struct {
	*image
	starts  map[uint16]int64 // offsets of the partitions by number
	maps    []int64          // offsets of the partitions by reference number
	fileSet reference
}

// reference locates a block in a partition.
type reference struct {
	size      uint32
	block     uint32
	partition uint16
}

func longReference(b []byte) reference {
	return reference{binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:]), binary.LittleEndian.Uint16(b[8:])}
}

// place returns the offset of r in the image.
func (u *udf) place(r reference) (int64, error) {
	if int(r.partition) >= len(u.maps) {
		return 0, errUDF
	}
	return u.maps[r.partition] + int64(r.block)*sectorSize, nil
}

// descriptor reads a sector with a valid tag: one of the wanted ones, if any are given.
func (u *udf) descriptor(b *[sectorSize]byte, at int64, wanted ...uint16) (uint16, error) {
	if err := archive.ReadFull(u.r, b[:], at); err != nil {
		return 0, err
	}
	tag, sum := binary.LittleEndian.Uint16(b[:]), byte(0)
	for i, c := range b[:16] {
		if i != 4 {
			sum += c
		}
	}
	if sum != b[4] {
		return 0, errUDF
	}
	for _, w := range wanted {
		if tag == w {
			return tag, nil
		}
	}
	if len(wanted) > 0 {
		return tag, errUDF
	}
	return tag, nil
}

// walkUDF iterates over the UDF file system of an image. It reports whether to continue.
func (i *image) walkUDF() bool {
	u := &udf{image: i, starts: make(map[uint16]int64)}
	err := u.open()
	if err == nil {
		var at int64
		if at, err = u.place(u.fileSet); err == nil {
			var b [sectorSize]byte
			if _, err = u.descriptor(&b, at, tagFileSet); err == nil {
				return u.tree(longReference(b[400:]))
			}
		}
	}
	return u.yield(archive.Member{}, err)
}

// open reads the volume descriptors.
func (u *udf) open() error {
	var b [sectorSize]byte
	if _, err := u.descriptor(&b, 256*sectorSize, tagAnchor); err != nil {
		return err
	}
	size, at := int64(binary.LittleEndian.Uint32(b[16:])), int64(binary.LittleEndian.Uint32(b[20:]))*sectorSize
	var volume [sectorSize]byte
	for range min(maxDescriptors, size/sectorSize) {
		tag, err := u.descriptor(&b, at)
		if err != nil {
			return err
		}
		switch tag {
		case tagPartition:
			if len(u.starts) < maxPartitions {
				u.starts[binary.LittleEndian.Uint16(b[22:])] = int64(binary.LittleEndian.Uint32(b[188:])) * sectorSize
			}
		case tagVolume:
			volume = b
		case tagTerminator:
			return u.mapping(volume[:])
		}
		at += sectorSize
	}
	return u.mapping(volume[:])
}

// mapping reads which partition each reference number means.
func (u *udf) mapping(volume []byte) error {
	const physical, physicalSize = 1, 6
	if binary.LittleEndian.Uint16(volume) != tagVolume || binary.LittleEndian.Uint32(volume[212:]) != sectorSize {
		return errUDF
	}
	u.fileSet = longReference(volume[248:])
	count, maps := binary.LittleEndian.Uint32(volume[268:]), volume[440:]
	for range min(count, maxPartitions) {
		if maps[0] != physical || maps[1] != physicalSize {
			return errMapping
		}
		start, ok := u.starts[binary.LittleEndian.Uint16(maps[4:])]
		if !ok {
			return errUDF
		}
		u.maps = append(u.maps, start)
		maps = maps[physicalSize:]
	}
	return nil
}
