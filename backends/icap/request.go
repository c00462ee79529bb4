package icap

import (
	"fmt"
	"strconv"
	"strings"

	"polyclam/backends"
)

// request is one content as it is sent.
type request struct {
	head    string // of ICAP and HTTP
	content backends.Content
	size    int64
	preview int64 // bytes to send first; -1: no preview
}

// place is the name of the content: the same for all, without an extension that a
// scanner might go by.
const place = "http://localhost/content"

// newRequest makes the request for a content. Nothing in its head comes from the
// content or its sender but the number of bytes.
func (b *Backend) newRequest(o options, c backends.Content) (*request, error) {
	method, err := b.method(o)
	if err != nil {
		return nil, err
	}
	q := &request{content: c, size: c.Size(), preview: -1}
	var s strings.Builder
	fmt.Fprintf(&s, "%s %s ICAP/1.0\r\nHost: %s\r\n%sAllow: 204\r\n", method, b.uri, b.host, b.fields)
	if b.config.Preview && o.preview >= 0 {
		q.preview = min(o.preview, q.size)
		// RFC 3507 4.5: the size of the preview as announced by OPTIONS, though the
		// body be shorter.
		fmt.Fprintf(&s, "Preview: %d\r\n", o.preview)
	}
	encapsulated, http := b.encapsulate(method, q.size)
	q.head = s.String() + "Encapsulated: " + encapsulated + "\r\n\r\n" + http
	return q, nil
}

// encapsulate makes the HTTP message around the content, and the offsets of its
// parts.
func (b *Backend) encapsulate(method string, size int64) (encapsulated, http string) {
	about := "Content-Type: " + b.config.ContentType + "\r\nContent-Length: " + strconv.FormatInt(size, 10) + "\r\n\r\n"
	switch {
	case !b.config.HTTPHeaders && method == "REQMOD":
		return "req-body=0", ""
	case !b.config.HTTPHeaders:
		return "res-body=0", ""
	case method == "REQMOD":
		request := "POST " + place + " HTTP/1.1\r\nHost: localhost\r\n" + about
		return fmt.Sprintf("req-hdr=0, req-body=%d", len(request)), request
	}
	request := "GET " + place + " HTTP/1.1\r\nHost: localhost\r\n\r\n"
	response := "HTTP/1.1 200 OK\r\n" + about
	return fmt.Sprintf("req-hdr=0, res-hdr=%d, res-body=%d", len(request), len(request)+len(response)), request + response
}
