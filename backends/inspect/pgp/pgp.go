// Package pgp recognises encrypted OpenPGP messages (RFC 9580, RFC 4880): a session key
// packet followed by an encrypted data packet. It needs no library, because the headers
// of the first packets suffice.
package pgp

import (
	"bytes"
	"context"
	"encoding/binary"

	"polyclam/backends/inspect/internal/walk"
)

// Detector recognises binary OpenPGP messages; for armored ones, see package mail. A
// message that is only signed or compressed is not encrypted.
type Detector struct{}

// Packet tags.
const (
	key        = 1  // session key for a public key
	password   = 3  // session key for a password
	encrypted  = 9  // encrypted data
	Marker     = 10 // ignored
	protected  = 18 // encrypted data with integrity protection
	authentic  = 20 // authenticated encrypted data
	MaxPackets = 512
)

// Match implements [walk.Detector]. The first packet must be plausible, as its tag alone
// would match too much.
func (Detector) Match(w *walk.Walk, s *walk.Section) bool {
	p, ok := ReadPacket(s.Head)
	if !ok || p.partial {
		return false
	}
	if isWhole(p, s) {
		return true
	}
	if p.Tag == Marker {
		return p.Size == 3 && bytes.HasPrefix(s.Head[p.Header:], []byte("PGP"))
	}
	return soundKey(p, s.Head[p.Header:])
}

// isWhole reports whether a section is just one encrypted data packet of the oldest kind,
// whose key derives from a password without a session key packet (RFC 4880, 5.7). Only
// its size identifies it, so the size must be known.
func isWhole(p packet, s *walk.Section) bool {
	const smallest = 8 + 2 + 8 // prefix block, its repetition, and some data
	return p.Tag == encrypted && !p.partial && s.ReaderAt != nil && p.Size >= smallest && int64(p.Header)+p.Size == s.Size
}

// Look implements [walk.Detector]. It requires a session key followed by encrypted data.
func (Detector) Look(ctx context.Context, w *walk.Walk, s *walk.Section) (*walk.Sighting, error) {
	if p, ok := ReadPacket(s.Head); ok && isWhole(p, s) {
		return walk.NewSighting(walk.FindingPGP, "pgp", "", "encrypted with a password, without a session key"), nil
	}
	at, how := int64(0), ""
	for range MaxPackets {
		b := w.Header(min(64, s.Size-at))
		if len(b) == 0 || walk.ReadFull(s, b, at) != nil {
			return nil, nil
		}
		p, ok := ReadPacket(b)
		if !ok {
			return nil, nil
		}
		switch p.Tag {
		case Marker:
		case key, password:
			if p.partial || !p.IsEncrypted(b[p.Header:]) {
				return nil, nil
			}
			how = How(p.Tag)
		case encrypted, protected, authentic:
			if how == "" || !p.IsEncrypted(b[p.Header:]) {
				return nil, nil
			}
			return walk.NewSighting(walk.FindingPGP, "pgp", "", how), nil
		default:
			return nil, nil
		}
		at += int64(p.Header) + p.Size
		if at >= s.Size {
			return nil, nil
		}
	}
	return nil, nil
}

// How describes the encryption of a message that begins with this packet.
func How(tag byte) string {
	switch tag {
	case key:
		return "encrypted for a key"
	case password:
		return "encrypted with a password"
	}
	return "encrypted"
}

// packet is a packet header.
type packet struct {
	Tag     byte
	Header  int
	Size    int64
	partial bool // Size covers only the first part, or is unknown
}

// ReadPacket parses a packet header.
func ReadPacket(b []byte) (p packet, ok bool) {
	if len(b) < 2 || b[0]&0x80 == 0 {
		return p, false
	}
	if b[0]&0x40 == 0 {
		return readOldPacket(b)
	}
	p.Tag = b[0] & 0x3f
	switch first := b[1]; {
	case first < 192:
		p.Header, p.Size = 2, int64(first)
	case first < 224:
		if len(b) < 3 {
			return p, false
		}
		p.Header, p.Size = 3, int64(first-192)<<8+int64(b[2])+192
	case first == 255:
		if len(b) < 6 {
			return p, false
		}
		p.Header, p.Size = 6, int64(binary.BigEndian.Uint32(b[2:]))
	default:
		p.Header, p.Size, p.partial = 2, 1<<(first&0x1f), true
	}
	return p, true
}

// readOldPacket parses a header in the old format, which has a length type.
func readOldPacket(b []byte) (p packet, ok bool) {
	p.Tag = b[0] >> 2 & 0x0f
	kind := b[0] & 3
	if kind == 3 {
		p.Header, p.partial = 1, true
		return p, true
	}
	p.Header = 1 + 1<<kind
	if len(b) < p.Header {
		return p, false
	}
	for _, c := range b[1:p.Header] {
		p.Size = p.Size<<8 | int64(c)
	}
	return p, true
}

// IsEncrypted reports whether a packet whose body begins with b belongs to an encrypted
// message.
func (p packet) IsEncrypted(b []byte) bool {
	switch p.Tag {
	case key, password:
		return soundKey(p, b)
	case encrypted, protected, authentic:
		return soundData(p, b)
	}
	return false
}

// soundKey reports whether b begins like the session key that p announces.
func soundKey(p packet, b []byte) bool {
	const largest = 8 << 10
	if p.Size < 4 || p.Size > largest || len(b) < 2 {
		return false
	}
	version := b[0]
	if p.Tag == password {
		// The second byte is the cipher (version 4, 5) or a count (version 6), all
		// small numbers.
		return p.Size <= 256 && version >= 4 && version <= 6 && b[1] >= 1 && b[1] < 128
	}
	if p.Tag != key || len(b) < 10 {
		return false
	}
	switch version {
	case 2, 3:
		return p.Size > 12 && algorithms[b[9]]
	case 6:
		return p.Size > 12 && b[1] <= 33
	}
	return false
}

// algorithms are the public-key algorithms that can encrypt.
var algorithms = map[byte]bool{1: true, 2: true, 16: true, 18: true, 20: true, 25: true, 26: true, 29: true, 30: true, 31: true, 32: true, 33: true, 34: true, 35: true, 36: true}

// soundData reports whether b begins like encrypted data.
func soundData(p packet, b []byte) bool {
	switch p.Tag {
	case protected:
		return len(b) > 0 && (b[0] == 1 || b[0] == 2)
	case authentic:
		return len(b) > 0 && b[0] == 1
	}
	return true
}
