package icap

import (
	"bytes"
	"fmt"
	"io"

	"polyclam/backends"
	"polyclam/backends/internal/engineconn"
)

// exchange is a request and its answer.
type exchange struct {
	b *Backend
	c *engineconn.Conn
	q *request
	v verdict
	// seen is how much of the object the server has: all of it, or a preview.
	seen int64
}

// talk sends an object and collects the answer.
func (b *Backend) talk(c *engineconn.Conn, q *request, a *backends.Answer) error {
	x := &exchange{b: b, c: c, q: q, v: verdict{answer: a, errorCodes: b.errorCodes}}
	h, status, err := x.ask()
	if err != nil {
		return err
	}
	return x.judge(&h, status)
}

// ask sends the object, after a preview if configured, and reads the answer's ICAP
// header.
func (x *exchange) ask() (head, int, error) {
	first, stop := x.q.size, end
	if x.q.preview >= 0 {
		first = x.q.preview
		if first == x.q.size {
			stop = endWhole
		}
	}
	x.seen = first
	err := x.c.Send(func(w io.Writer) error {
		if _, err := io.WriteString(w, x.q.head); err != nil {
			return err
		}
		return x.q.write(w, 0, first, stop)
	})
	if err != nil {
		return head{}, 0, err
	}
	h, status, err := readStatus(x.c)
	if err != nil || status != 100 || first == x.q.size || x.c.IsEarly() {
		return h, status, err
	}
	if err := x.c.Send(func(w io.Writer) error { return x.q.write(w, first, x.q.size, end) }); err != nil {
		return head{}, 0, err
	}
	x.seen = x.q.size
	return readStatus(x.c)
}

// judge reads the rest of the answer and adds it to the verdict.
func (x *exchange) judge(h *head, status int) error {
	x.v.code = status
	if status == 408 && x.c.Reused() {
		// The server timed out while the connection was idle.
		return fmt.Errorf("%w: %.100q", backends.ErrNoReply, h.start)
	}
	if !persists(h) {
		x.c.NoReuse()
	}
	x.v.read(h.fields)
	switch status {
	case 200, 206:
		return x.modified(h)
	case 204:
		x.unmodified(h)
		return nil
	}
	x.c.NoReuse()
	if status == 404 || status == 405 {
		x.b.forget()
	}
	x.b.judgeStatus(&x.v, h.start, status)
	return nil
}

// unmodified handles a 204, which means clean if the server has the whole object.
func (x *exchange) unmodified(h *head) {
	x.v.finish()
	x.v.failUnclear()
	switch {
	case hasBody(h):
		x.c.NoReuse()
		x.v.fail(backends.SWErr, fmt.Sprintf("%.100q with something after it", h.start))
	case x.v.blocked && !x.v.decided:
		x.v.found(backends.Suspicious, blockedName, blockedInfo)
	case x.seen < x.q.size:
		x.v.add(backends.Partial, fmt.Sprintf("passed by the server after a preview of %d of %d bytes", x.seen, x.q.size))
	default:
		x.v.add(backends.OK, "")
	}
}

// modified handles a 200: the answer contains the object, or a page that replaces it.
func (x *exchange) modified(h *head) error {
	m, err := readMessage(x.c, h)
	for _, hh := range m.heads {
		x.v.read(hh.fields)
	}
	x.v.finish()
	if err != nil {
		return err
	}
	if !m.exact {
		x.c.NoReuse()
	}
	switch {
	case m.status != 0 && m.status != 200:
		if err := x.page(&m); err != nil {
			return err
		}
	case x.v.decided:
	case x.v.blocked:
		x.v.found(backends.Suspicious, blockedName, blockedInfo)
	default:
		return x.echo(&m)
	}
	return x.skip(&m)
}

// page handles a page that replaces the object. A field with the reason overrides the
// page's status, unless the status is a server error.
func (x *exchange) page(m *message) error {
	if m.status >= 500 && m.body != nil && !x.c.IsEarly() {
		text, err := io.ReadAll(io.LimitReader(m.body, maxDetail))
		if err != nil {
			return err
		}
		if x.v.explain(text) {
			return nil
		}
		x.b.judgePage(&x.v, m, string(text))
		return nil
	}
	x.b.judgePage(&x.v, m, "")
	return nil
}

