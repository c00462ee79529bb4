package wire

import (
	"encoding/base64"
	"io"

	"polyclam/backends"
	"polyclam/backends/internal/engineconn"
)

// A Body is the body of a request: Before, the object, After.
type Body struct {
	Before, After string
	Object        io.ReaderAt // may be nil
	Size          int64       // of the object
	Base64        bool        // encodes the object
}

// BodyOf returns a body that is just the object.
func BodyOf(o backends.Object) Body { return Body{Object: o, Size: o.Size()} }

// Len returns the exact number of bytes that WriteTo writes.
func (b *Body) Len() int64 {
	n := b.Size
	if b.Base64 {
		n = (n + 2) / 3 * 4
	}
	return int64(len(b.Before)) + n + int64(len(b.After))
}

// WriteTo writes the whole body to w. If the object cannot be read or is shorter than its
// size, the error is a [backends.ObjectError]; any other error is w's.
func (b *Body) WriteTo(w io.Writer) (int64, error) {
	c := &counter{w: w}
	_, err := io.WriteString(c, b.Before)
	if err == nil && b.Size > 0 {
		err = b.object(c)
	}
	if err == nil {
		_, err = io.WriteString(c, b.After)
	}
	return c.n, err
}

func (b *Body) object(w io.Writer) error {
	if !b.Base64 {
		return engineconn.Object(w, b.Object, 0, b.Size)
	}
	encoder := base64.NewEncoder(base64.StdEncoding, w)
	if err := engineconn.Object(encoder, b.Object, 0, b.Size); err != nil {
		return err
	}
	return encoder.Close()
}

// counter counts the bytes written, and keeps text and the object's bytes apart.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

func (c *counter) WriteString(s string) (int, error) {
	n, err := io.WriteString(c.w, s)
	c.n += int64(n)
	return n, err
}
