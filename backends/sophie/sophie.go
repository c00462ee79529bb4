// Package sophie scans with Sophie, a daemon around Sophos' engine, with Trophie, the
// same around Trend Micro's, or with a channel of Sophos' savdid that speaks their
// protocol ("scanprotocol { type: SOPHIE }").
//
// The dialogue, on a connection for each scan: an answer says nothing about what it
// belongs to.
//
//	-> /path/of/file            transport "path"
//	-> stream/68<CRLF>          transport "stream": savdid over TCP
//	<- OK<CRLF>
//	-> (68 bytes)
//	<- 0                        then the connection is closed
//
// The answers; a line may end in LF, CRLF, NUL, or with the connection:
//
//	0, 0:                        ok, code 0
//	1, 1:NAME                    by the name, virus if unknown; code 1
//	-1:File was encrypted        encrypted, code -1
//	-1, -1:any other text        swerr
//	anything else                swerr
//	(closed without a reply)     cannot-execute
//
// The codes 0, 1 and -1 are documented by the projects that drive Sophie. Of the texts
// after -1 only SAVI's "File was encrypted" is known to the letter; a site can vouch
// for more, see encrypted_texts and partial_texts. Only the whole text counts. A
// daemon gives a text only with error_strings in its configuration.
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

// Abilities is what Sophie can report. No Sophie was at hand to try it with.
var Abilities = backends.Abilities{
	Virus: true, Encrypted: true,
	Names:  true,
	Source: "other projects that drive Sophie (MIMEDefang, exim, amavis, MailScanner, baruwa); the text for encrypted is SAVI's",
	Tested: "composed bytes",
}

// Backend is one Sophie. Safe for concurrent use.
type Backend struct {
	client *engineconn.Client
	stream bool // sends the object, else names a file
	texts  texts.Keys
}

// ReadsPaths implements [backends.PathReader].
func (b *Backend) ReadsPaths() bool { return !b.stream }

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

// scanPath is the path of the object. The protocol has no quoting.
func scanPath(o backends.Object) (string, error) {
	path, err := file.Path(o)
	if err == nil && strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r > '~' }) {
		err = &backends.ObjectError{Doing: "path of the object", Err: fmt.Errorf("%q: want ASCII characters without blanks", path)}
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
	if size > 0 { // else the answer may be there already
		err = conn.SendAccepted(func(w io.Writer) error { return engineconn.Object(w, o, 0, size) })
	}
	if err != nil {
		return err
	}
	return b.readAnswer(conn, a)
}

// refused is the error for a line in place of the OK to a stream. It cannot be a
// verdict: nothing was sent yet.
func refused(line string) error {
	if text, ok := strings.CutPrefix(line, "-1"); ok {
		return &backends.Failure{Category: backends.SWErr, Code: -1, Text: fmt.Sprintf("stream refused: %.200s", strings.TrimPrefix(text, ":"))}
	}
	return fmt.Errorf("unexpected answer to stream: %.200q", line)
}

// readAnswer reads the one line that answers a scan. A daemon that keeps the connection
// need not end the line: the end of our side, sent once the answer has begun, makes it
// close. After a clean line nothing more may come: a 0 followed by something else is
// not a clean verdict.
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

// lastWords is how long a daemon may keep a connection open after a clean answer.
const lastWords = 100 * time.Millisecond

// end wants the end of the connection, or silence for a moment.
func end(conn *engineconn.Conn) error {
	conn.SetReadDeadline(time.Now().Add(lastWords))
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
	return errors.New("unexpected lines without an end after a clean answer")
}
