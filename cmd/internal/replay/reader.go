// Package replay reads the scans in a log of polyclamd and judges them again, by the policy
// of another configuration.
package replay

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// maxLine is the longest line that is read. A line of polyclamd is far shorter; with -o json
// the journal adds its own fields and escapes the line once more.
const maxLine = 1 << 20

// A Reader reads the lines of a log, one at a time. They may be polyclamd's own, also with a
// priority such as "<6>" or the prefix of another log in front, or journal entries as
// "journalctl -o json" prints them. The log may be compressed by gzip.
type Reader struct {
	in *bufio.Reader
	n  int // lines read

	Long int // lines that were left out because they are too long
}

// NewReader returns a reader for a log.
func NewReader(r io.Reader) (*Reader, error) {
	in := bufio.NewReaderSize(r, 64<<10)
	if magic, _ := in.Peek(2); !bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		return &Reader{in: in}, nil
	}
	unpacked, err := gzip.NewReader(in)
	if err != nil {
		return nil, readError(err)
	}
	return &Reader{in: bufio.NewReaderSize(unpacked, 64<<10)}, nil
}

// Next returns the next line that may be a scan, as JSON. It is valid until the next call.
// The error is io.EOF at the end.
func (r *Reader) Next() ([]byte, error) {
	for {
		line, err := r.line()
		if err != nil {
			return nil, err
		}
		if text, ok := message(line); ok {
			return text, nil
		}
	}
}

// readError words the errors of a compressed log.
func readError(err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the compressed file ends too early")
	case errors.Is(err, gzip.ErrChecksum), errors.Is(err, gzip.ErrHeader), errors.As(err, new(flate.CorruptInputError)):
		return errors.New("the compressed file is damaged")
	}
	return err
}

// Lines is how many lines were read, those that are not scans included.
func (r *Reader) Lines() int { return r.n }

// line returns the next line. It skips one that is too long without keeping it.
func (r *Reader) line() ([]byte, error) {
	for {
		line, err := r.in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			line, err = r.rest(bytes.Clone(line))
		}
		switch {
		case err != nil && err != io.EOF:
			return nil, fmt.Errorf("line %d: %w", r.n+1, readError(err))
		case len(line) == 0 && err == io.EOF:
			return nil, io.EOF
		}
		r.n++
		if len(line) <= maxLine {
			return line, nil
		}
		r.Long++
	}
}

// rest reads the rest of a line. It returns a longer slice than maxLine if that is too long.
func (r *Reader) rest(line []byte) ([]byte, error) {
	for {
		more, err := r.in.ReadSlice('\n')
		if len(line) <= maxLine {
			line = append(line, more...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}

// entry is a journal entry. A message that is not valid text is an array of bytes.
type entry struct {
	Message json.RawMessage `json:"MESSAGE"`
}

var (
	scanned    = []byte(`"scanned`)
	inJournal  = []byte(`"MESSAGE"`)
	bytesArray = []byte(`[`)
)

// message returns the JSON in a line that may be a scan.
func message(line []byte) ([]byte, bool) {
	journal := bytes.Contains(line, inJournal)
	if !journal && !bytes.Contains(line, scanned) {
		return nil, false
	}
	begin := bytes.IndexByte(line, '{')
	if begin < 0 {
		return nil, false
	}
	line = line[begin:]
	if !journal {
		return line, true
	}
	var e entry
	if json.Unmarshal(line, &e) != nil || len(e.Message) == 0 {
		return line, bytes.Contains(line, scanned) // it has the text in one of its values
	}
	var text string
	if bytes.HasPrefix(e.Message, bytesArray) {
		var list []uint16 // []byte would be base64
		if json.Unmarshal(e.Message, &list) != nil {
			return nil, false
		}
		b := make([]byte, len(list))
		for i, c := range list {
			b[i] = byte(c)
		}
		text = string(b)
	} else if json.Unmarshal(e.Message, &text) != nil {
		return nil, false
	}
	return message([]byte(text))
}
