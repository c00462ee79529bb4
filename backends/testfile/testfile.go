// Package testfile makes the objects that show whether an engine can distinguish clean
// from infected. The daemon's health checks and `polyclam check` share them.
//
// Every function returns a new slice. EICAR is never spelled out in full, so that no
// scanner reports the program itself.
package testfile

import (
	"archive/zip"
	"bytes"
	"crypto/rand"
	_ "embed" // for the encrypted archive
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// A Nonce makes each clean control unique.
type Nonce [16]byte

// NewNonce returns a random nonce.
func NewNonce() Nonce {
	var n Nonce
	rand.Read(n[:]) // never fails, see crypto/rand
	return n
}

// The clean control is this text, the nonce in hexadecimal, and a line break.
const cleanText = "A harmless text: polyclam checks whether this engine is well. "

// CleanSize is the size of every clean control.
const CleanSize = len(cleanText) + 2*len(Nonce{}) + len("\n")

// Clean returns the clean control with the nonce: a short text that every engine
// must find harmless.
func Clean(n Nonce) []byte {
	return []byte(cleanText + hex.EncodeToString(n[:]) + "\n")
}

// NonceOf returns the nonce of a clean control, and false for anything else.
func NonceOf(object []byte) (Nonce, bool) {
	var n Nonce
	text, isClean := strings.CutPrefix(string(object), cleanText)
	if !isClean || len(object) != CleanSize || text[len(text)-1] != '\n' {
		return n, false
	}
	_, err := hex.Decode(n[:], []byte(text[:len(text)-1]))
	return n, err == nil
}

// EICAR returns the EICAR test file, 68 bytes, which every engine must find.
func EICAR() []byte {
	reversed := []byte("*H+H$!ELIF-TSET-SURIVITNA-DRADNATS-RACIE$}7)CC7)^P(45XZP\\4[PA@%P!O5X")
	slices.Reverse(reversed)
	return reversed
}

//go:embed encrypted.zip
var encrypted []byte

// Encrypted returns a small ZIP archive whose only member is encrypted.
func Encrypted() []byte { return slices.Clone(encrypted) }

// MailedEICAR returns a mail with EICAR in a base64 attachment. The nonce makes it unique:
// clamd 1.4.6 remembers the objects that it has called clean, and does not scan them again.
func MailedEICAR(n Nonce) []byte {
	text := base64.StdEncoding.EncodeToString(EICAR())
	return fmt.Appendf(nil, "From: polyclam@localhost\r\nTo: polyclam@localhost\r\n"+
		"Subject: A test whether this engine looks into mails\r\nMessage-ID: <%x@localhost>\r\n"+
		"MIME-Version: 1.0\r\nContent-Type: application/octet-stream; name=\"eicar.com\"\r\n"+
		"Content-Transfer-Encoding: base64\r\n\r\n%s\r\n%s\r\n", n[:], text[:76], text[76:])
}

// PackedEICAR returns a ZIP archive whose only member is EICAR, compressed: an engine that
// finds it unpacks archives. [ZippedEICAR] may be found without that.
func PackedEICAR() []byte {
	return archive(func(w *zip.Writer) {
		packed := deflated(EICAR())
		header := stored("eicar.com", int64(len(EICAR())), checksum(EICAR()))
		header.Method, header.CompressedSize64 = zip.Deflate, uint64(len(packed))
		m, err := w.CreateRaw(header)
		must(err)
		_, err = m.Write(packed)
		must(err)
	})
}

// deflated returns ASCII text as one block of literals with fixed codes, RFC 1951, 3.2.6.
// Package flate would store a text as short as EICAR as it is.
func deflated(text []byte) []byte {
	out, n := []byte{}, 0
	write := func(bit byte) {
		if n%8 == 0 {
			out = append(out, 0)
		}
		out[n/8] |= bit << (n % 8)
		n++
	}
	for _, bit := range []byte{1, 1, 0} { // the last block, with fixed codes
		write(bit)
	}
	for _, c := range text {
		for i := 7; i >= 0; i-- {
			write((c + 0x30) >> i & 1)
		}
	}
	for range 7 { // the end
		write(0)
	}
	return out
}

// ZippedEICAR returns a ZIP archive whose only member is EICAR, stored.
func ZippedEICAR() []byte { return archive(addEICAR) }

// LockedThenEICAR returns a ZIP archive with two members: an encrypted one, then EICAR in
// the clear. With AlertEncrypted and HeuristicScanPrecedence clamd stops at the first and
// never sees the second.
func LockedThenEICAR() []byte {
	return archive(func(w *zip.Writer) {
		r, err := zip.NewReader(bytes.NewReader(encrypted), int64(len(encrypted)))
		must(err)
		must(w.Copy(r.File[0]))
	}, addEICAR)
}

// depth is more than engines unpack; clamd's MaxRecursion is 17 by default.
const depth = 30

// DeepThenEICAR returns a ZIP archive with two members: archives nested deeper than
// engines go, then EICAR in the clear. With AlertExceedsMax and HeuristicScanPrecedence
// clamd stops at the first and never sees the second.
func DeepThenEICAR() []byte { return slices.Clone(deepThenEICAR()) }

var deepThenEICAR = sync.OnceValue(func() []byte {
	inner := []byte("the innermost\n")
	for range depth {
		inner = archive(func(w *zip.Writer) { addStored(w, "inner.zip", inner) })
	}
	return archive(func(w *zip.Writer) { addStored(w, "deep.zip", inner) }, addEICAR)
})

// archive returns a ZIP archive with the members that add adds.
func archive(add ...func(*zip.Writer)) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range add {
		f(w)
	}
	must(w.Close())
	return b.Bytes()
}

func addEICAR(w *zip.Writer) { addStored(w, "eicar.com", EICAR()) }

// addStored adds a member that any reader can read: stored, with its size in the local
// header.
func addStored(w *zip.Writer, name string, data []byte) {
	m, err := w.CreateRaw(stored(name, int64(len(data)), checksum(data)))
	must(err)
	_, err = m.Write(data)
	must(err)
}

// must panics on errors that cannot happen, because constants are written to memory.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
