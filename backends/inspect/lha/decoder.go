package lha

import (
	"bufio"
	"io"
)

// method describes a compression method. All work alike except for the window.
type method struct {
	window    int // size
	distances int // number of distance codes
	width     int // bits of that number in a block
}

var methods = map[string]method{
	"-lh4-": {1 << 12, 14, 4},
	"-lh5-": {1 << 13, 14, 4},
	"-lh6-": {1 << 15, 16, 5},
	"-lh7-": {1 << 16, 17, 5},
}

// decoder unpacks a member.
type decoder struct {
	method method
	from   io.Reader
	size   int64 // unpacked bytes that remain

	bits      bitReader
	left      int // codes that remain in the block
	codes     codes
	distances codes
	window    []byte // ring buffer
	at        int    // position in window
	match     int    // bytes left to copy
	back      int    // distance of the match
}

// Read implements [io.Reader].
func (d *decoder) Read(p []byte) (n int, err error) {
	if d.window == nil {
		d.open()
	}
	for n < len(p) && d.size > 0 && d.bits.err == nil {
		c := d.next()
		if d.bits.err != nil {
			break
		}
		p[n] = c
		d.window[d.at] = c
		d.at = (d.at + 1) & (d.method.window - 1)
		n++
		d.size--
	}
	switch {
	case n > 0 || len(p) == 0:
		return n, nil
	case d.bits.err != nil:
		return 0, d.bits.err
	}
	return 0, io.EOF
}

// next decodes one byte.
func (d *decoder) next() byte {
	const shortest = 3
	if d.match == 0 {
		s := d.symbol()
		if s < 256 {
			return byte(s)
		}
		d.match = s - 256 + shortest
		d.back = d.bits.symbol(&d.distances)
		if d.back > 1 {
			d.back = 1<<(d.back-1) + d.bits.read(d.back-1)
		}
		d.back++
	}
	d.match--
	return d.window[(d.at-d.back)&(d.method.window-1)]
}

// symbol decodes a literal or a match length. Each block defines its own codes.
func (d *decoder) symbol() int {
	if d.left == 0 {
		if d.left = d.bits.read(16); d.left == 0 {
			d.left = 1 << 16
		}
		var coded codes
		d.bits.small(&coded, nLengths, 5, 3)
		d.bits.large(&d.codes, &coded)
		d.bits.small(&d.distances, d.method.distances, d.method.width, 0)
	}
	d.left--
	return d.bits.symbol(&d.codes)
}

// open allocates the window, which starts out as blanks.
func (d *decoder) open() {
	d.window = make([]byte, d.method.window)
	for i := range d.window {
		d.window[i] = ' '
	}
	d.bits.from = bufio.NewReaderSize(d.from, 1024)
}
