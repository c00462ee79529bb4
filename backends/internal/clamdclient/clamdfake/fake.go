// Package clamdfake is a misbehaving server for tests. It speaks clamd's protocol and
// answers with raw text, too early, or twice.
package clamdfake

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/test/testkit"
)

// Object is replaced in an answer by the name of the object: stream, or its path.
const Object = "OBJECT"

// Server describes how the server behaves. In its answers, including Odd, newlines
// separate lines. Each line is sent with a NUL at its end and, in a session, with the
// number of the request.
type Server struct {
	backendtest.Misbehaviour
	// Network is "unix" (if empty) or "tcp".
	Network string
	// Say returns the answer for an object of a category.
	Say func(backends.Category) string
}

// Start starts the server and returns its address.
func (s Server) Start(t testing.TB) string {
	t.Helper()
	if s.Network == "" {
		s.Network = "unix"
	}
	return testkit.Serve(t, s.Network, s.serve)
}

// connection is one connection to the server.
type connection struct {
	Server
	net.Conn
	r    *bufio.Reader
	id   int // of the request; 0 outside a session
	late sync.WaitGroup
}

func (s Server) serve(nc net.Conn) {
	c := &connection{Server: s, Conn: nc, r: bufio.NewReader(nc)}
	defer c.late.Wait()
	for session := false; ; {
		command, err := c.r.ReadString(0)
		if err != nil || command == "zEND\x00" {
			return
		}
		if command == "zIDSESSION\x00" {
			session = true
			continue
		}
		if session {
			c.id++
		}
		if err := c.scan(strings.TrimSuffix(command, "\x00")); err != nil || !session {
			return
		}
	}
}

// scan answers one command.
func (c *connection) scan(command string) error {
	verb, path, _ := strings.Cut(command, " ")
	switch verb {
	case "zINSTREAM", "zXINSTREAM":
		return c.scanStream()
	case "zSCAN", "zALLMATCHSCAN":
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return c.answer(path, data)
	}
	c.send("UNKNOWN COMMAND")
	return nil
}

// earlyHead is the number of bytes that an early answer is about.
const earlyHead = 1 << 10

func (c *connection) scanStream() error {
	object := chunks{r: c.r}
	var data bytes.Buffer
	_, err := io.CopyN(&data, &object, earlyHead+1)
	if err == nil && c.Early {
		if err := c.answer("stream", data.Bytes()[:earlyHead]); err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, &object)
		return err
	}
	if err == nil {
		_, err = io.Copy(&data, &object)
	}
	if err != nil && err != io.EOF {
		return err
	}
	return c.answer("stream", data.Bytes())
}

// answer sends the answer for data. With Repeat it sends the answer again later.
func (c *connection) answer(object string, data []byte) error {
	text := c.Say(backendtest.Marked(data))
	if c.Odd != "" && bytes.Contains(data, []byte(backendtest.MarkOdd)) {
		text = c.Odd
	}
	reply := c.reply(strings.ReplaceAll(text, Object, object))
	if c.Repeat > 0 {
		c.late.Go(func() {
			time.Sleep(c.Repeat)
			io.WriteString(c, reply)
		})
	}
	_, err := io.WriteString(c, reply)
	return err
}

func (c *connection) send(text string) { io.WriteString(c, c.reply(text)) }

func (c *connection) reply(text string) string {
	var b strings.Builder
	for line := range strings.SplitSeq(text, "\n") {
		if c.id > 0 {
			fmt.Fprintf(&b, "%d: ", c.id)
		}
		b.WriteString(line + "\x00")
	}
	return b.String()
}

// chunks reads an object that was sent in chunks.
type chunks struct {
	r    io.Reader
	left uint32 // of the chunk
	done bool
}

// Read implements [io.Reader].
func (c *chunks) Read(p []byte) (int, error) {
	if c.left == 0 && !c.done {
		if err := binary.Read(c.r, binary.BigEndian, &c.left); err != nil {
			return 0, io.ErrUnexpectedEOF
		}
		c.done = c.left == 0
	}
	if c.done {
		return 0, io.EOF
	}
	n, err := io.ReadFull(c.r, p[:min(uint32(len(p)), c.left)])
	c.left -= uint32(n)
	if err != nil {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}
