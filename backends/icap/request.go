package icap

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"polyclam/backends"
	"polyclam/backends/internal/engineconn"
	"polyclam/backends/internal/wire"
)

// request is the request to scan one object.
type request struct {
	head    string // of ICAP and HTTP
	object  io.ReaderAt
	size    int64
	preview int64 // bytes to send first; -1: no preview
	is204   bool  // the server supports 204 instead of sending the object back
}

// newRequest returns the request for an object. The only client-supplied text in its head
// is the escaped file name.
func (b *Backend) newRequest(o options, obj backends.Object) (*request, error) {
	method, err := b.method(o)
	if err != nil {
		return nil, err
	}
	q := &request{object: obj, size: obj.Size(), preview: -1, is204: o.allow204}
	name := wire.FileName(obj, b.config.FileName)
	var s strings.Builder
	fmt.Fprintf(&s, "%s %s ICAP/1.0\r\nHost: %s\r\n%sAllow: 204\r\n", method, b.uri, b.host, b.fields)
	if b.config.FileNameHeader != "" && !b.config.namesInHTTP() {
		f := wire.NameField(b.config.FileNameHeader, name)
		fmt.Fprintf(&s, "%s: %s\r\n", f.Name, f.Value)
	}
	if b.config.Preview && o.preview >= 0 {
		q.preview = min(o.preview, q.size)
		// RFC 3507 4.5: the size announced by OPTIONS, even if the body is shorter.
		fmt.Fprintf(&s, "Preview: %d\r\n", o.preview)
	}
	encapsulated, http := b.encapsulate(method, name, q.size)
	q.head = s.String() + "Encapsulated: " + encapsulated + "\r\n\r\n" + http
	return q, nil
}

// encapsulate returns the HTTP message around the object and the offsets of its parts.
func (b *Backend) encapsulate(method, name string, size int64) (encapsulated, http string) {
	about := "Content-Type: " + b.config.ContentType + "\r\n"
	if b.config.namesInHTTP() {
		about += b.config.FileNameHeader + ": " + wire.Disposition(name) + "\r\n"
	}
	about += "Content-Length: " + strconv.FormatInt(size, 10) + "\r\n\r\n"
	url := strings.ReplaceAll(b.config.URL, namePlace, wire.PathName(name))
	host := b.config.urlHost()
	switch {
	case !b.config.HTTPHeaders && method == "REQMOD":
		return "req-body=0", ""
	case !b.config.HTTPHeaders:
		return "res-body=0", ""
	case method == "REQMOD":
		request := "POST " + url + " HTTP/1.1\r\nHost: " + host + "\r\n" + about
		return fmt.Sprintf("req-hdr=0, req-body=%d", len(request)), request
	}
	request := "GET " + url + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n"
	response := "HTTP/1.1 200 OK\r\n" + about
	return fmt.Sprintf("req-hdr=0, res-hdr=%d, res-body=%d", len(request), len(request)+len(response)), request + response
}

// The last chunk of a body.
const (
	end      = "0\r\n\r\n"
	endWhole = "0; ieof\r\n\r\n" // of a preview that is the whole object
)

// write writes the bytes [from, to) of the object in chunks, and then end.
func (q *request) write(w io.Writer, from, to int64, end string) error {
	if err := engineconn.Object(chunks{w}, q.object, from, to); err != nil {
		return err
	}
	_, err := io.WriteString(w, end)
	return err
}

// chunks turns each Write into a chunk.
type chunks struct{ w io.Writer }

func (c chunks) Write(p []byte) (int, error) {
	if _, err := io.WriteString(c.w, strconv.FormatInt(int64(len(p)), 16)+"\r\n"); err != nil {
		return 0, err
	}
	n, err := c.w.Write(p)
	if err == nil {
		_, err = io.WriteString(c.w, "\r\n")
	}
	return n, err
}
