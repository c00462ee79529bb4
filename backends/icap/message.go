package icap

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"polyclam/backends"
)

// readStatus reads the ICAP header of an answer.
func (c *conn) readStatus() (head, int, error) {
	h, err := readHead(c.br)
	if err != nil {
		if c.got == 0 {
			err = fmt.Errorf("%w: %w", backends.ErrNoReply, err)
		}
		return h, 0, fmt.Errorf("answer: %w", err)
	}
	status, err := parseStatus("ICAP", h.start)
	return h, status, err
}

// persists reports whether the connection stays open behind the answer.
func persists(h *head) bool { return !containsFold(h.list("connection"), "close") }

// hasBody reports whether the answer has more behind its ICAP header.
func hasBody(h *head) bool {
	e := strings.ToLower(strings.Join(strings.Fields(h.get("encapsulated")), ""))
	return e != "" && e != "null-body=0"
}

// message is what an answer encapsulates.
type message struct {
	heads  []head
	start  string    // status line of the HTTP response, empty if there is none
	status int       // of the HTTP response, 0 if there is none
	body   io.Reader // nil: null-body
	exact  bool      // the offsets are right: nothing stands between the parts
}

// part is an element of Encapsulated.
type part struct {
	name   string
	offset int
}

// readMessage reads the HTTP headers; the body is left to be read. Of a message
// that breaks off, it returns what came. The offsets are not used to find the
// parts, since each of them says where it ends.
func (c *conn) readMessage(h *head) (message, error) {
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
			m.body = &chunked{br: c.br}
			continue
		}
		hh, err := readHead(c.br)
		if hh.start != "" {
			m.heads = append(m.heads, hh)
		}
		if err != nil {
			return m, fmt.Errorf("answer: %s: %w", p.name, err)
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

// encapsulated reads the list of parts: at most two headers and one body, which
// comes last.
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
		return errors.New("header Encapsulated: not an order of RFC 3507 4.4.1")
	}
	return nil
}
