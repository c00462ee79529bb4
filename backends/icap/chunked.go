package icap

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Bounds on what surrounds the bytes of a body.
const (
	maxChunkLine = 4 << 10
	maxTrailer   = 16 << 10
)

var (
	errChunkLine = errors.New("a chunk with too long a head")
	errTrailer   = errors.New("a trailer that is too long")
)

// chunked reads a body in chunks. Extensions and trailers are read and forgotten.
type chunked struct {
	br   *bufio.Reader
	left int64 // of the chunk under way
	err  error // io.EOF after the last chunk and its trailer
	some bool  // a chunk is under way or read
}

// Read implements [io.Reader]. io.EOF says that the whole body was read; the end of
// the connection before is io.ErrUnexpectedEOF.
func (c *chunked) Read(p []byte) (int, error) {
	for c.err == nil && c.left == 0 {
		c.err = c.next()
	}
	if c.err != nil {
		return 0, c.err
	}
	if int64(len(p)) > c.left {
		p = p[:c.left]
	}
	n, err := c.br.Read(p)
	c.left -= int64(n)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	c.err = err
	return n, err
}

// next reads the end of a chunk and the head of the one behind it.
func (c *chunked) next() error {
	if c.some {
		end, err := readLine(c.br, 2, errors.New("a chunk longer than its size"))
		if err != nil {
			return err
		}
		if end != "\r\n" && end != "\n" {
			return fmt.Errorf("%.10q behind a chunk", end)
		}
	}
	line, err := readLine(c.br, maxChunkLine, errChunkLine)
	if err != nil {
		return err
	}
	size, err := parseChunk(line)
	if err != nil {
		return err
	}
	c.some, c.left = true, size
	if size > 0 {
		return nil
	}
	return c.trailer()
}

// trailer reads the fields behind the last chunk.
func (c *chunked) trailer() error {
	for left := maxTrailer; ; {
		line, err := readLine(c.br, left, errTrailer)
		if err != nil {
			return err
		}
		if line == "\r\n" || line == "\n" {
			return io.EOF
		}
		left -= len(line)
	}
}

// parseChunk reads "1eb", "0; ieof" and the like.
func parseChunk(line string) (int64, error) {
	digits, _, _ := strings.Cut(strings.TrimRight(line, "\r\n"), ";")
	digits = strings.Trim(digits, " \t")
	size, err := strconv.ParseUint(digits, 16, 62)
	// ParseUint takes neither a sign nor a prefix nor underscores in base 16.
	if err != nil {
		return 0, fmt.Errorf("not the size of a chunk: %.100q", line)
	}
	return int64(size), nil
}
