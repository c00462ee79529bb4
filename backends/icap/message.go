package icap

import (
	"errors"
	"fmt"
	"io"
	"net/http/httputil"
	"strconv"
	"strings"

	"polyclam/backends/internal/engineconn"
)

// readStatus reads the ICAP header of an answer.
func readStatus(r liner) (head, int, error) {
	h, err := readHead(r)
	if err != nil {
		return h, 0, err
	}
	status, err := parseStatus("ICAP", h.start)
	return h, status, err
}

// persists reports whether the server keeps the connection open after the answer.
func persists(h *head) bool { return !containsFold(h.list("connection"), "close") }

// hasBody reports whether the answer continues after its ICAP header.
func hasBody(h *head) bool {
	e := strings.ToLower(strings.Join(strings.Fields(h.get("encapsulated")), ""))
	return e != "" && e != "null-body=0"
}

// message is the encapsulated part of an answer.
type message struct {
	heads  []head
	start  string // status line of the HTTP response, empty if there is none
	status int    // of the HTTP response, 0 if there is none
	body   *body  // nil: null-body
	exact  bool   // the offsets are right
}

// part is an element of Encapsulated.
type part struct {
	name   string
	offset int
}

// readMessage reads the HTTP headers but not the body. If the message is truncated, it
// returns the complete headers and an error. It does not need the offsets to find the
// parts, because each part marks its own end.
func readMessage(c *engineconn.Conn, h *head) (message, error) {
	parts, err := encapsulated(h)
	if err != nil {
		return message{}, err
	}
	m, at := message{exact: true}, 0
	for _, p := range parts {
		m.exact = m.exact && p.offset == at
		switch p.name {
		case "null-body":
			continue
		case "req-body", "res-body":
			c.HideRest()
			m.body = &body{c: c, chunks: httputil.NewChunkedReader(c.Reader())}
			continue
		}
		hh, err := readHead(c)
		m.heads = append(m.heads, hh)
		if err != nil {
			return m, fmt.Errorf("%s: %w", p.name, err)
		}
		at += hh.bytes
		if p.name == "res-hdr" {
			m.start = hh.start
			if m.status, err = parseStatus("HTTP", hh.start); err != nil {
				return m, err
			}
		}
	}
	return m, nil
}

// encapsulated parses the list of parts: at most two headers, and then one body.
func encapsulated(h *head) ([]part, error) {
	list := h.list("encapsulated")
	if len(list) == 0 {
		return nil, errors.New("an answer without Encapsulated")
	}
	var parts []part
	for i, e := range list {
		name, digits, _ := strings.Cut(e, "=")
		p := part{name: strings.ToLower(strings.TrimSpace(name))}
		offset, err := strconv.ParseUint(strings.TrimSpace(digits), 10, 31)
		if err != nil {
			return nil, fmt.Errorf("header Encapsulated: %.100q", e)
		}
		p.offset = int(offset)
		last := i == len(list)-1
		switch p.name {
		case "req-hdr":
			err = orderError(last || i != 0)
		case "res-hdr":
			err = orderError(last || i > 1)
		case "req-body", "res-body", "null-body":
			err = orderError(!last)
		default:
			err = fmt.Errorf("header Encapsulated: unknown part %.100q", p.name)
		}
		if err != nil {
			return nil, err
		}
		parts = append(parts, p)
	}
	return parts, nil
}

func orderError(wrong bool) error {
	if wrong {
		return errors.New("header Encapsulated: the order of the parts is not allowed by RFC 3507 4.4.1")
	}
	return nil
}

// maxTrailer limits the number of lines after the last chunk.
const maxTrailer = 100

// body reads a chunked body and the fields of its trailer.
type body struct {
	c       *engineconn.Conn
	chunks  io.Reader
	ended   bool
	trailer head
}

// Read implements [io.Reader]. io.EOF means that the whole body was read.
func (b *body) Read(p []byte) (int, error) {
	if b.ended {
		return 0, io.EOF
	}
	n, err := b.chunks.Read(p)
	if err == io.EOF {
		b.ended, err = true, b.readTrailer()
	}
	if err != nil && err != io.EOF {
		err = fmt.Errorf("body: %w", b.c.Broken(err))
	}
	return n, err
}

// readTrailer reads the lines after the last chunk, and returns io.EOF.
func (b *body) readTrailer() error {
	for range maxTrailer {
		line, err := b.c.Line()
		if err != nil {
			return err
		}
		if line == "" {
			return io.EOF
		}
		if b.trailer.bytes += len(line) + len("\r\n"); b.trailer.bytes > maxHead {
			break
		}
		if err := b.trailer.add(line); err != nil {
			return fmt.Errorf("trailer: %w", err)
		}
	}
	return errors.New("a trailer that is too long")
}
