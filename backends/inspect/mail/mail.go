// Package mail reads mail messages (RFC 5322) and mailboxes (RFC 4155) with their MIME
// parts (RFC 2045, 2046), and text that contains OpenPGP armor, PEM or uuencoded
// attachments. A message is encrypted if its type is multipart/encrypted (RFC 1847), or
// application/pkcs7-mime with an S/MIME type of enveloped-data (RFC 8551); otherwise the
// parts are inspected.
//
// It does not use net/mail and mime/multipart, because they reject messages that mail
// programs display: with two types, broken parameters, or endless lines.
package mail

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"

	"polyclam/backends/inspect/internal/transfer"
	"polyclam/backends/inspect/internal/walk"
)

// Detector recognises mail. It reads a message once, line by line, and keeps three fields
// of each header. Libraries keep all fields, at a hundred bytes for every three bytes of
// input.
type Detector struct{}

// maxMultiparts is how deep the parts of a message may nest.
const maxMultiparts = 32

// Match implements [walk.Detector].
func (Detector) Match(w *walk.Walk, s *walk.Section) bool { return isMail(w, s) }

// Look implements [walk.Detector].
func (Detector) Look(ctx context.Context, w *walk.Walk, s *walk.Section) (*walk.Sighting, error) {
	m := newMessage(ctx, w, s, io.NewSectionReader(s, 0, s.Size))
	m.mailbox = bytes.HasPrefix(s.Head, []byte("From "))
	for {
		seen := m.entity(s.Depth)
		if seen != nil || w.Stopped() != nil {
			return seen, w.Stopped()
		}
		m.skip()
		if m.ended != nextMail || w.Enter() != nil {
			return nil, w.Stopped()
		}
		m.ended, m.boundaries = noBoundary, nil
	}
}

// newMessage prepares to read the message in s from from.
func newMessage(ctx context.Context, w *walk.Walk, s *walk.Section, from io.Reader) *message {
	return &message{ctx: ctx, walk: w, section: s, ended: noBoundary, lines: bufio.NewReaderSize(from, 8<<10)}
}

// message is a mail message being read.
type message struct {
	ctx        context.Context // lives as long as the scan
	walk       *walk.Walk
	section    *walk.Section
	lines      *bufio.Reader
	read       int64      // bytes read so far
	middle     bool       // the next line continues a long one
	boundaries [][]string // with their dashes, outermost multipart first
	ended      int        // index of the boundary that ended a body, or a constant below
	final      bool       // that was the closing boundary
	mailbox    bool       // more than one mail may follow
	blank      bool       // the previous line was empty
}

const (
	noBoundary = -1
	endOfMail  = -2
	nextMail   = -3
)

// line returns the next line or part of a long one, valid until the next call.
func (m *message) line() ([]byte, error) {
	line, err := m.lines.ReadSlice('\n')
	m.read += int64(len(line))
	if errors.Is(err, bufio.ErrBufferFull) {
		err = nil
	}
	if err != nil && len(line) > 0 && m.walk.Stopped() == nil {
		return line, nil // the last line has no line end
	}
	return line, err
}

// body returns the next line of a body, or io.EOF at a boundary.
func (m *message) body() ([]byte, error) {
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
	if begins && m.mailbox && m.blank && isFromLine(line) {
		m.ended = nextMail
		return nil, io.EOF
	}
	m.blank = begins && len(bytes.TrimRight(line, "\r\n")) == 0
	return line, nil
}

