// Package object makes objects of known truth and judges them as an honest engine does:
// by their bytes alone.
//
// An object is a text. Its first line has a nonce, so that its hash belongs to one
// request. Lines with marks say what is in it. The size does not depend on the truth:
// objects with different truths may have the same size.
package object

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// Truth is what is in an object.
type Truth struct {
	Virus     bool   `json:"virus,omitempty"`
	Encrypted bool   `json:"encrypted,omitempty"`
	Only      string `json:"only,omitempty"`  // the only engine that knows the virus, now or later; empty: all
	Later     int    `json:"later,omitempty"` // the first signatures that call it a virus; 0: see Virus
}

// An Object is one object. Data never changes.
type Object struct {
	Nonce string
	Truth Truth
	Data  []byte
	SHA   string
}

const (
	head          = "polyclam chaos object "
	markVirus     = "CHAOS-VIRUS-ALL"
	markOnly      = "CHAOS-VIRUS-ONLY-"
	markEncrypted = "CHAOS-ENCRYPTED"
	markLater     = "CHAOS-VIRUS-LATER-"
	markOnlyLater = "BY-" // follows the signatures in the same line

	// NonceSize is the length of a nonce, "n" and hexadecimal digits.
	NonceSize = 17

	lineSize = 64

	// MinSize is the size of the smallest object.
	MinSize = 6 * lineSize
)

// New makes an object of size bytes, at least MinSize. Marks can be on any line,
// including the last.
func New(r *rand.Rand, size int, t Truth) Object {
	size = max(size, MinSize)
	o := Object{Nonce: fmt.Sprintf("n%016x", r.Uint64()), Truth: t, Data: make([]byte, 0, size)}
	o.Data = append(o.Data, line(head+o.Nonce)...)
	var filler [lineSize]byte
	for i := 0; len(o.Data)+lineSize <= size; i++ {
		copy(filler[:], line(o.Nonce+" "+strconv.Itoa(i)))
		o.Data = append(o.Data, filler[:]...)
	}
	o.Data = append(o.Data, bytes.Repeat([]byte{'.'}, size-len(o.Data))...)
	marks := t.marks()
	lines := size / lineSize
	for i, m := range marks {
		at := lines - 1 - i
		if r.IntN(2) == 0 && lines > 8 {
			at = 1 + i + 3*r.IntN((lines-6)/3)
		}
		copy(o.Data[at*lineSize:], line(m))
	}
	o.SHA = Sum(o.Data)
	return o
}

func (t Truth) marks() []string {
	var marks []string
	switch {
	case t.Virus && t.Only != "":
		marks = append(marks, markOnly+t.Only)
	case t.Virus:
		marks = append(marks, markVirus)
	}
	if t.Later > 0 {
		later := markLater + strconv.Itoa(t.Later)
		if t.Only != "" && !t.Virus {
			later += " " + markOnlyLater + t.Only
		}
		marks = append(marks, later)
	}
	if t.Encrypted {
		marks = append(marks, markEncrypted)
	}
	return marks
}

// line is text, padded to one line.
func line(text string) string {
	return text + strings.Repeat(" ", lineSize-1-len(text)) + "\n"
}

// A Judgement is what an engine finds.
type Judgement struct {
	Nonce     string // of the object; empty for foreign objects
	Virus     string // name; empty: none
	Encrypted bool
}

// NonceOf returns the nonce of an object, or of the beginning of one.
func NonceOf(data []byte) string {
	rest, ok := bytes.CutPrefix(data, []byte(head))
	if !ok || len(rest) < NonceSize {
		return ""
	}
	return string(rest[:NonceSize])
}

// The beginning of a virus name. The nonce follows.
const (
	VirusName    = "Chaos.Virus."
	ParanoidName = "Chaos.Paranoid." // given by an engine that calls everything a virus
)

// Judge judges data as the named engine does with signatures of this generation. It
// also knows the test objects of polyclam's health checks.
func Judge(data []byte, engine string, generation int) Judgement {
	j := Judgement{Nonce: NonceOf(data)}
	if j.Nonce == "" {
		if bytes.Contains(data, []byte("EICAR-STANDARD-"+"ANTIVIRUS-TEST-FILE")) {
			j.Virus = "Eicar-Test-Signature"
		}
		j.Encrypted = isEncryptedZip(data)
		return j
	}
	only := []byte(markOnly + engine + " ")
	if bytes.Contains(data, []byte(markVirus)) || bytes.Contains(data, only) || isKnown(data, engine, generation) {
		j.Virus = VirusName + j.Nonce
	}
	j.Encrypted = bytes.Contains(data, []byte(markEncrypted))
	return j
}

// isKnown reports whether the signatures of this generation know a virus that was added
// later than the first ones.
func isKnown(data []byte, engine string, generation int) bool {
	_, rest, ok := bytes.Cut(data, []byte(markLater))
	if !ok {
		return false
	}
	digits, rest, _ := bytes.Cut(rest, []byte(" "))
	if only, ok := bytes.CutPrefix(rest, []byte(markOnlyLater)); ok && !bytes.HasPrefix(only, []byte(engine+" ")) {
		return false
	}
	n, err := strconv.Atoi(string(digits))
	return err == nil && n <= generation
}

// isEncryptedZip reads the flags of the first member.
func isEncryptedZip(data []byte) bool {
	return len(data) > 6 && bytes.HasPrefix(data, []byte("PK\x03\x04")) && data[6]&1 != 0
}

// Sum is the hash of data, as in [Object].SHA.
func Sum(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
