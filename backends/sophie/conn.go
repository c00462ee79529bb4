package sophie

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"polyclam/backends"
	"polyclam/backends/internal/file"
)

const (
	maxLine = 64 << 10
	// lastWords is how long a daemon may keep a connection open behind a clean answer
	// whose end is known.
	lastWords = 100 * time.Millisecond
)

// conn is the connection of one scan.
type conn struct {
	nc     net.Conn
	r      *bufio.Reader
	heard  bool // a byte has come
	halved bool // we have said that we have no more to say
}

func newConn(nc net.Conn) *conn { return &conn{nc: nc, r: bufio.NewReader(nc)} }

func (c *conn) close() { c.nc.Close() }

// scanFile has the daemon read the file.
func (c *conn) scanFile(path string) (backends.Result, error) {
	if _, err := io.WriteString(c.nc, path+"\n"); err != nil {
		return backends.Result{}, c.lost(err)
	}
	return c.answer()
}

// scanStream sends the content and reads the answer.
func (c *conn) scanStream(content backends.Content) (backends.Result, error) {
	size := content.Size()
	if _, err := fmt.Fprintf(c.nc, "stream/%d\r\n", size); err != nil {
		return backends.Result{}, c.lost(err)
	}
	line, err := c.line(false)
	if err != nil {
		return backends.Result{}, err
	}
	if line != "OK" {
		return refused(line)
	}
	sent := make(chan error, 1)
	go func() { sent <- c.sendContent(content, size) }()
	result, err := c.answer()
	early, contentErr := c.settle(sent, err != nil)
	switch {
	case contentErr != nil:
		return backends.Result{}, contentErr
	case err == nil && early && result.Category != backends.Virus && result.Category != backends.Suspicious:
		return backends.Result{}, fmt.Errorf("answered %v before it had the whole content", result.Category)
	}
	return result, err
}

// refused maps what comes in place of the OK to a stream. It cannot be a verdict:
// nothing was sent yet.
func refused(line string) (backends.Result, error) {
	r, err := parse(line)
	if err == nil && (r.Category == backends.OK || len(r.Findings) > 0 || r.Category == backends.Virus) {
		err = fmt.Errorf("unexpected answer to stream: %.200q", line)
	}
	if err != nil {
		return backends.Result{}, err
	}
	return r, nil
}

// settle waits until the content is sent, and reports whether the answer came
// before that. That is seen for sure only of content that does not fit into the
// buffers between here and there.
func (c *conn) settle(sent <-chan error, failed bool) (early bool, contentErr error) {
	if failed {
		c.close()
	}
	// The last bytes may have been answered before the goroutine that sent them
	// runs again.
	timer := time.NewTimer(time.Second)
	defer timer.Stop()
	var err error
	select {
	case err = <-sent:
	case <-timer.C:
		early = true
		c.close()
		err = <-sent
	}
	var failure *backends.Failure
	if errors.As(err, &failure) {
		return early, err
	}
	return early || err != nil, nil
}

// sendContent sends exactly size bytes. If the content cannot be read the connection
// is closed, so that the daemon does not take a part for the whole.
func (c *conn) sendContent(content io.ReaderAt, size int64) error {
	buffer := make([]byte, min(size, 64<<10))
	for off := int64(0); off < size; {
		p := buffer[:min(int64(len(buffer)), size-off)]
		n, err := content.ReadAt(p, off)
		if n < len(p) {
			c.close()
			if err == nil || err == io.EOF {
				err = fmt.Errorf("it ends after %d of %d bytes", off+int64(n), size)
			}
			return file.Ours("content", err)
		}
		if _, err := c.nc.Write(p); err != nil {
			return err
		}
		off += int64(n)
	}
	return nil
}

// answer reads the one line that answers a scan. Behind a clean one nothing may come:
// who says 0 and then something else has not said that the content is clean.
func (c *conn) answer() (backends.Result, error) {
	line, err := c.line(true)
	if err != nil {
		return backends.Result{}, err
	}
	r, err := parse(line)
	if err == nil && r.Category == backends.OK {
		err = c.end()
	}
	if err != nil {
		return backends.Result{}, err
	}
	return r, nil
}

// line reads up to LF, NUL or the end of the connection, and leaves the end of the
// line away. A daemon that keeps the connection need not end the last line at all:
// when its first bytes are there the scan is over, and the daemon is told that
// nothing else will be asked.
func (c *conn) line(last bool) (string, error) {
	var line []byte
	for {
		b, err := c.r.ReadByte()
		switch {
		case err == io.EOF && len(line) > 0, err == nil && (b == '\n' || b == 0):
			return string(bytes.TrimSuffix(line, []byte("\r"))), nil
		case err != nil:
			return "", c.lost(err)
		case len(line) == maxLine:
			return "", fmt.Errorf("a line of more than %d bytes: %.100q", maxLine, line)
		}
		c.heard = true
		line = append(line, b)
		if last && c.r.Buffered() == 0 {
			c.halve()
		}
	}
}

// halve says that nothing else will be asked.
func (c *conn) halve() {
	if half, ok := c.nc.(interface{ CloseWrite() error }); ok && !c.halved {
		c.halved = true
		half.CloseWrite()
	}
}

// end wants the end of the connection, or nothing for a moment.
func (c *conn) end() error {
	c.halve()
	c.nc.SetReadDeadline(time.Now().Add(lastWords))
	for range maxLine {
		b, err := c.r.ReadByte()
		switch {
		case err == io.EOF, errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, syscall.ECONNRESET):
			return nil
		case err != nil:
			return c.lost(err)
		case b != '\r' && b != '\n' && b != 0:
			return fmt.Errorf("unexpected answer: %.100q behind a clean one", b)
		}
	}
	return errors.New("unexpected answer: lines without an end")
}

// lost is the end of the connection: without a reply, or in the middle of one.
func (c *conn) lost(err error) error {
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	hangup := errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
	if hangup && !c.heard {
		return fmt.Errorf("%w: %w", backends.ErrNoReply, err)
	}
	return fmt.Errorf("connection lost: %w", err)
}

// scanPath is [file.Path] of the content. The protocol has no escapes.
func scanPath(c backends.Content) (string, error) {
	path, err := file.Path(c)
	if err != nil {
		return "", err
	}
	if strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", file.Ours("path of the content", fmt.Errorf("%q is not a name of ASCII characters without blanks", path))
	}
	return path, nil
}
