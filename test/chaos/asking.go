package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"polyclam/test/chaos/history"
)

// stream scans an object by INSTREAM on its own connection.
func (c *client) stream(verb, listener string) {
	o := c.any()
	if c.r.IntN(12) == 0 {
		o = c.repeated()
	}
	c.sendStream(c.request(verb, listener, part("stream", o)), o, c.framing(), c.chunk(len(o.Data)))
}

// finish reads the reply to a request on its own connection and records it. err is the
// reason why the request could not be sent.
func (c *client) finish(q *history.Request, nc net.Conn, framing byte, err error) {
	rest, readErr := replies(nc, terminator(framing), func(line string, at history.Time) {
		q.Lines = append(q.Lines, line)
		q.End = at
	})
	if err == nil {
		err = readErr
	}
	if q.Verb == "CONTSCAN" || q.Verb == "MULTISCAN" || len(q.Lines) > 1 {
		q.End = history.Now() // a list ends with the connection
	}
	switch {
	case rest != "":
		q.Outcome, q.End = outcome(readErr), history.Now()
		q.Error = fmt.Sprintf("half a reply: %.200q", rest)
	case len(q.Lines) > 0 && outcome(readErr) == history.Hung:
		q.Outcome, q.End, q.Error = history.Hung, history.Now(), "the connection stays open after the reply"
	case len(q.Lines) > 0:
		q.Outcome = history.Replied
	default:
		q.Outcome, q.End = outcome(err), history.Now()
		if err != nil {
			q.Error = err.Error()
		}
	}
	c.note(q)
}

// fildes scans an object by its descriptor.
func (c *client) fildes(verb string) {
	o := c.any()
	q := c.request(verb, "unix", part("fd", o))
	nc := c.connect(q)
	if nc == nil {
		return
	}
	defer nc.Close()
	f, err := anonymous(o.Data)
	if err != nil {
		c.w.must(err)
		return
	}
	defer f.Close()
	framing := c.framing()
	_, err = nc.Write(command(framing, verb))
	if err == nil {
		err = sendFile(nc, f)
	}
	q.Sent = history.Now()
	c.finish(q, nc, framing, err)
}

// file scans a file by its path.
func (c *client) file(verb string) {
	o := c.any()
	path := filepath.Join(c.w.dir, "objects", c.newPath(o))
	if err := os.WriteFile(path, o.Data, 0o600); err != nil {
		c.w.must(err)
		return
	}
	defer os.Remove(path)
	c.path(verb, path, part(path, o))
}

// directory scans a directory with a few files.
func (c *client) directory(verb string) {
	dir := filepath.Join(c.w.dir, "objects", fmt.Sprintf("d%d", c.w.ids.Add(1)))
	if err := os.Mkdir(dir, 0o700); err != nil {
		c.w.must(err)
		return
	}
	defer os.RemoveAll(dir)
	var parts []history.Part
	for range 1 + c.r.IntN(4) {
		o := c.any()
		path := filepath.Join(dir, c.newPath(o))
		if err := os.WriteFile(path, o.Data, 0o600); err != nil {
			c.w.must(err)
			return
		}
		parts = append(parts, part(path, o))
	}
	c.path(verb, dir, parts...)
}

func (c *client) path(verb, path string, parts ...history.Part) {
	q := c.request(verb, "unix", parts...)
	nc := c.connect(q)
	if nc == nil {
		return
	}
	defer nc.Close()
	framing := c.framing()
	_, err := nc.Write(command(framing, verb+" "+path))
	q.Sent = history.Now()
	c.finish(q, nc, framing, err)
}

// sendSlowly sends data in pieces over the time total.
func sendSlowly(nc net.Conn, data []byte, total time.Duration) error {
	const pieces = 20
	for piece := range slices.Chunk(data, len(data)/pieces+1) {
		if _, err := nc.Write(piece); err != nil {
			return err
		}
		time.Sleep(total / pieces)
	}
	return nil
}
