package sssp

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"polyclam/backends"
	"polyclam/backends/internal/engineconn"
)

// scanData sends the object and reads the answer. savdid refuses too large an object
// before any of it is sent.
func (b *Backend) scanData(conn *engineconn.Conn, a *backends.Answer, o backends.Object) error {
	size := o.Size()
	if err := request(conn, requestData, strconv.FormatInt(size, 10)); err != nil {
		return refused(conn, a, err)
	}
	if size > 0 { // else the answer may already be there
		err := conn.SendAccepted(func(w io.Writer) error { return engineconn.Object(w, o, 0, size) })
		if err != nil {
			return fmt.Errorf("%s: %w", requestData, err)
		}
	}
	return b.readBound(conn, a, requestData)
}

// scanFile makes savdid read the file.
func (b *Backend) scanFile(conn *engineconn.Conn, a *backends.Answer, path string) error {
	if err := request(conn, requestFile, escapePath(path)); err != nil {
		return refused(conn, a, err)
	}
	return b.readBound(conn, a, requestFile)
}

// request sends a request and waits until savdid accepts it.
func request(conn *engineconn.Conn, name, argument string) error {
	if err := conn.Command(name + " " + argument + "\r\n"); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return accepted(conn, name)
}

// readBound reads the answer to a scan, and proves that it belongs to the scan. Only the
// ACC before an answer carries a number, so a second request, the fence, follows the
// object immediately. savdid answers in order, so the fence's ACC must come right after
// the answer to the scan. If readBound read a late answer to an earlier request instead,
// the right one arrives before that ACC and is an error.
func (b *Backend) readBound(conn *engineconn.Conn, a *backends.Answer, request string) error {
	early := conn.IsEarly()
	if !early {
		conn.WriteUnchecked(b.fence + "\r\n")
	}
	if err := readAnswer(request, conn.Line, a); err != nil {
		return refused(conn, a, err)
	}
	if a.Failed() || b.fence == requestBye {
		conn.NoReuse()
	}
	switch {
	case early, a.Failed() && a.Category() == "":
		return nil // no verdict to prove
	case b.fence == requestBye:
		return readBye(conn)
	}
	err := accepted(conn, b.fence)
	var r *rejection
	switch {
	case errors.As(err, &r) && r.code == codeUnknown:
		// This savdid does not know the request. REJ carries no number, so the end of the
		// session must prove that nothing follows.
		conn.WriteUnchecked(requestBye + "\r\n")
		return readBye(conn)
	case err != nil:
		return err
	}
	return readSettings(conn, b.fence, func(string, string) {})
}

// readBye reads the end of the session after an answer.
func readBye(conn *engineconn.Conn) error {
	line, err := conn.Line()
	switch {
	case err == nil && line == requestBye, err != nil && line == "" && engineconn.IsHangup(err):
		return nil
	case err == nil:
		return unexpected(requestBye, line)
	}
	return fmt.Errorf("%s: %w", requestBye, err)
}

// refused turns a rejection into a refusal or a failure. It returns other errors
// unchanged.
func refused(conn *engineconn.Conn, a *backends.Answer, err error) error {
	var r *rejection
	if !errors.As(err, &r) {
		return err
	}
	conn.NoReuse()
	if r.code == codeTooMuch && r.request == requestData {
		a.Refuse(r.code, r.Error())
		return nil
	}
	return failure(err)
}

// escapePath percent-encodes everything except RFC 3986's unreserved characters, even the
// slash, as the Moodle client does. savdid decodes all of it.
func escapePath(path string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(path) {
		ch := path[i]
		switch {
		case ch >= 'a' && ch <= 'z', ch >= 'A' && ch <= 'Z', ch >= '0' && ch <= '9', strings.IndexByte("-._~", ch) >= 0:
			b.WriteByte(ch)
		default:
			b.Write([]byte{'%', hex[ch>>4], hex[ch&15]})
		}
	}
	return b.String()
}
