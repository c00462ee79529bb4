// Package cab reads Microsoft cabinets ([MS-CAB]) whose folders are stored or compressed
// with MSZIP; for other methods it reports only their name. The format knows no
// encryption; only members are inspected.
//
// Existing libraries either lack MSZIP or allocate as many blocks as a cabinet claims
// to have. MSZIP is unpacked with compress/flate.
package cab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"polyclam/backends/inspect/internal/archive"
)

// Signature begins a cabinet.
const Signature = "MSCF\x00\x00\x00\x00"

const (
	headerSize = 36
	folderSize = 8
	fileSize   = 16
	blockSize  = 8 // block header
)

var (
	errDamaged   = errors.New("damaged")
	errContinued = archive.SplitError("continued in another cabinet")
	errFolder    = errors.New("no such folder")
)

// Matches reports whether head begins a cabinet.
func Matches(head []byte) bool {
	return len(head) >= headerSize && string(head[:8]) == Signature && head[25] == 1
}

// plausible reports whether h is the header of a cabinet inside a program, of which size
// bytes follow.
func plausible(h []byte, size int64) bool {
	length, files := int64(binary.LittleEndian.Uint32(h[8:])), int64(binary.LittleEndian.Uint32(h[16:]))
	return Matches(h) && h[24] == 3 && length <= size && files < length
}

// cabinet is the header of a cabinet.
type cabinet struct {
	r       io.ReaderAt
	size    int64
	spend   func(n int64) error
	folders int64 // offset of the folder table
	nFolder uint16
	files   int64 // offset of the file table
	nFile   uint16
	perItem struct{ folder, block int64 } // reserved bytes in each
}

// Members iterates over a cabinet of size bytes. It calls spend for bytes that it must
// unpack but does not yield.
func Members(r io.ReaderAt, size int64, spend func(n int64) error) archive.Members {
	return func(yield func(archive.Member, error) bool) {
		c := &cabinet{r: r, size: size, spend: spend}
		if err := c.header(); err != nil {
			yield(archive.Member{}, err)
			return
		}
		var f *folder
		for range c.nFile {
			m, number, err := c.file()
			if err != nil {
				yield(archive.Member{}, err)
				return
			}
			if number >= 0xfffd {
				if !yield(archive.Member{Name: m.Name}, errContinued) {
					return
				}
				continue
			}
			if f, err = c.seek(f, number, m.Offset); err != nil {
				if !yield(archive.Member{Name: m.Name}, err) {
					return
				}
				continue
			}
			m.Offset, m.Data = 0, &member{f, m.Size}
			if !yield(m, nil) {
				return
			}
		}
	}
}

// header reads the header.
func (c *cabinet) header() error {
	const previous, next, reserve = 1, 2, 4
	var h [headerSize]byte
	if err := archive.ReadFull(c.r, h[:], 0); err != nil {
		return err
	}
	c.files = int64(binary.LittleEndian.Uint32(h[16:]))
	c.nFolder, c.nFile = binary.LittleEndian.Uint16(h[26:]), binary.LittleEndian.Uint16(h[28:])
	c.folders = headerSize
	flags := binary.LittleEndian.Uint16(h[30:])
	if flags&reserve != 0 {
		var r [4]byte
		if err := archive.ReadFull(c.r, r[:], headerSize); err != nil {
			return err
		}
		c.folders += 4 + int64(binary.LittleEndian.Uint16(r[:]))
		c.perItem.folder, c.perItem.block = int64(r[2]), int64(r[3])
	}
	for _, flag := range []uint16{previous, next} {
		for range 2 { // the names of a cabinet and of its disk
			if flags&flag == 0 {
				continue
			}
			_, n, err := c.text(c.folders)
			if err != nil {
				return err
			}
			c.folders += n
		}
	}
	return nil
}

// text reads a NUL-terminated string and returns its length including the NUL.
func (c *cabinet) text(at int64) (string, int64, error) {
	var b [archive.MaxName + 1]byte
	text, err := archive.Prefix(c.r, b[:], at)
	if err != nil {
		return "", 0, err
	}
	for n, v := range text {
		if v == 0 {
			return string(text[:n]), int64(n) + 1, nil
		}
	}
	if len(text) < len(b) {
		return "", 0, archive.ErrCutOff
	}
	return "", 0, errDamaged
}

// file reads the next file entry. Its Offset counts from the start of its folder.
func (c *cabinet) file() (m archive.Member, folder uint16, err error) {
	var h [fileSize]byte
	if err := archive.ReadFull(c.r, h[:], c.files); err != nil {
		return m, 0, err
	}
	name, n, err := c.text(c.files + fileSize)
	if err != nil {
		return m, 0, err
	}
	c.files += fileSize + n
	m = archive.Member{
		Name:   name,
		Size:   int64(binary.LittleEndian.Uint32(h[0:])),
		Offset: int64(binary.LittleEndian.Uint32(h[4:])),
	}
	return m, binary.LittleEndian.Uint16(h[8:]), nil
}

// seek returns a folder positioned at offset. It reuses f if f is that folder and has not
// passed the offset.
func (c *cabinet) seek(f *folder, number uint16, offset int64) (*folder, error) {
	if f == nil || f.number != number || f.at > offset {
		var err error
		if f, err = c.open(number, f); err != nil {
			return nil, err
		}
	}
	var b [4096]byte
	for f.at < offset {
		n, err := f.Read(b[:min(int64(len(b)), offset-f.at)])
		if err := c.spend(int64(n)); err != nil {
			return nil, err
		}
		if n == 0 && err != nil {
			return f, archive.CutOff(err)
		}
	}
	return f, nil
}

// open opens a folder, reusing the buffers of the last one.
func (c *cabinet) open(number uint16, last *folder) (*folder, error) {
	if number >= c.nFolder {
		return nil, errFolder
	}
	var h [folderSize]byte
	if err := archive.ReadFull(c.r, h[:], c.folders+int64(number)*(folderSize+c.perItem.folder)); err != nil {
		return nil, err
	}
	f := &folder{
		cabinet: c,
		number:  number,
		next:    int64(binary.LittleEndian.Uint32(h[:])),
		blocks:  binary.LittleEndian.Uint16(h[4:]),
		method:  binary.LittleEndian.Uint16(h[6:]) & 0x0f,
	}
	if last != nil {
		f.mszip = last.mszip
	}
	switch f.method {
	case methodStored:
	case methodMSZIP:
		if f.mszip == nil {
			f.mszip = newMSZIP()
		}
		f.mszip.history = f.mszip.history[:0]
	case methodQuantum:
		return nil, archive.MethodError("packed with Quantum, which is not supported")
	case methodLZX:
		return nil, archive.MethodError("packed with LZX, which is not supported")
	default:
		return nil, archive.MethodError(fmt.Sprintf("packed with method %d, which is not supported", f.method))
	}
	return f, nil
}

// member reads one file of a folder.
type member struct {
	from *folder
	left int64
}

// Read implements [io.Reader].
func (m *member) Read(p []byte) (int, error) {
	if m.left == 0 {
		return 0, io.EOF
	}
	n, err := m.from.Read(p[:min(int64(len(p)), m.left)])
	m.left -= int64(n)
	if m.left > 0 {
		err = archive.CutOff(err)
	}
	return n, err
}
