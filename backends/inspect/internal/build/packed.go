package build

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"io"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
	"github.com/ulikunitz/xz/lzma"
)

// pack compresses data with the writer that open returns.
func pack(tb testing.TB, data []byte, open func(w io.Writer) (io.WriteCloser, error)) []byte {
	tb.Helper()
	var b bytes.Buffer
	w, err := open(&b)
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// XZ returns data as an .xz file.
func XZ(tb testing.TB, data []byte) []byte {
	tb.Helper()
	return pack(tb, data, func(w io.Writer) (io.WriteCloser, error) {
		return xz.WriterConfig{DictCap: 1 << 16}.NewWriter(w)
	})
}

// LZMA returns data as an .lzma file.
func LZMA(tb testing.TB, data []byte) []byte {
	tb.Helper()
	return pack(tb, data, func(w io.Writer) (io.WriteCloser, error) {
		return lzma.WriterConfig{DictCap: 1 << 16, SizeInHeader: true, Size: int64(len(data))}.NewWriter(w)
	})
}

// Zstd returns data as a Zstandard file.
func Zstd(tb testing.TB, data []byte) []byte {
	tb.Helper()
	return pack(tb, data, func(w io.Writer) (io.WriteCloser, error) {
		return zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<16))
	})
}

// LZ4 returns an LZ4 file of uncompressed blocks.
func LZ4(data []byte) []byte {
	b := []byte("\x04\x22\x4d\x18\x60\x40\x82")
	for len(data) > 0 {
		n := min(len(data), 64<<10)
		b = binary.LittleEndian.AppendUint32(b, uint32(n)|1<<31)
		b = append(b, data[:n]...)
		data = data[n:]
	}
	return append(b, 0, 0, 0, 0)
}

// Cab returns a cabinet with one folder, stored or compressed with MSZIP.
func Cab(tb testing.TB, mszip bool, files ...File) []byte {
	tb.Helper()
	const header, folder = 36, 8
	var list, all []byte
	for _, f := range files {
		list = binary.LittleEndian.AppendUint32(list, uint32(len(f.Data)))
		list = binary.LittleEndian.AppendUint32(list, uint32(len(all)))
		list = append(list, 0, 0, 0, 0, 0, 0, 0x20, 0)
		list = append(append(list, f.Name...), 0)
		all = append(all, f.Data...)
	}
	var blocks []byte
	count := 0
	for ; len(all) > 0; count++ {
		n := min(len(all), 32<<10)
		data := all[:n]
		if mszip {
			data = append([]byte("CK"), pack(tb, data, func(w io.Writer) (io.WriteCloser, error) {
				return flate.NewWriter(w, flate.BestCompression)
			})...)
		}
		blocks = append(blocks, 0, 0, 0, 0)
		blocks = binary.LittleEndian.AppendUint16(blocks, uint16(len(data)))
		blocks = binary.LittleEndian.AppendUint16(blocks, uint16(n))
		blocks = append(blocks, data...)
		all = all[n:]
	}
	begin := header + folder + len(list)
	b := append(make([]byte, 0, begin+len(blocks)), "MSCF\x00\x00\x00\x00"...)
	b = binary.LittleEndian.AppendUint32(b, uint32(begin+len(blocks)))
	b = append(b, 0, 0, 0, 0, header+folder, 0, 0, 0, 0, 0, 0, 0, 3, 1, 1, 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(files)))
	b = append(b, 0, 0, 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(begin))
	b = binary.LittleEndian.AppendUint16(b, uint16(count))
	if mszip {
		b = append(b, 1, 0)
	} else {
		b = append(b, 0, 0)
	}
	return append(append(b, list...), blocks...)
}