// isFromLine reports whether a line begins a message in a mailbox: "From ", an address,
// and a date with a time of day (RFC 4155).
func isFromLine(line []byte) bool {
	rest, ok := bytes.CutPrefix(line, []byte("From "))
	if !ok {
		return false
	}
	_, date, ok := bytes.Cut(bytes.TrimLeft(rest, " "), []byte(" "))
	i := bytes.IndexByte(date, ':')
	return ok && i > 0 && i+2 < len(date) && isDigit(date[i-1]) && isDigit(date[i+1]) && isDigit(date[i+2])
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// boundary reports whether a line is one of the boundaries, checking the innermost first.
func (m *message) boundary(line []byte) bool {
	line = bytes.TrimRight(line, " \t\r\n")
	for i := len(m.boundaries) - 1; i >= 0; i-- {
		for _, b := range m.boundaries[i] {
			rest, ok := bytes.CutPrefix(line, []byte(b))
			if ok && (len(rest) == 0 || string(rest) == "--") {
				m.ended, m.final = i, len(rest) > 0
				return true
			}
		}
	}
	return false
}

// skip reads the rest of a body and reports whether it was non-empty.
func (m *message) skip() (text bool) {
	for {
		line, err := m.body()
		if err != nil {
			return text
		}
		text = text || len(bytes.TrimSpace(line)) > 0
	}
}

// entity reads a header and the body it describes.
func (m *message) entity(depth int) *walk.Sighting {
	h := m.header()
	if seen := h.encrypted(); seen != nil {
		return seen
	}
	switch {
	case len(h.boundaries) > 0:
		return m.multipart(h, depth)
	case h.kind == "message/partial":
		m.walk.Miss(walk.UnscannedSplit, "mail: other parts of it are in other mails")
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
func (m *message) multipart(h header, depth int) *walk.Sighting {
	level := len(m.boundaries)
	if m.walk.Enter() != nil {
		return nil
	}
	if level >= maxMultiparts {
		m.walk.Note("MaxDepth", maxMultiparts)
		return nil
	}
	var boundaries []string
	for _, b := range h.boundaries {
		boundaries = append(boundaries, "--"+b)
	}
	m.boundaries = append(m.boundaries, boundaries)
	defer func() { m.boundaries = m.boundaries[:level] }()
	if text := m.skip(); text && (m.ended != level || m.final) {
		finding := walk.UnscannedBroken
		if m.ended == endOfMail {
			finding = walk.UnscannedCutOff
		}
		m.walk.Miss(finding, "mail: a multipart has none of its boundaries")
	}
	for m.ended == level && !m.final {
		m.ended = noBoundary
		if seen := m.entity(depth); seen != nil || m.walk.Stopped() != nil {
			return seen
		}
		m.skip()
	}
	if m.ended == level {
		// Skip the epilogue, up to an outer boundary.
		m.boundaries = m.boundaries[:level]
		m.ended = noBoundary
		m.skip()
	}
	return nil
}

// leaf inspects a part that is not a multipart.
func (m *message) leaf(h header, depth int) *walk.Sighting {
	u := m.walk.Decoder(m.ctx, &transfer.Lines{Next: m.body, Decode: h.decoder()})
	// Text is not kept in memory: most messages consist of nothing else.
	u.Attached = func(head []byte) bool { return !h.isText() || !looksLikeText(head) }
	parent := &walk.Section{Depth: depth, ReaderAt: m.section, Size: m.section.Size}
	inner, err := m.walk.Unpacked(parent, u, -1)
	if m.walk.Stopped() != nil {
		return nil
	}
	if err == nil && inner != nil {
		seen := m.walk.Look(m.ctx, inner)
		if seen == nil && inner.ReaderAt != nil && h.isMessage() && !isMail(m.walk, inner) {
			seen = newMessage(m.ctx, m.walk, inner, io.NewSectionReader(inner, 0, inner.Size)).entity(inner.Depth)
		}
		if seen == nil && inner.ReaderAt != nil && (h.isText() || looksLikeText(inner.Head)) {
			seen = newText(m.ctx, m.walk, inner, inner.Head).scan(io.NewSectionReader(inner, 0, inner.Size))
		}
		return seen.Within("mail", h.name)
	}
	head := m.walk.FirstBytes(u)
	if !h.isText() && !looksLikeText(head) {
		return nil
	}
	return newText(m.ctx, m.walk, parent, head).scan(io.MultiReader(bytes.NewReader(head), u)).Within("mail", h.name)
}
