// Package zstd unpacks Zstandard files (RFC 8878) with all their frames. The format
// has no encryption.
//
// The decoder comes from github.com/klauspost/compress, which allocates whatever window
// a frame asks for. Frames are therefore located here, and each is decoded only after its
// window has been charged for. Decoding happens in the caller's goroutine.
package zstd

import (
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"polyclam/backends/inspect/internal/archive"
)

const (
	magic = "\x28\xb5\x2f\xfd"
	// maxWindow is the largest supported window.
	maxWindow = 1 << 30
)

var (
	errDamaged    = errors.New("damaged")
	errTrailing   = errors.New("unknown data after the end")
	errOld        = archive.MethodError("format of Zstandard before 0.8")
	errDictionary = archive.MethodError("needs a dictionary")
	errWindow     = errors.New("window of more than 1 GiB")
)

// Matches reports whether head begins a Zstandard file or a skippable frame, which LZ4 has
// too.
func Matches(head []byte) bool {
	return len(head) >= 8 && (string(head[:4]) == magic || isOld(head) || isSkippable(head))
}

func isSkippable(b []byte) bool { return b[0]>>4 == 5 && string(b[1:4]) == "\x2a\x4d\x18" }

func isOld(b []byte) bool {
	return string(b[1:4]) == magic[1:] && (b[0] == 0x1e || b[0] >= 0x22 && b[0] <= 0x27)
}

// NewReader returns a reader of the unpacked bytes. Checksums are not verified, so that
// files which zstd would reject are inspected too.
func NewReader(r io.ReaderAt, size int64, charge archive.Charge) io.Reader {
	return &reader{r: r, size: size, charge: charge}
}

// reader reads a sequence of frames.
type reader struct {
	r       io.ReaderAt
	size    int64
	at      int64 // offset of the next frame
	charge  archive.Charge
	charged int64
	decoder *zstd.Decoder
	frame   bool // inside a frame
	frames  int
	err     error
}

// Read implements [io.Reader].
func (z *reader) Read(p []byte) (int, error) {
	for z.err == nil && len(p) > 0 {
		if !z.frame {
			z.err = z.next()
			continue
		}
		n, err := z.decoder.Read(p)
		switch {
		case errors.Is(err, io.EOF):
			z.frame = false
		case errors.Is(err, io.ErrUnexpectedEOF):
			z.err = archive.ErrCutOff
		default:
			z.err = err
		}
		if n > 0 {
			return n, nil
		}
	}
	return 0, z.err
}

// next opens the next frame, or returns [io.EOF] at the end of the file.
func (z *reader) next() error {
	if z.at >= z.size {
		if z.frames == 0 {
			return archive.ErrFormat
		}
		return io.EOF
	}
	var b [zstd.HeaderMaxSize]byte
	head, err := archive.Prefix(z.r, b[:min(int64(len(b)), z.size-z.at)], z.at)
	if err != nil {
		return err
	}
	var h zstd.Header
	switch err := h.Decode(head); {
	case len(head) >= 4 && isOld(head):
		return errOld
	case errors.Is(err, io.ErrUnexpectedEOF):
		return archive.ErrCutOff
	case err != nil && z.frames == 0:
		return archive.ErrFormat
	case errors.Is(err, zstd.ErrMagicMismatch):
		return errTrailing
	case err != nil:
		return errDamaged
	case h.Skippable:
		z.at += int64(h.HeaderSize) + int64(h.SkippableSize)
		if z.at > z.size {
			return archive.ErrCutOff
		}
		return nil
	case h.DictionaryID != 0:
		return errDictionary
	}
	z.frames++
	return z.open(&h)
}

// open starts decoding a frame.
func (z *reader) open(h *zstd.Header) error {
	window := h.WindowSize
	if h.SingleSegment {
		window = h.FrameContentSize
	}
	if window > maxWindow {
		return errWindow
	}
	// What the decoder allocates and keeps for the next frame. Small windows are allocated
	// twice.
	if memory := int64(window) + int64(min(window, 1<<20)) + 1<<20; memory > z.charged {
		if err := z.charge(memory); err != nil {
			return err
		}
		z.charged = memory
	}
	end, err := z.end(z.at+int64(h.HeaderSize), h.HasCheckSum)
	if err != nil {
		return err
	}
	section := io.NewSectionReader(z.r, z.at, end-z.at)
	z.at, z.frame = end, true
	if z.decoder != nil {
		return z.decoder.Reset(section)
	}
	z.decoder, err = zstd.NewReader(section, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(maxWindow), zstd.IgnoreChecksum(true))
	if err != nil {
		return fmt.Errorf("decoder: %w", err)
	}
	return nil
}

// end returns the offset of the end of a frame whose blocks begin at at.
func (z *reader) end(at int64, sum bool) (int64, error) {
	const header, rle, reserved = 3, 1, 3
	for at < z.size {
		var b [header]byte
		if err := archive.ReadFull(z.r, b[:min(header, z.size-at)], at); err != nil {
			return 0, err
		}
		n := int64(b[0]) | int64(b[1])<<8 | int64(b[2])<<16
		last, kind, size := n&1 != 0, n>>1&3, n>>3
		if kind == rle {
			size = 1
		}
		at += header + size
		if kind == reserved {
			break // the decoder reports it
		}
		if last {
			if sum {
				at += 4
			}
			return min(at, z.size), nil
		}
	}
	return z.size, nil
}
