package icap

import (
	"bytes"
	"fmt"
	"io"

	"polyclam/backends"
	"polyclam/backends/internal/engineconn"
)

// exchange is one object and the answer to it.
type exchange struct {
	b *Backend
	c *engineconn.Conn
	q *request
	v verdict
	// seen is how much of the object the server wanted to see: all, or a preview.
	seen int64
}

// talk asks about an object and collects what the server says.
func (b *Backend) talk(c *engineconn.Conn, q *request, a *backends.Answer) error {
	x := &exchange{b: b, c: c, q: q, v: verdict{answer: a, errorCodes: b.errorCodes}}
	h, status, err := x.ask()
	if err != nil {
		return err
	}
	return x.judge(&h, status)
}

// ask sends the object, or first its preview, and reads the ICAP header of the answer.
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

// judge reads the rest of the answer and collects what it says.
func (x *exchange) judge(h *head, status int) error {
	x.v.code = status
	if status == 408 && x.c.Reused() {
		// The server gave up waiting for a request while the connection was idle.
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

// unmodified is a 204: clean, if the server wanted the whole object.
func (x *exchange) unmodified(h *head) {
	x.v.finish()
	x.v.settle()
	switch {
	case hasBody(h):
		x.c.NoReuse()
		x.v.fail(backends.SWErr, fmt.Sprintf("%.100q with something after it", h.start))
	case x.v.blocked && !x.v.said:
		x.v.found(backends.Suspicious, blockedName, blockedInfo)
	case x.seen < x.q.size:
		x.v.add(backends.Partial, fmt.Sprintf("passed by the server after a preview of %d of %d bytes", x.seen, x.q.size))
	default:
		x.v.add(backends.OK, "")
	}
}

// modified is a 200: the answer has a page instead of the object, or the object.
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
	case x.v.said:
	case x.v.blocked:
		x.v.found(backends.Suspicious, blockedName, blockedInfo)
	default:
		return x.echo(&m)
	}
	return x.skip(&m)
}

// page is an answer with a page instead of the object. A field that says why counts
// instead of the page's status, unless that says that the server failed.
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

// maxPage bounds a page that is read only to see that the answer is complete.
const maxPage = 1 << 20

// skip reads a page to its end: what is cut off says nothing for sure, but a virus.
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

// trailer takes the fields after a body, which count as those of the header do.
func (x *exchange) trailer(m *message) {
	if m.body != nil {
		x.v.read(m.body.trailer.fields)
		x.v.finish()
	}
}

// echo is an answer that seems to have the object in it.
func (x *exchange) echo(m *message) error {
	if x.c.IsEarly() {
		return x.earlyEcho(m)
	}
	same, n, err := x.compare(m.body)
	if err != nil {
		return err
	}
	x.trailer(m)
	x.v.settle()
	switch {
	case !same:
		x.c.NoReuse()
		x.v.found(backends.Suspicious, modifiedName, "the answer has another object, without a reason")
	case x.v.said:
	case x.v.blocked:
		x.v.found(backends.Suspicious, blockedName, blockedInfo)
	case n < x.q.size:
		x.v.fail(backends.SWErr, fmt.Sprintf("the answer has %d of the %d bytes and no verdict", n, x.q.size))
	case x.v.clean, x.isEchoOK(), x.q.size == 0: // there is nothing in nothing
		x.v.add(backends.OK, "")
	default:
		x.v.add(backends.Partial, "sent back instead of 204: perhaps not scanned (see echo_is)")
	}
	return nil
}

// isEchoOK reports whether the echo of the whole object means clean. A server that can
// say 204 passes objects unscanned in this way (c-icap: those over MaxObjectSize).
// Whether its echo began too early cannot be seen for sure, so that echo_is has no say.
func (x *exchange) isEchoOK() bool { return x.b.config.EchoIs == echoOK && !x.q.is204 }

// proof is how much of an object an early echo must have.
const proof = 1 << 10

// earlyEcho is an echo that began before the whole object was sent: it was not
// scanned. It is partial only if it is the object, and if this is how the server is
// known to pass large objects.
func (x *exchange) earlyEcho(m *message) error {
	got := make([]byte, min(x.q.size, proof))
	want := make([]byte, len(got))
	n := 0
	if m.body != nil {
		var err error
		n, err = io.ReadFull(m.body, got)
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return err
		}
	}
	if k, err := x.q.content.ReadAt(want[:n], 0); k < n {
		return unreadable(err)
	}
	switch {
	case !bytes.Equal(got[:n], want[:n]):
		x.v.found(backends.Suspicious, modifiedName, "the answer has another object, without a reason")
	case n < len(got):
		x.v.fail(backends.SWErr, fmt.Sprintf("sent back %d bytes before it had received the whole object, and no more", n))
	case x.isEchoOK():
		x.v.fail(backends.SWErr, `sent the object back before it had received all of it, so it is not scanned: want echo_is = "partial"`)
	default:
		x.v.answer.Refuse(x.v.code, "sent back before all of it was received: not scanned")
	}
	return nil
}

// compare reads a body while it is the same as the object, and returns how much of it
// is.
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
			if m, err := x.q.content.ReadAt(want[:k], n); m < k {
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

// unreadable is the error for an object that cannot be read a second time.
func unreadable(err error) error {
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return &backends.ObjectError{Doing: "reading the object again", Err: err}
}
