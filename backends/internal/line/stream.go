package line

import (
	"errors"
	"fmt"
	"io"
	"time"

	"polyclam/backends"
)

// ErrEarly is wrapped by [Conn.Stream] when the engine has answered, or gone,
// before it had taken the whole content. What it says may be read, but it is not
// about the whole content: it can never be ok.
var ErrEarly = errors.New("answered before the content was sent")

// Stream sends the content, exactly its size, and waits for the first byte of the
// answer. An engine that answers early and reads no further does not hold it up.
// Where the content cannot be read the connection is closed, so that the engine
// does not take a part for the whole.
func (c *Conn) Stream(content backends.Content) error {
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		c.r.Peek(1)                            // or the end: Line meets it again
		c.nc.SetWriteDeadline(time.Unix(1, 0)) // ends a write that goes on now
	}()
	err := c.sendContent(content)
	<-answered
	c.nc.SetWriteDeadline(time.Time{})
	return err
}

func (c *Conn) sendContent(content backends.Content) error {
	size := content.Size()
	buffer := make([]byte, min(size, 32<<10))
	for off := int64(0); off < size; {
		p := buffer[:min(int64(len(buffer)), size-off)]
		n, err := content.ReadAt(p, off)
		if n < len(p) {
			c.close()
			if err == nil || err == io.EOF {
				err = fmt.Errorf("it ends after %d of %d bytes", off+int64(n), size)
			}
			return &backends.ObjectError{Doing: "reading the object", Err: err}
		}
		if _, err := c.nc.Write(p); err != nil {
			return fmt.Errorf("%w: %v", ErrEarly, err) // its deadline is ours, above
		}
		off += int64(n)
	}
	return nil
}
