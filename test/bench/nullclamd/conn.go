package nullclamd

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"strconv"

	"golang.org/x/sys/unix"

	"polyclam/backends/testfile"
)

// place is a client's position in the dialogue.
type place int

const (
	inCommand place = iota
	inDescriptor
	inHeader
	inData
)

// version names no database, so that a proxy caches no results: the bench sends the same
// object many times.
const version = "ClamAV 1.4.6"

// conn is one client.
type conn struct {
	fd      int
	server  *Server
	file    int // received and not yet used
	holds   bool
	place   place
	session bool
	id      int
	held    []byte // of an unfinished command
	head    [4]byte
	headLen int
	left    int64 // bytes left of the chunk
	begun   bool  // the object has begun
	bad     bool  // it is the test file
	reply   [64]byte
}

// eicarBegin is enough of the EICAR test file to recognise it, and too little for a
// scanner to detect this program.
var eicarBegin = testfile.EICAR()[:11]

// eicarInMail is the same in base64. It is looked for in the first mailHead bytes of an
// object.
var eicarInMail = []byte(base64.StdEncoding.EncodeToString(testfile.EICAR()[:12]))

const mailHead = 1 << 10

// isBad reports whether an object that begins with p is the test file, or a mail with it.
func isBad(p []byte) bool {
	return bytes.HasPrefix(p, eicarBegin) || bytes.Contains(p[:min(len(p), mailHead)], eicarInMail)
}

// feed takes p and answers what is complete. It reads files into scratch. It reports
// whether the connection stays open.
func (c *conn) feed(p, scratch []byte) bool {
	for len(p) > 0 {
		more := true
		switch c.place {
		case inCommand:
			p, more = c.command(p)
		case inDescriptor:
			p = p[1:]
			more = c.fildes(scratch)
		case inHeader:
			p, more = c.header(p)
		case inData:
			p = c.data(p)
		}
		if !more {
			return false
		}
	}
	return true
}

// command takes one command, which begins with z or n.
func (c *conn) command(p []byte) ([]byte, bool) {
	first := p[0]
	if len(c.held) > 0 {
		first = c.held[0]
	}
	end := bytes.IndexByte(p, terminator(first))
	if end < 0 {
		c.held = append(c.held, p...)
		return nil, len(c.held) < 4096
	}
	line := p[:end]
	if len(c.held) > 0 {
		line = append(c.held, line...)
		c.held = nil
	}
	return p[end+1:], c.begin(line)
}

func terminator(prefix byte) byte {
	if prefix == 'n' {
		return '\n'
	}
	return 0
}

// begin starts to answer a command.
func (c *conn) begin(line []byte) bool {
	if len(line) == 0 {
		return false
	}
	c.id++
	switch string(line[1:]) {
	case "IDSESSION":
		c.session, c.id = true, 0
		return true
	case "INSTREAM":
		c.place, c.headLen, c.begun, c.bad = inHeader, 0, false, false
		return true
	case "FILDES":
		c.place = inDescriptor
		return true
	case "PING":
		return c.answer("PONG")
	case "VERSION":
		return c.answer(version)
	}
	return false
}

func (c *conn) header(p []byte) ([]byte, bool) {
	n := copy(c.head[c.headLen:], p)
	c.headLen += n
	if c.headLen < len(c.head) {
		return p[n:], true
	}
	c.headLen = 0
	c.left = int64(binary.BigEndian.Uint32(c.head[:]))
	if c.left > 0 {
		c.place = inData
		return p[n:], true
	}
	c.place = inCommand
	return p[n:], c.verdict("stream", c.bad)
}

func (c *conn) data(p []byte) []byte {
	if !c.begun {
		c.begun, c.bad = true, isBad(p[:min(int64(len(p)), c.left)])
	}
	n := min(int64(len(p)), c.left)
	c.left -= n
	if c.left == 0 {
		c.place = inHeader
	}
	return p[n:]
}

// fildes reads the file of the descriptor from its beginning.
func (c *conn) fildes(buf []byte) bool {
	c.place = inCommand
	if !c.holds {
		return false
	}
	defer c.drop()
	bad := false
	for off := int64(0); ; {
		n, err := unix.Pread(c.file, buf, off)
		if err != nil {
			return false
		}
		if off == 0 {
			bad = isBad(buf[:n])
		}
		off += int64(n)
		if n < len(buf) {
			return c.verdict("fd[10]", bad)
		}
	}
}

// descriptor keeps the last descriptor in the ancillary data.
func (c *conn) descriptor(oob []byte) {
	for len(oob) > 0 {
		header, data, rest, err := unix.ParseOneSocketControlMessage(oob)
		if err != nil {
			return
		}
		oob = rest
		if header.Level != unix.SOL_SOCKET || header.Type != unix.SCM_RIGHTS {
			continue
		}
		for ; len(data) >= 4; data = data[4:] {
			c.drop()
			c.file, c.holds = int(binary.NativeEndian.Uint32(data)), true
		}
	}
}

// drop closes a descriptor that no command has used.
func (c *conn) drop() {
	if c.holds {
		unix.Close(c.file)
		c.holds = false
	}
}

func (c *conn) verdict(object string, bad bool) bool {
	text := ": OK"
	if bad {
		text = ": Eicar-Test-Signature FOUND"
	}
	if c.server != nil && c.server.Delay > 0 {
		c.server.later(c, object, text)
		return true
	}
	return c.answer(object, text)
}

// answer sends one record. Outside a session it is the last on the connection.
func (c *conn) answer(parts ...string) bool {
	b := c.reply[:0]
	if c.session {
		b = strconv.AppendInt(b, int64(c.id), 10)
		b = append(b, ": "...)
	}
	for _, p := range parts {
		b = append(b, p...)
	}
	b = append(b, 0)
	_, err := unix.Write(c.fd, b)
	return err == nil && c.session
}
