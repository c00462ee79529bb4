package main

import (
	"fmt"
	"io"
	"net"
	"time"

	"polyclam/test/chaos/history"
	"polyclam/test/chaos/object"
)

// unfinished sends the beginning of a stream and returns the connection.
func (c *client) unfinished(how string) (*history.Request, net.Conn) {
	o := c.object()
	q := c.request("INSTREAM", c.listener(), part("stream", o))
	q.Client = how
	nc := c.connect(q)
	if nc == nil {
		return nil, nil
	}
	// Whole chunks of the object without its end: at worst, only the end is missing.
	size := c.chunk(len(o.Data))
	whole := len(o.Data) / size
	n := c.r.IntN(whole+1) * size
	if c.r.IntN(3) == 0 {
		n = len(o.Data)
	}
	sent := chunked(o.Data[:n], size)
	sent = sent[:len(sent)-4]
	if n < len(o.Data) && c.r.IntN(2) == 0 { // cut inside a chunk
		sent = append(sent, chunked(o.Data[n:], size)[:c.r.IntN(4)]...)
	}
	q.Partial = object.Sum(o.Data[:n])
	if _, err := nc.Write(append(command('z', "INSTREAM"), sent...)); err != nil {
		q.Error = err.Error()
	}
	q.Sent = history.Now()
	return q, nc
}

// vanish hangs up in the middle of a stream.
func (c *client) vanish() {
	q, nc := c.unfinished("vanish")
	if nc == nil {
		return
	}
	if tcp, ok := nc.(*net.TCPConn); ok && c.r.IntN(2) == 0 {
		tcp.SetLinger(0)
	}
	nc.Close()
	q.Outcome, q.End = history.Left, history.Now()
	c.note(q)
}

// halfClose closes its side in the middle of a stream and waits.
func (c *client) halfClose() {
	q, nc := c.unfinished("half-close")
	if nc == nil {
		return
	}
	defer nc.Close()
	nc.(interface{ CloseWrite() error }).CloseWrite()
	c.finish(q, nc, 'z', nil)
}

// vanishAfter sends everything and does not wait for the reply.
func (c *client) vanishAfter() {
	o := c.object()
	q := c.request("INSTREAM", c.listener(), part("stream", o))
	q.Client = "vanish after"
	nc := c.connect(q)
	if nc == nil {
		return
	}
	nc.Write(append(command('z', "INSTREAM"), chunked(o.Data, len(o.Data))...))
	nc.Close()
	q.Outcome, q.End = history.Left, history.Now()
	c.note(q)
}

// neverRead sends many requests in a session and reads nothing.
func (c *client) neverRead() {
	q := c.request("IDSESSION", "unix")
	q.Client = "never reads"
	nc := c.connect(q)
	if nc == nil {
		return
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(2 * time.Second))
	_, err := nc.Write(command('z', "IDSESSION"))
	for i := 0; i < 5000 && err == nil; i++ {
		_, err = nc.Write(command('z', "VERSIONCOMMANDS"))
	}
	q.Outcome, q.End = history.Left, history.Now()
	c.note(q)
}

// slow sends a whole stream slowly. polyclamd must answer it like any other.
func (c *client) slow() {
	o := c.object()
	q := c.request("INSTREAM", c.listener(), part("stream", o))
	q.Client = "slow"
	nc := c.connect(q)
	if nc == nil {
		return
	}
	defer nc.Close()
	err := sendSlowly(nc, append(command('z', "INSTREAM"), chunked(o.Data, 1000)...), time.Duration(c.r.IntN(2500))*time.Millisecond)
	q.Sent = history.Now()
	c.finish(q, nc, 'z', err)
}

// garbage sends bytes that are no command.
func (c *client) garbage() {
	q := c.request("garbage", c.listener())
	q.Client = "garbage"
	nc := c.connect(q)
	if nc == nil {
		return
	}
	defer nc.Close()
	data := make([]byte, 1+c.r.IntN(6000))
	for i := range data {
		data[i] = byte(c.r.Uint32())
	}
	starts := []string{"", "zINSTREAM\x00", "nFILDES\n", "zIDSESSION\x00", "GET / HTTP/1.1\r\n\r\n", "zSCAN " + string(data[:min(len(data), 100)]) + "\x00"}
	_, err := io.WriteString(nc, c.oneOf(starts...)+string(data))
	nc.(interface{ CloseWrite() error }).CloseWrite()
	q.Sent = history.Now()
	c.finish(q, nc, 0, err)
}

// oversize sends a stream over limits.stream.
func (c *client) oversize() {
	o := object.New(c.r, maxStream+1+c.r.IntN(1<<20), object.Truth{Virus: c.r.IntN(2) == 0})
	q := c.request("INSTREAM", c.listener(), part("stream", o))
	q.Client = "oversize"
	nc := c.connect(q)
	if nc == nil {
		return
	}
	defer nc.Close()
	_, err := nc.Write(append(command('z', "INSTREAM"), chunked(o.Data, 64<<10)...))
	q.Sent = history.Now()
	if err != nil {
		q.Error = fmt.Sprint(err)
	}
	c.finish(q, nc, 0, nil)
}
