package icap

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"polyclam/backends"
)

// exchange is one content and the answer to it, on one connection.
type exchange struct {
	b     *Backend
	c     *conn
	q     *request
	s     sender
	early bool // the answer began before the whole content was sent
	keep  bool // the answer was read to its end and leaves the connection in order
}

// scanOn asks about a content on a connection. keep reports whether the connection
// can be used again.
func (b *Backend) scanOn(c *conn, q *request) (r backends.Result, keep bool, err error) {
	buf := b.buffers.Get().(*[bufferSize]byte)
	x := &exchange{b: b, c: c, q: q, s: sender{w: c.nc, buf: buf, q: q}}
	r, err = x.run()
	sent := x.s.finish(x.abort)
	b.buffers.Put(buf)
	if own := x.s.failed(); own != nil {
		return backends.Result{}, false, own
	}
	if err != nil && x.s.err != nil {
		err = fmt.Errorf("%w (%w)", err, x.s.err)
	}
	return r, sent && x.keep && (!x.early || q.preview >= 0), err
}

// abort ends reading and writing.
func (x *exchange) abort() { x.c.Close() }

func (x *exchange) run() (backends.Result, error) {
	h, status, err := x.ask()
	if err != nil {
		return backends.Result{}, err
	}
	return x.judge(h, status)
}

// judge reads the rest of the answer and says what it amounts to.
func (x *exchange) judge(h head, status int) (backends.Result, error) {
	var v verdict
	var err error
	v.read(h.fields)
	switch status {
	case 200, 206:
		err = x.modified(&h, &v)
	case 204:
		x.unmodified(&h, &v)
	default:
		category, hint := statusOf(status)
		v.say(category, "", explain(h.start, hint))
		if status == 404 || status == 405 {
			x.b.forget()
		}
	}
	if err != nil && !v.stands() {
		return backends.Result{}, err
	}
	return v.result(status)
}

// The ends of a body.
const (
	end      = "0\r\n\r\n"
	endWhole = "0; ieof\r\n\r\n" // of a preview that is all there is
)

// ask sends the content, or first its preview, and reads the ICAP header of the
// answer.
func (x *exchange) ask() (head, int, error) {
	switch {
	case x.q.preview < 0:
		x.s.start(x.q.head, x.q.size, end, x.abort)
		return x.answer()
	case x.q.preview == x.q.size:
		x.s.start(x.q.head, x.q.size, endWhole, x.abort)
		return x.answer()
	}
	x.s.start(x.q.head, x.q.preview, end, x.abort)
	h, status, err := x.answer()
	if err != nil || status != 100 {
		return h, status, err
	}
	<-x.s.done
	if x.s.err != nil {
		return h, 0, x.s.err
	}
	x.s.start("", x.q.size, end, x.abort)
	return x.answer()
}

func (x *exchange) answer() (head, int, error) {
	x.c.br.Peek(1) // waits; its error comes again
	x.early = !x.s.whole.Load()
	return x.c.readStatus()
}

// complete reports whether the answer can be about the whole content: the last of it
// was being sent when the answer began, and was taken.
func (x *exchange) complete() bool { return !x.early && x.s.taken() }

// unmodified is a 204: clean, if it is about the whole content.
func (x *exchange) unmodified(h *head, v *verdict) {
	v.say(backends.OK, "", "")
	if v.blocked && !v.found() {
		v.say(backends.Suspicious, "", blockedInfo)
	}
	if !x.complete() {
		v.say(backends.Partial, "", fmt.Sprintf("answered %q before all of the %d bytes were sent", h.start, x.q.size))
	}
	if hasBody(h) || x.c.br.Buffered() > 0 {
		v.say(backends.SWErr, "", fmt.Sprintf("%q with something behind it", cut(h.start, 100)))
		return
	}
	x.keep = persists(h)
}

// modified is a 200: the answer has a page instead of the content, or the content.
func (x *exchange) modified(h *head, v *verdict) error {
	m, err := x.c.readMessage(h)
	for _, hh := range m.heads {
		v.read(hh.fields)
	}
	if err != nil {
		return err
	}
	x.keep = m.exact && persists(h)
	category, name := x.b.httpStatus(m.status)
	switch {
	case category == backends.SWErr:
		v.say(category, "", fmt.Sprintf("answered %q", cut(m.start, maxDetail/2)))
	case v.found():
	case category != "":
		v.say(category, name, m.start)
	case v.blocked:
		v.say(backends.Suspicious, "", blockedInfo)
	default:
		return x.echo(&m, v)
	}
	x.drain(&m)
	return nil
}

// Bounds on reading a page that nobody needs, to keep the connection.
const (
	maxDrain  = 1 << 20
	drainTime = 250 * time.Millisecond
)

func (x *exchange) drain(m *message) {
	if m.body == nil || !x.keep {
		return
	}
	x.keep = false
	if x.early {
		return
	}
	x.c.nc.SetReadDeadline(time.Now().Add(drainTime))
	if _, err := io.CopyN(io.Discard, m.body, maxDrain); err == io.EOF {
		x.keep = x.c.nc.SetReadDeadline(time.Time{}) == nil
	}
}

// echo is an answer with the content in it, as it seems.
func (x *exchange) echo(m *message, v *verdict) error {
	same, n, err := x.compare(m.body)
	switch {
	case err != nil:
		x.keep = false
		return err
	case !same:
		x.keep = false
		v.say(backends.Suspicious, modifiedName, "the answer has another content, without a reason")
	case n < x.q.size:
		v.say(backends.SWErr, "", fmt.Sprintf("the answer has %d of the %d bytes and no verdict", n, x.q.size))
	case !x.complete():
		v.say(backends.Partial, "", "passed on before all of it was sent: not scanned")
	case v.clean, x.b.config.EchoIs == echoOK, x.q.size == 0: // there is nothing in nothing
		v.say(backends.OK, "", "")
	default:
		v.say(backends.Partial, "", "sent back instead of 204: perhaps not scanned (see echo_is)")
	}
	if x.c.br.Buffered() > 0 {
		v.say(backends.SWErr, "", "something behind the answer")
	}
	return nil
}

// compare reads a body while it is the same as the content, and returns how much of
// it is.
func (x *exchange) compare(body io.Reader) (same bool, n int64, err error) {
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
				return false, n, unreadable(fmt.Errorf("it cannot be read again: %w", errors.Join(err, io.ErrUnexpectedEOF)))
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
			return false, n, fmt.Errorf("answer: body: %w", err)
		}
	}
}
