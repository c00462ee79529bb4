package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
)

// The kinds of objects.
const (
	bodyMail   = "mail"   // a text and a base64 attachment, which takes clamd longest
	bodyRandom = "random" // random bytes, which take it least
)

// minBody has room for a mail's header and an attachment.
const minBody = 1 << 10

// chunk is the chunk size of clients.
const chunk = 128 << 10

// A request is a complete INSTREAM. Every call of renew makes it different, because
// clamd remembers the hashes of clean objects.
type request struct {
	bytes []byte
	marks []int // positions of the counter, 16 hexadecimal digits
	count uint64
}

// newRequest makes a request with an object of size bytes. Requests with different
// seeds never become equal.
func newRequest(kind string, size int64, seed uint64) *request {
	random := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), 1})
	content := make([]byte, 0, size+128)
	var marks []int
	if kind == bodyMail {
		content, marks = mail(content, int(size), random)
	} else {
		content = content[:size]
		random.Read(content)
		marks = []int{64}
	}
	r := &request{bytes: []byte("zINSTREAM\x00"), count: seed << 40}
	for off := 0; off < len(content); off += chunk {
		piece := content[off:min(off+chunk, len(content))]
		r.bytes = binary.BigEndian.AppendUint32(r.bytes, uint32(len(piece)))
		for _, m := range marks {
			if m >= off && m+markSize <= off+len(piece) {
				r.marks = append(r.marks, len(r.bytes)+m-off)
			}
		}
		r.bytes = append(r.bytes, piece...)
	}
	r.bytes = append(r.bytes, 0, 0, 0, 0)
	return r
}

const markSize = 16

// renew makes the request one that was never sent.
func (r *request) renew() []byte {
	r.count++
	var counter [8]byte
	binary.BigEndian.PutUint64(counter[:], r.count)
	for _, m := range r.marks {
		hex.Encode(r.bytes[m:m+markSize], counter[:])
	}
	return r.bytes
}

// mail appends a message of size bytes to b: a marked line of text, and marked base64,
// since clamd also scans the decoded attachment.
func mail(b []byte, size int, random *rand.ChaCha8) ([]byte, []int) {
	b = append(b, "From: a@example.org\r\nTo: b@example.org\r\nSubject: bench\r\nMIME-Version: 1.0\r\n"+
		"Content-Type: multipart/mixed; boundary=xx\r\n\r\n--xx\r\nContent-Type: text/plain\r\n\r\n"...)
	marks := []int{len(b)}
	b = append(b, "0123456789abcdef is the number of this message.\r\n--xx\r\n"+
		"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"...)
	marks = append(marks, len(b))
	const end = "\r\n--xx--\r\n"
	raw := make([]byte, 57)
	for {
		random.Read(raw)
		line := base64.StdEncoding.EncodeToString(raw) + "\r\n"
		if len(b)+len(line)+len(end) > size {
			break
		}
		b = append(b, line...)
	}
	b = append(b, end...)
	return append(b, bytes.Repeat([]byte("\n"), max(0, size-len(b)))...), marks
}
