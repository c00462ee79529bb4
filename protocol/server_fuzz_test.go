package protocol

import (
	"bytes"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

// pieceConn is a client that sends data in pieces whose sizes it takes from a list, over
// and over. An empty list means one piece.
type pieceConn struct {
	net.Conn
	data  []byte
	sizes []byte
	turn  int
	taken int
}

func (c *pieceConn) Read(p []byte) (int, error) {
	if len(c.data) == 0 {
		return 0, io.EOF
	}
	n := min(len(p), len(c.data))
	if len(c.sizes) > 0 {
		n = min(n, 1+int(c.sizes[c.turn%len(c.sizes)]))
		c.turn++
	}
	copy(p, c.data[:n])
	c.data = c.data[n:]
	c.taken += n
	return n, nil
}

func (*pieceConn) SetReadDeadline(time.Time) error { return nil }
func (*pieceConn) Close() error                    { return nil }

// plainCommands is a simple parser of commands with a prefix. It stops at the first
// command without, and reports whether there was one.
func plainCommands(data []byte) (want []Command, err error, bare bool) {
	for len(data) > 0 {
		cmd := Command{Prefixed: true}
		switch data[0] {
		case 'z':
		case 'n':
			cmd.Term = '\n'
		default:
			return want, nil, true
		}
		line, rest, ok := strings.Cut(string(data), string(cmd.Term))
		switch {
		case ok && len(line)+1 > maxCommand, !ok && len(data) >= maxCommand:
			return want, ErrCommandTooLong, false
		case !ok:
			return want, io.EOF, false
		}
		line = line[1:]
		if cmd.Term == '\n' {
			line, _, _ = strings.Cut(line, "\x00")
			line = strings.TrimRight(line, "\r")
		}
		cmd.Verb, cmd.Arg = plainVerb(line)
		want = append(want, cmd)
		data = []byte(rest)
	}
	return want, io.EOF, false
}

// plainVerb finds the longest verb that the line begins with.
func plainVerb(line string) (Verb, string) {
	verbs := verbs()
	slices.SortFunc(verbs, func(a, b Verb) int { return len(b) - len(a) })
	for _, verb := range verbs {
		rest, ok := strings.CutPrefix(line, string(verb))
		if !ok {
			continue
		}
		path := strings.HasSuffix(string(verb), "SCAN")
		switch {
		case verb == VerbXTag:
			if id, ok := strings.CutPrefix(rest, " "); ok {
				return verb, id
			}
			return "", ""
		case path && rest != "":
			return verb, rest[1:]
		case !path && rest == "":
			return verb, ""
		}
		return "", ""
	}
	return "", ""
}

func FuzzReadCommand(f *testing.F) {
	f.Add([]byte("zPING\x00nSCAN /a b\r\nzSCAN /a\nb\x00"), []byte{0, 2})
	f.Add([]byte("zPING\x00PING\nPING\n"), []byte{})
	f.Add([]byte("nPI\x00NG\nz\x00n\nzSCANNER\x00"), []byte{0})
	f.Add([]byte("zXTAG queue-1\x00zPING\x00nXTAG a b\r\nzXTAG\x00zXTAGx\x00zXTAG \x00"), []byte{0, 4})
	f.Add([]byte("z"+strings.Repeat("A", maxCommand)), []byte{255, 7})
	f.Fuzz(func(t *testing.T, data, sizes []byte) {
		nc := &pieceConn{data: data, sizes: sizes}
		c := NewConn(nc)
		var got []Command
		for {
			cmd, err := c.ReadCommand()
			if err != nil {
				checkPlain(t, data, got, err)
				break
			}
			got = append(got, cmd)
			if c.Buffered() < 0 || c.Buffered() > nc.taken || len(got) > nc.taken {
				t.Fatalf("%d commands and %d bytes came of %d", len(got), c.Buffered(), nc.taken)
			}
			if !bytes.Contains(data, []byte(string(cmd.Verb))) || !bytes.Contains(data, []byte(cmd.Arg)) {
				t.Fatalf("%+v was never sent", cmd)
			}
		}
		c.Close()
		if c.seg != nil || c.held != "" {
			t.Fatal("a buffer is held")
		}
	})
}

// checkPlain compares what was read with plainCommands.
func checkPlain(t *testing.T, data []byte, got []Command, err error) {
	t.Helper()
	want, wantErr, bare := plainCommands(data)
	if bare {
		got = got[:min(len(got), len(want))]
	} else if !errors.Is(err, wantErr) {
		t.Fatalf("ended with %v, want %v", err, wantErr)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("read %+v, want %+v", got, want)
	}
}

// plainStream is a simple decoder of streams.
func plainStream(wire []byte, limit int64) (content, rest []byte, err error) {
	for {
		if len(wire) < 4 {
			return content, nil, io.ErrUnexpectedEOF
		}
		n := int64(wire[0])<<24 + int64(wire[1])<<16 + int64(wire[2])<<8 + int64(wire[3])
		wire = wire[4:]
		switch {
		case n == 0:
			return content, wire, nil
		case limit > 0 && int64(len(content))+n > limit:
			return content, wire, ErrStreamLimit
		case n > int64(len(wire)):
			return append(content, wire...), nil, io.ErrUnexpectedEOF
		}
		content = append(content, wire[:n]...)
		wire = wire[n:]
	}
}

func FuzzStream(f *testing.F) {
	f.Add([]byte(chunks("abc", "d", "")+"zPING\x00"), []byte{0, 2}, uint32(0))
	f.Add([]byte(chunks("abc", "de", "")), []byte{}, uint32(5))
	f.Add([]byte(chunks("abc", "def", "")), []byte{3}, uint32(5))
	f.Add([]byte("\xff\xff\xff\xffabc"), []byte{4}, uint32(0))
	f.Add([]byte(chunks(kib, kib, kib)+"\x00"), []byte{255, 0}, uint32(0))
	f.Fuzz(func(t *testing.T, wire, sizes []byte, limit uint32) {
		nc := &pieceConn{data: wire, sizes: sizes}
		c := NewConn(nc)
		s := c.Stream(int64(limit), hang)
		var got bytes.Buffer
		n, err := s.WriteTo(&got)
		content, rest, wantErr := plainStream(wire, int64(limit))
		if err != wantErr || n != int64(got.Len()) || !bytes.Equal(got.Bytes(), content) {
			t.Fatalf("read %q, %d, %v, want %q, %v", got.Bytes(), n, err, content, wantErr)
		}
		left := slices.Concat(c.unread(), nc.data)
		if !bytes.Equal(left, rest) {
			t.Fatalf("left %q, want %q", left, rest)
		}
		if err == ErrStreamLimit {
			checkDrain(t, s, nc, wire)
		}
		c.Close()
		if c.seg != nil {
			t.Fatal("a segment is held")
		}
	})
}

// checkDrain checks that Drain ends where the stream without a limit ends.
func checkDrain(t *testing.T, s *Stream, nc *pieceConn, wire []byte) {
	t.Helper()
	_, rest, err := plainStream(wire, 0)
	if got := s.Drain(hang, hang, 1<<40); got != (err == nil) {
		t.Fatalf("Drain reports %t, the stream ends with %v", got, err)
	}
	if left := slices.Concat(s.c.unread(), nc.data); err == nil && !bytes.Equal(left, rest) {
		t.Fatalf("Drain left %q, want %q", left, rest)
	}
}

// unread returns what was received and not consumed.
func (c *Conn) unread() []byte {
	if c.seg == nil {
		return []byte(c.held)
	}
	return c.seg.b[c.r:c.w]
}
