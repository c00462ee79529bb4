// Package transfer decodes the transfer encodings of mail: base64, quoted-printable and
// uuencode (RFC 2045, POSIX uuencode). The decoders are as lenient as mail programs; those
// of the standard library stop at the first bad character, and it has none for uuencode.
package transfer

import (
	"bytes"
)

// Lines is a reader of decoded lines.
type Lines struct {
	Next   func() ([]byte, error) // a line, or part of a long one
	Decode func(dst, line []byte) []byte
	rest   []byte
	buffer []byte
	err    error
}

// Read implements [io.Reader].
func (d *Lines) Read(p []byte) (int, error) {
	for len(d.rest) == 0 {
		if d.err != nil {
			return 0, d.err
		}
		line, err := d.Next()
		d.buffer = d.Decode(d.buffer[:0], line)
		d.rest, d.err = d.buffer, err
	}
	n := copy(p, d.rest)
	d.rest = d.rest[n:]
	return n, nil
}

// Identity is the Decode function for lines that are not encoded.
func Identity(dst, line []byte) []byte { return append(dst, line...) }

// Base64 decodes base64 across line ends. Characters outside its alphabet are skipped;
// padding ends a group, not the data.
type Base64 struct {
	bits  uint32
	count int
}

// Base64Values maps each byte to its value; more than 63 means that it is not in the
// alphabet.
var Base64Values = func() (v [256]byte) {
	for i := range v {
		v[i] = 0xff
	}
	for i, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") {
		v[c] = byte(i)
	}
	return v
}()

// Decode decodes a line, or part of one.
func (d *Base64) Decode(dst, line []byte) []byte {
	for len(line) > 0 {
		if d.count == 0 {
			if dst, line = decodeGroups(dst, line); len(line) == 0 {
				break
			}
		}
		c := line[0]
		line = line[1:]
		v := Base64Values[c]
		if c == '=' {
			// Two or three characters before the padding make one or two bytes.
			switch d.count {
			case 2:
				dst = append(dst, byte(d.bits>>4))
			case 3:
				dst = append(dst, byte(d.bits>>10), byte(d.bits>>2))
			}
			d.bits, d.count = 0, 0
		}
		if v > 63 {
			continue
		}
		d.bits = d.bits<<6 | uint32(v)
		if d.count++; d.count == 4 {
			dst = append(dst, byte(d.bits>>16), byte(d.bits>>8), byte(d.bits))
			d.bits, d.count = 0, 0
		}
	}
	return dst
}

// QuotedPrintable decodes quoted-printable. Anything that is not a valid escape is kept as
// it is.
type QuotedPrintable struct {
	rest []byte // end of the last part: an unfinished escape, or blanks that may end the line
}

// maxRest is how many blanks are held back until the line ends.
const maxRest = 64 << 10

// Decode decodes a line, or part of a long one.
func (d *QuotedPrintable) Decode(dst, line []byte) []byte {
	if len(d.rest) > 0 {
		line = append(d.rest, line...)
		d.rest = nil
	}
	if !bytes.HasSuffix(line, []byte("\n")) {
		text := bytes.TrimRight(line, " \t\r")
		if i := bytes.LastIndexByte(text[max(0, len(text)-2):], '='); i >= 0 {
			text = text[:max(0, len(text)-2)+i]
		}
		if len(line)-len(text) < maxRest {
			d.rest = bytes.Clone(line[len(text):])
			line = text
		}
		return unescape(dst, line)
	}
	text := bytes.TrimRight(line, " \t\r\n")
	end := bytes.TrimLeft(line[len(text):], " \t")
	if len(text) > 0 && text[len(text)-1] == '=' {
		text, end = text[:len(text)-1], nil
	}
	return append(unescape(dst, text), end...)
}

func unescape(dst, text []byte) []byte {
	for i := 0; i < len(text); i++ {
		if text[i] == '=' && i+2 < len(text) {
			high, low := unhex(text[i+1]), unhex(text[i+2])
			if high < 16 && low < 16 {
				dst = append(dst, high<<4|low)
				i += 2
				continue
			}
		}
		dst = append(dst, text[i])
	}
	return dst
}

func unhex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	}
	return 0xff
}

// UU decodes one line of uuencode: a length character, then groups of four.
func UU(dst, line []byte) []byte {
	if len(line) < 2 {
		return dst
	}
	want := int(line[0]-' ') & 0x3f
	line = bytes.TrimRight(line[1:], "\r\n")
	for start := len(dst); len(line) > 0 && len(dst)-start < want; {
		var v [4]byte
		for i := range v {
			if i < len(line) {
				v[i] = (line[i] - ' ') & 0x3f
			}
		}
		group := [3]byte{v[0]<<2 | v[1]>>4, v[1]<<4 | v[2]>>2, v[2]<<6 | v[3]}
		dst = append(dst, group[:min(3, want-(len(dst)-start))]...)
		line = line[min(4, len(line)):]
	}
	return dst
}

// decodeGroups is the fast path for complete groups of four characters. It returns the rest
// of the line.
func decodeGroups(dst, line []byte) (decoded, rest []byte) {
	for len(line) >= 4 {
		v0, v1, v2, v3 := Base64Values[line[0]], Base64Values[line[1]], Base64Values[line[2]], Base64Values[line[3]]
		if v0|v1|v2|v3 > 63 {
			break
		}
		dst = append(dst, v0<<2|v1>>4, v1<<4|v2>>2, v2<<6|v3)
		line = line[4:]
	}
	return dst, line
}

// Base64Name returns the file name in the first line of a uuencode-style base64 attachment:
// "begin-base64 644 NAME".
func Base64Name(line []byte) string {
	rest, ok := bytes.CutPrefix(line, []byte("begin-base64 "))
	if !ok {
		return ""
	}
	return UUName(append([]byte("begin "), rest[:min(len(rest), 2*maxName)]...))
}

// UUName returns the file name in the first line of a uuencoded attachment: "begin 644
// NAME".
func UUName(line []byte) string {
	rest, ok := bytes.CutPrefix(line, []byte("begin "))
	if !ok || len(rest) < 5 {
		return ""
	}
	mode := bytes.IndexByte(rest, ' ')
	if mode != 3 && mode != 4 {
		return ""
	}
	for _, c := range rest[:mode] {
		if c < '0' || c > '7' {
			return ""
		}
	}
	name := bytes.TrimSpace(rest[mode:min(len(rest), mode+maxName)])
	return string(name)
}

const maxName = 128