// maxPage limits how much of a page is read to check that the answer is complete.
const maxPage = 1 << 20

// skip reads a page to its end, because a truncated answer proves nothing except a virus.
func (x *exchange) skip(m *message) error {
	switch {
	case m.body == nil:
		return nil
	case x.v.isDetection(), x.c.IsEarly():
		x.c.NoReuse()
		return nil
	}
	n, err := io.CopyN(io.Discard, m.body, maxPage)
	switch {
	case err == io.EOF:
		x.trailer(m)
		return nil
	case err == nil:
		err = fmt.Errorf("a page of more than %d bytes", n)
	}
	return err
}

// trailer adds the fields after a body, which count like those of the header.
func (x *exchange) trailer(m *message) {
	if m.body != nil {
		x.v.read(m.body.trailer.fields)
		x.v.finish()
	}
}

// echo handles an answer that seems to contain the object.
func (x *exchange) echo(m *message) error {
	if x.c.IsEarly() {
		return x.earlyEcho(m)
	}
	same, n, err := x.compare(m.body)
	if err != nil {
		return err
	}
	x.trailer(m)
	x.v.failUnclear()
	switch {
	case !same:
		x.c.NoReuse()
		x.v.found(backends.Suspicious, modifiedName, "the answer contains another object and no reason")
	case x.v.decided:
	case x.v.blocked:
		x.v.found(backends.Suspicious, blockedName, blockedInfo)
	case n < x.q.size:
		x.v.fail(backends.SWErr, fmt.Sprintf("the answer has %d of the %d bytes and no verdict", n, x.q.size))
	case x.v.clean, x.isEchoOK(), x.q.size == 0:
		x.v.add(backends.OK, "")
	default:
		x.v.add(backends.Partial, "sent back instead of 204, perhaps not scanned (see echo_is)")
	}
	return nil
}

// isEchoOK reports whether an echo of the whole object means clean. A server that
// supports 204 echoes objects that it does not scan (c-icap: those over MaxObjectSize),
// and an echo that began too early cannot always be recognised, so echo_is does not apply
// to such a server.
func (x *exchange) isEchoOK() bool { return x.b.config.EchoIs == echoOK && !x.q.is204 }

// minEcho is how much of an object an early echo must contain.
const minEcho = 1 << 10

// earlyEcho handles an echo that began before the whole object was sent, so the object
// was not scanned. The result is partial only if the echo really is the object, and the
// server is known to pass large objects in this way.
func (x *exchange) earlyEcho(m *message) error {
	got := make([]byte, min(x.q.size, minEcho))
	want := make([]byte, len(got))
	n := 0
	if m.body != nil {
		var err error
		n, err = io.ReadFull(m.body, got)
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return err
		}
	}
	if k, err := x.q.object.ReadAt(want[:n], 0); k < n {
		return unreadable(err)
	}
	switch {
	case !bytes.Equal(got[:n], want[:n]):
		x.v.found(backends.Suspicious, modifiedName, "the answer contains another object and no reason")
	case n < len(got):
		x.v.fail(backends.SWErr, fmt.Sprintf("sent back only %d bytes, before it had received the whole object", n))
	case x.isEchoOK():
		x.v.fail(backends.SWErr, `sent the object back before it had received all of it, so it is not scanned: want echo_is = "partial"`)
	default:
		x.v.answer.Refuse(x.v.code, "sent back before all of it was received, so not scanned")
	}
	return nil
}

// compare reads a body while it equals the object, and returns how many bytes do.
func (x *exchange) compare(body *body) (same bool, n int64, err error) {
	if body == nil {
		return true, 0, nil
	}
	got, want := make([]byte, 16<<10), make([]byte, 16<<10)
	for {
		k, err := body.Read(got)
		if int64(k) > x.q.size-n {
			return false, n, nil
		}
		if k > 0 {
			if m, err := x.q.object.ReadAt(want[:k], n); m < k {
				return false, n, unreadable(err)
			}
			if !bytes.Equal(got[:k], want[:k]) {
				return false, n, nil
			}
		}
		n += int64(k)
		if err == io.EOF {
			return true, n, nil
		}
		if err != nil {
			return false, n, err
		}
	}
}

// unreadable returns the error for an object that cannot be read a second time.
func unreadable(err error) error {
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return &backends.ObjectError{Doing: "reading the object again", Err: err}
}
