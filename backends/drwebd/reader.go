package drwebd

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"

	"polyclam/backends/internal/wire"
)

// reader reads an answer.
type reader struct {
	r     *bufio.Reader
	heard bool
}

func newReader(nc net.Conn) *reader { return &reader{r: bufio.NewReader(nc)} }

// number reads a number.
func (r *reader) number() (uint32, error) {
	var b [4]byte
	if err := r.full(b[:]); err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint32(b[:]), nil
}

// text reads a length and so many bytes, at most limit, without the NUL behind them.
func (r *reader) text(limit uint32) (string, error) {
	n, err := r.number()
	if err != nil {
		return "", err
	}
	if n > limit {
		return "", fmt.Errorf("a text of %d bytes, %d are possible", n, limit)
	}
	b := make([]byte, n) // at most limit
	if err := r.full(b); err != nil {
		return "", err
	}
	text, _, _ := strings.Cut(string(b), "\x00")
	return text, nil
}

func (r *reader) full(b []byte) error {
	n, err := io.ReadFull(r.r, b)
	r.heard = r.heard || n > 0
	if err != nil {
		return wire.Lost(err, r.heard)
	}
	return nil
}

// end reports an error if more stands behind the answer.
func (r *reader) end() error {
	if n := r.r.Buffered(); n > 0 {
		rest, _ := r.r.Peek(min(n, 100))
		return fmt.Errorf("more than one answer: %q", rest)
	}
	return nil
}
