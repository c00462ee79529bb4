package testfile

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"os"
)

// Limits of [Large]. A larger archive would need ZIP64, which some engines do not read.
const (
	LargeMin = 512
	LargeMax = 1<<32 - 1
)

// Large returns a valid ZIP archive of exactly size bytes: EICAR, and a second member of
// zeros. An engine that scans objects of this size, and looks into archives, finds EICAR.
// Scan one of LargeMin bytes first, to learn whether the engine looks into archives. The
// zeros take no memory.
//
// EICAR comes first because only the size is tested: clamd 1.4.6 says OK, without
// looking, to anything over MaxFileSize.
func Large(size int64) (*io.SectionReader, error) {
	if size < LargeMin || size > LargeMax {
		return nil, fmt.Errorf("no test archive of %d bytes: want %d to %d", size, LargeMin, int64(LargeMax))
	}
	head, tail := around(0)
	zeros := size - int64(len(head)+len(tail))
	head, tail = around(zeros)
	// The directory is zeros bytes farther back than it was written.
	at := tail[len(tail)-6:]
	binary.LittleEndian.PutUint32(at, binary.LittleEndian.Uint32(at)+uint32(zeros))
	return io.NewSectionReader(&gap{head, tail, size}, 0, size), nil
}

// around returns the archive's bytes before and after n zeros.
func around(n int64) (head, tail []byte) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	addEICAR(w)
	_, err := w.CreateRaw(stored("zeros.bin", n, checksumOfZeros(n)))
	must(err)
	must(w.Flush())
	middle := b.Len()
	must(w.Close())
	return b.Bytes()[:middle:middle], b.Bytes()[middle:]
}

func stored(name string, size int64, sum uint32) *zip.FileHeader {
	return &zip.FileHeader{
		Name: name, Method: zip.Store, CRC32: sum,
		CompressedSize64: uint64(size), UncompressedSize64: uint64(size),
	}
}

func checksum(data []byte) uint32 { return crc32.ChecksumIEEE(data) }

// checksumOfZeros is the CRC-32 of n zeros. One zero byte changes the state by a
// linear map, so n of them are its n-th power.
func checksumOfZeros(n int64) uint32 {
	var step linear
	for i := range step {
		state := uint32(1) << i
		step[i] = crc32.IEEETable[byte(state)] ^ state>>8
	}
	state := ^uint32(0)
	for ; n > 0; n >>= 1 {
		if n&1 == 1 {
			state = step.apply(state)
		}
		step = step.squared()
	}
	return ^state
}

// linear is a linear map of 32 bits: the images of the single bits.
type linear [32]uint32

func (m *linear) apply(v uint32) (sum uint32) {
	for i := 0; v != 0; i, v = i+1, v>>1 {
		if v&1 == 1 {
			sum ^= m[i]
		}
	}
	return sum
}

func (m *linear) squared() (sq linear) {
	for i, v := range m {
		sq[i] = m.apply(v)
	}
	return sq
}

// gap is head, zeros and tail.
type gap struct {
	head, tail []byte
	size       int64
}

// ReadAt implements [io.ReaderAt].
func (g *gap) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("read at the negative offset %d", off)
	}
	if off >= g.size {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), g.size-off))
	clear(p[:n])
	if off < int64(len(g.head)) {
		copy(p[:n], g.head[off:])
	}
	tail := g.size - int64(len(g.tail))
	if end := off + int64(n); end > tail {
		copy(p[max(tail-off, 0):n], g.tail[max(off-tail, 0):])
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// WriteSparse writes r to the empty file f, and leaves holes for runs of zeros.
func WriteSparse(f *os.File, r *io.SectionReader) error {
	if err := f.Truncate(r.Size()); err != nil {
		return err
	}
	var zeros, buf [64 << 10]byte
	for off := int64(0); off < r.Size(); {
		n, err := r.ReadAt(buf[:], off)
		if err != nil && err != io.EOF {
			return err
		}
		if !bytes.Equal(buf[:n], zeros[:n]) {
			if _, err := f.WriteAt(buf[:n], off); err != nil {
				return err
			}
		}
		off += int64(n)
	}
	return nil
}
