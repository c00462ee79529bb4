// Package sophie scans with Sophie, a daemon for Sophos' engine, with Trophie, its
// counterpart for Trend Micro, or with a savdid channel that speaks their protocol
// ("scanprotocol { type: SOPHIE }").
//
// The dialogue, on a new connection for each scan, because answers have no id:
//
//	-> /path/of/file            transport "path"
//	-> stream/68<CRLF>          transport "stream": savdid over TCP
//	<- OK<CRLF>
//	-> (68 bytes)
//	<- 0                        then the connection is closed
//
// The answer table. A line may end in LF, CRLF, NUL, or with the connection:
//
//	0, 0:                        ok, code 0
//	1, 1:NAME                    by name, virus if unknown; code 1
//	-1:File was encrypted        encrypted, code -1
//	-1, -1:any other text        swerr
//	anything else                swerr
//	(closed without a reply)     cannot-execute
//
// The codes 0, 1 and -1 are documented by the projects that drive Sophie. The only text
// after -1 that is known exactly is SAVI's "File was encrypted". A site can list others,
// see encrypted_texts and partial_texts; each must match the whole text. The daemon sends
// texts only with error_strings in its configuration.
package sophie

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"polyclam/backends"
	"polyclam/backends/internal/engineconn"
	"polyclam/backends/internal/file"
	"polyclam/backends/internal/texts"
)

// Abilities says what Sophie can report. It has not been tried with a real Sophie.
var Abilities = backends.Abilities{
	Virus: true, Encrypted: true,
	Names:  true,
	Source: "other projects that drive Sophie (MIMEDefang, exim, amavis, MailScanner, baruwa); the text for encrypted is SAVI's",
	Tested: "composed bytes",
}

// A Backend scans with one Sophie. It is safe for concurrent use.
type Backend struct {
	client *engineconn.Client
	stream bool // sends the object instead of a path
	texts  texts.Keys
}

// ReadsPaths implements [backends.PathReader].
func (b *Backend) ReadsPaths() bool { return !b.stream }

// ReturnsInTime implements [backends.Deadlined].
func (b *Backend) ReturnsInTime() bool { return true }

// Scan implements [backends.Backend].
func (b *Backend) Scan(ctx context.Context, o backends.Object) (backends.Result, error) {
	if b.stream {
		return b.client.Scan(ctx, func(conn *engineconn.Conn, a *backends.Answer) error { return b.scanStream(conn, a, o) })
	}
	path, err := scanPath(o)
	if err != nil {
		return backends.Result{}, fmt.Errorf("sophie: %w", err)
	}
	return b.client.Scan(ctx, func(conn *engineconn.Conn, a *backends.Answer) error {
		if err := conn.Command(path + "\n"); err != nil {
			return err
		}
		return b.readAnswer(conn, a)
	})
}

// scanPath returns the path of the object. The protocol has no quoting.
func scanPath(o backends.Object) (string, error) {
	path, err := file.Path(o)
	if err == nil && strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r > '~' }) {
		err = &backends.ObjectError{Doing: "path of the object", Err: fmt.Errorf("%q: want printable ASCII characters without spaces", path)}
	}
	return path, err
}

// scanStream sends the object and reads the answer.
func (b *Backend) scanStream(conn *engineconn.Conn, a *backends.Answer, o backends.Object) error {
	size := o.Size()
	if err := conn.Command(fmt.Sprintf("stream/%d\r\n", size)); err != nil {
		return err
	}
	line, err := conn.Line()
	if err != nil {
		return err
	}
	if line != "OK" {
		return refused(line)
	}
	if size > 0 { // else the answer may already be there
		err = conn.SendAccepted(func(w io.Writer) error { return engineconn.Object(w, o, 0, size) })
	}
	if err != nil {
		return err
	}
	return b.readAnswer(conn, a)
}

// refused returns the error for a line other than OK before a stream. Nothing has been
// sent yet, so the line is never a verdict.
func refused(line string) error {
	if text, ok := strings.CutPrefix(line, "-1"); ok {
		return &backends.Failure{Category: backends.SWErr, Code: -1, Text: fmt.Sprintf("stream refused: %.200s", strings.TrimPrefix(text, ":"))}
	}
	return fmt.Errorf("unexpected answer to stream: %.200q", line)
}

// readAnswer reads the line that answers a scan. A daemon that keeps the connection open
// may not end the line, so CloseWrite makes it close the connection once the answer has
// begun. A 0 followed by more output is not a clean verdict.
func (b *Backend) readAnswer(conn *engineconn.Conn, a *backends.Answer) error {
	if _, err := conn.Reader().Peek(1); err != nil {
		return conn.Lost(err)
	}
	conn.CloseWrite()
	line, err := conn.Until("\n\x00")
	if err != nil && (line == "" || !errors.Is(err, io.ErrUnexpectedEOF)) {
		return err
	}
	if err := b.parse(strings.TrimSuffix(line, "\r"), a); err != nil || a.Category() != backends.OK {
		return err
	}
	return end(conn)
}

// closeTime is how long end waits for a daemon that keeps the connection open.
const closeTime = 100 * time.Millisecond

// end waits up to closeTime for the end of the connection. Anything but line breaks is an
// error.
func end(conn *engineconn.Conn) error {
	conn.SetReadDeadline(time.Now().Add(closeTime))
	for range 1000 {
		_, err := conn.Reader().Peek(1)
		switch {
		case err == io.EOF, errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, syscall.ECONNRESET):
			return nil
		case err != nil:
			return conn.Lost(err)
		}
		more := conn.Pending()
		if rest := bytes.Trim(more, "\r\n\x00"); len(rest) > 0 {
			return fmt.Errorf("unexpected %.100q after a clean answer", rest)
		}
		conn.Reader().Discard(len(more))
	}
	return errors.New("endless empty lines after a clean answer")
}
