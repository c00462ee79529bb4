// Package mail knows mails (RFC 5322) with their MIME parts, and texts with
// attachments of older kinds: armor, PEM, uuencode.
package mail

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"strings"

	"polyclam/backends/inspect/internal/transfer"
	"polyclam/backends/inspect/internal/walk"
)

// Detector knows mails (RFC 5322) and MIME (RFC 2045, 2046). It goes through
// a mail once, line by line, and keeps three fields of each header: libraries
// keep them all, at a hundred bytes for each of three.
type Detector struct{}

// maxMultiparts is how deep parts of one mail may lie within each other.
const maxMultiparts = 32

// Match implements [walk.Detector].
func (Detector) Match(w *walk.Walk, s *walk.Section) bool { return looksLikeMail(s.Head, s.Depth) }

// Look implements [walk.Detector].
func (Detector) Look(ctx context.Context, w *walk.Walk, s *walk.Section) (*walk.Sighting, error) {
	m := &mail{ctx: ctx, walk: w, section: s, ended: noBoundary}
	m.lines = bufio.NewReaderSize(io.NewSectionReader(s, 0, s.Size), 8<<10)
	return m.entity(s.Depth), w.Stopped()
}

// mail is one being read.
type mail struct {
	ctx        context.Context // see meter
	walk       *walk.Walk
	section    *walk.Section
	lines      *bufio.Reader
	read       int64    // bytes of lines
	middle     bool     // the next line is the rest of a long one
	boundaries []string // with the dashes, the outermost first
	ended      int      // the boundary that ended a body, or one of these
	final      bool     // it was the last of its kind
}

const (
	noBoundary = -1
	endOfMail  = -2
)

// line returns the next line, or a part of a long one. The line is gone with the
// next call.
func (m *mail) line() ([]byte, error) {
	line, err := m.lines.ReadSlice('\n')
	m.read += int64(len(line))
	if errors.Is(err, bufio.ErrBufferFull) {
		err = nil
	}
	if err != nil && len(line) > 0 && m.walk.Stopped() == nil {
		return line, nil // the last, without an end
	}
	return line, err
}

// body returns the next line of a body, and io.EOF at a boundary.
func (m *mail) body() ([]byte, error) {
	if m.ended != noBoundary {
		return nil, io.EOF
	}
	begins := !m.middle
	line, err := m.line()
	if err != nil {
		m.ended = endOfMail
		return nil, io.EOF
	}
	m.middle = !bytes.HasSuffix(line, []byte("\n"))
	if begins && bytes.HasPrefix(line, []byte("--")) && m.boundary(line) {
		return nil, io.EOF
	}
	return line, nil
}

// boundary reports whether a line is one of the boundaries, the innermost first.
func (m *mail) boundary(line []byte) bool {
	line = bytes.TrimRight(line, " \t\r\n")
	for i := len(m.boundaries) - 1; i >= 0; i-- {
		rest, ok := bytes.CutPrefix(line, []byte(m.boundaries[i]))
		if ok && (len(rest) == 0 || string(rest) == "--") {
			m.ended, m.final = i, len(rest) > 0
			return true
		}
	}
	return false
}

// skip reads the rest of a body.
func (m *mail) skip() {
	for {
		if _, err := m.body(); err != nil {
			return
		}
	}
}

// entity reads a header and what it is for, at a depth of containers.
func (m *mail) entity(depth int) *walk.Sighting {
	h := m.header()
	if seen := h.encrypted(); seen != nil {
		return seen
	}
	switch {
	case h.boundary() != "":
		return m.multipart(h, depth)
	case h.isMessage() && h.encoding == "":
		if depth+1 >= m.walk.Limits.MaxDepth {
			m.walk.Note("MaxDepth", m.walk.Limits.MaxDepth)
			return nil
		}
		if m.walk.Enter() != nil {
			return nil
		}
		return m.entity(depth+1).Within("mail", h.name)
	}
	return m.leaf(h, depth)
}

// multipart reads the parts of a body.
func (m *mail) multipart(h mailHeader, depth int) *walk.Sighting {
	level := len(m.boundaries)
	if m.walk.Enter() != nil {
		return nil
	}
	if level >= maxMultiparts {
		m.walk.Note("MaxDepth", maxMultiparts)
		return nil
	}
	m.boundaries = append(m.boundaries, "--"+h.boundary())
	defer func() { m.boundaries = m.boundaries[:level] }()
	m.skip()
	for m.ended == level && !m.final {
		m.ended = noBoundary
		if seen := m.entity(depth); seen != nil || m.walk.Stopped() != nil {
			return seen
		}
		m.skip()
	}
	if m.ended == level {
		// What follows is for nobody, until a boundary further out.
		m.boundaries = m.boundaries[:level]
		m.ended = noBoundary
		m.skip()
	}
	return nil
}

// leaf looks into a part that has none itself.
func (m *mail) leaf(h mailHeader, depth int) *walk.Sighting {
	u := m.walk.Decoder(m.ctx, &transfer.Lines{Next: m.body, Decode: h.decoder()})
	parent := &walk.Section{Depth: depth, ReaderAt: m.section, Size: m.section.Size}
	inner, err := m.walk.Unpacked(parent, u, -1)
	if m.walk.Stopped() != nil {
		return nil
	}
	if err == nil && inner != nil {
		return m.walk.Look(m.ctx, inner).Within("mail", h.name)
	}
	if !h.isText() {
		return nil
	}
	head := m.walk.Begun(u)
	t := &textReader{ctx: m.ctx, walk: m.walk, section: parent}
	return t.scan(io.MultiReader(bytes.NewReader(head), u)).Within("mail", h.name)
}

// mailFields are those that mails have and other texts seldom.
var mailFields = []string{
	"from", "to", "cc", "bcc", "subject", "date", "received", "return-path", "message-id", "mime-version",
	"content-type", "content-transfer-encoding", "content-disposition", "content-id", "delivered-to", "reply-to",
	"sender", "dkim-signature", "authentication-results", "received-spf", "references", "in-reply-to", "x-mailer",
	"user-agent", "list-id", "resent-from", "x-originating-ip", "thread-index", "x-spam-status",
}

// looksLikeMail wants a header that begins at once, with fields of mails: one,
// or two where a mistake costs unpacking.
func looksLikeMail(head []byte, depth int) bool {
	known, lines := 0, 0
	for rest := head; len(rest) > 0; lines++ {
		line, after, whole := bytes.Cut(rest, []byte("\n"))
		rest = after
		line = bytes.TrimSuffix(line, []byte("\r"))
		if len(line) == 0 || !whole {
			break
		}
		if line[0] == ' ' || line[0] == '\t' {
			if lines == 0 {
				return false
			}
			continue
		}
		if lines == 0 && (bytes.HasPrefix(line, []byte("From ")) || bytes.HasPrefix(line, []byte(">From "))) {
			continue // of a mailbox
		}
		name, _, ok := bytes.Cut(line, []byte(":"))
		name = bytes.TrimRight(name, " \t")
		if !ok || len(name) == 0 || bytes.ContainsAny(name, " \t\x00<>()[]{}\"") {
			break
		}
		for _, f := range mailFields {
			if strings.EqualFold(f, string(name)) {
				known++
				break
			}
		}
	}
	return known >= 2 || known == 1 && depth == 0
}
