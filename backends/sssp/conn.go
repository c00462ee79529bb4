package sssp

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"polyclam/backends"
	"polyclam/backends/internal/file"
)

// The requests.
const (
	requestVersion = "SSSP/1.0"
	requestServer  = "QUERY SERVER"
	requestEngine  = "QUERY ENGINE"
	requestOptions = "OPTIONS"
	requestData    = "SCANDATA"
	requestFile    = "SCANFILE"
)

const (
	greeting = "OK SSSP/1.0"
	maxLine  = 64 << 10
)

// conn is a connection to savdid. It is used by one goroutine at a time, but for
// close.
type conn struct {
	nc      net.Conn
	r       *bufio.Reader
	heard   bool   // a byte has come since the last request
	token   string // of the last ACC
	spoiled bool   // not to be used again

	maxData int64    // bytes that SCANDATA may send; 0: no limit is known
	methods []string // that the server permits; empty: it did not tell
}

func newConn(nc net.Conn) *conn { return &conn{nc: nc, r: bufio.NewReader(nc)} }

func (c *conn) close() { c.nc.Close() }

// bye ends a connection that is in order. It does not wait for the answer.
func (c *conn) bye() {
	c.nc.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
	io.WriteString(c.nc, "BYE\r\n")
	c.close()
}

// inOrder reports whether the connection is at the end of an answer, and nothing
// else has happened.
func (c *conn) inOrder() bool { return !c.spoiled && c.r.Buffered() == 0 }

// quiet reports whether the server has neither closed the connection nor said
// anything that nobody asked for.
func (c *conn) quiet() bool {
	sc, ok := c.nc.(syscall.Conn)
	if !ok || c.r.Buffered() > 0 {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	idle := false
	err = raw.Read(func(fd uintptr) bool {
		// The descriptor is non-blocking. A byte that this takes away was not
		// asked for, and the connection is given up for it.
		_, err := syscall.Read(int(fd), make([]byte, 1))
		idle = err == syscall.EAGAIN
		return true
	})
	return err == nil && idle
}

// send sends a request.
func (c *conn) send(text string) error {
	c.heard = false
	if _, err := io.WriteString(c.nc, text); err != nil {
		return c.lost(err)
	}
	return nil
}

// line reads a line without its end, CRLF or LF.
func (c *conn) line() (string, error) {
	var line []byte
	for {
		part, err := c.r.ReadSlice('\n')
		c.heard = c.heard || len(part) > 0
		if len(line)+len(part) > maxLine {
			return "", fmt.Errorf("a line of more than %d bytes: %.100q", maxLine, part)
		}
		line = append(line, part...)
		if err == nil {
			line = line[:len(line)-1]
			if n := len(line); n > 0 && line[n-1] == '\r' {
				line = line[:n-1]
			}
			return string(line), nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return "", c.lost(err)
		}
	}
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

func (c *conn) greeting() error {
	line, err := c.line()
	if err != nil {
		return fmt.Errorf("greeting: %w", err)
	}
	if line != greeting {
		return fmt.Errorf("greeting %.200q, want %q: is it a savdid, and the channel of type SSSP?", line, greeting)
	}
	return nil
}

// accepted waits for the ACC of a request. Its token, "<session>/<number>", is another
// one for each request: the same again is a late answer to an earlier one.
func (c *conn) accepted(request string) error {
	line, err := c.line()
	if err != nil {
		return fmt.Errorf("%s: %w", request, err)
	}
	if r, ok := parseRejection(request, line); ok {
		c.spoiled = true
		return r
	}
	token, ok := strings.CutPrefix(line, "ACC ")
	if !ok || token == "" || token == c.token {
		return unexpected(request, line)
	}
	c.token = token
	return nil
}

// handshake makes the connection ready for a scan.
func (c *conn) handshake(options []string) error {
	if err := c.send(requestVersion + "\r\n"); err != nil {
		return fmt.Errorf("%s: %w", requestVersion, err)
	}
	if err := c.accepted(requestVersion); err != nil {
		return failure(err)
	}
	var rejected *rejection
	if err := c.query(requestServer, c.learn); errors.As(err, &rejected) {
		// It does not tell its limits, and takes the next request all the same.
		c.spoiled = false
	} else if err != nil {
		return err
	}
	if len(options) == 0 {
		return nil
	}
	return failure(c.setOptions(options))
}

// failure turns a rejection into what it amounts to, outside of a scan.
func failure(err error) error {
	var r *rejection
	if !errors.As(err, &r) {
		return err
	}
	return &backends.Failure{Category: backends.SWErr, Code: r.code, Text: r.Error()}
}

// query sends a request that is answered by lines "key: value". Other lines, and
// keys that nobody wants, say nothing about a scan.
func (c *conn) query(request string, learn func(key, value string) error) error {
	if err := c.send(request + "\r\n"); err != nil {
		return fmt.Errorf("%s: %w", request, err)
	}
	if err := c.accepted(request); err != nil {
		return err
	}
	for range 1000 {
		line, err := c.line()
		if err != nil {
			return fmt.Errorf("%s: %w", request, err)
		}
		if line == "" {
			return nil
		}
		if key, value, ok := strings.Cut(line, ": "); ok {
			if err := learn(key, value); err != nil {
				return err
			}
		}
	}
	return fmt.Errorf("%s: %w", request, errTooLong)
}

// learn keeps what QUERY SERVER tells about scans.
func (c *conn) learn(key, value string) error {
	switch key {
	case "maxscandata":
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n < 0 {
			return unexpected(requestServer, key+": "+value)
		}
		c.maxData = n
	case "method":
		// Of those that nobody asks for one is enough to know that the list is there.
		if value == requestData || value == requestFile || len(c.methods) == 0 {
			c.methods = append(c.methods, value)
		}
	}
	return nil
}

// setOptions sends the OPTIONS block in one piece.
func (c *conn) setOptions(options []string) error {
	request := requestOptions + "\r\n" + strings.Join(options, "\r\n") + "\r\n\r\n"
	if err := c.send(request); err != nil {
		return fmt.Errorf("%s: %w", requestOptions, err)
	}
	if err := c.accepted(requestOptions); err != nil {
		return err
	}
	a, err := readAnswer(requestOptions, c.line)
	if err != nil {
		return fmt.Errorf("%s: %w", requestOptions, err)
	}
	if r, err := a.amounts(); err != nil || r.Category != backends.OK {
		return fmt.Errorf("%s: %.200q, %w", requestOptions, a.worst.line, errors.Join(err, errors.New(hintOptions)))
	}
	return nil
}

// permits reports an error if the server has said that it does not take a request.
func (c *conn) permits(request string) error {
	if len(c.methods) == 0 || slices.Contains(c.methods, request) {
		return nil
	}
	return &backends.Failure{Category: backends.SWErr, Code: backends.NoCode, Text: permission[request]}
}

// sendContent sends the content, exactly size bytes of it. If the content cannot be
// read the connection is closed, so that savdid does not take a part for the whole.
func (c *conn) sendContent(content io.ReaderAt, size int64, buffers *sync.Pool) error {
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	for off := int64(0); off < size; {
		p := (*buffer)[:min(int64(len(*buffer)), size-off)]
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
