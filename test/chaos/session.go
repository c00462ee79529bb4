package main

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"polyclam/test/chaos/history"
	"polyclam/test/chaos/object"
)

// session sends several commands of one IDSESSION without waiting in between.
func (c *client) session() {
	listener := c.listener()
	s := &idSession{c: c, number: int(c.w.sessions.Add(1)), listener: listener, framing: c.framing()}
	n := 1 + c.r.IntN(8)
	nc := c.connect(c.request("IDSESSION", listener))
	if nc == nil {
		return
	}
	defer nc.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		rest, err := replies(nc, terminator(s.framing), s.reply)
		s.end(rest, err)
	}()
	if _, err := nc.Write(command(s.framing, "IDSESSION")); err == nil {
		s.send(nc, n)
	}
	nc.Write(command(s.framing, "END"))
	<-done
	s.end("", nil) // for requests after the end
	for _, path := range s.paths {
		os.Remove(path)
	}
	for _, q := range s.requests {
		c.note(q)
	}
}

type idSession struct {
	c        *client
	number   int
	listener string
	framing  byte
	paths    []string // of files to be removed

	mu       sync.Mutex
	requests []*history.Request
	stray    []string
}

// send sends n requests.
func (s *idSession) send(nc net.Conn, n int) {
	verbs := []string{"INSTREAM", "INSTREAM", "INSTREAM", "PING"}
	if s.listener == "unix" {
		verbs = append(verbs, "FILDES", "FILDES", "SCAN", "XINSTREAM")
	}
	for range n {
		verb, o := s.c.oneOf(verbs...), s.c.any()
		q := s.c.request(verb, s.listener)
		q.Repeat = s.c.known[o.Nonce]
		q.Session, q.Outcome = s.number, history.Closed
		err := s.ask(nc, q, o)
		s.mu.Lock()
		q.Sent = history.Now()
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// add makes q the next request of the session.
func (s *idSession) add(q *history.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, q)
	q.Number = len(s.requests)
}

func (s *idSession) ask(nc net.Conn, q *history.Request, o object.Object) error {
	var err error
	switch q.Verb {
	case "PING":
		s.add(q)
		_, err = nc.Write(command(s.framing, "PING"))
	case "FILDES":
		var f *os.File
		if f, err = anonymous(o.Data); err != nil {
			s.c.w.must(err)
			return err
		}
		defer f.Close()
		q.Parts = append(q.Parts, part("fd", o))
		s.add(q)
		if _, err = nc.Write(command(s.framing, "FILDES")); err == nil {
			err = sendFile(nc, f)
		}
	case "SCAN":
		path := filepath.Join(s.c.w.dir, "objects", s.c.newPath(o))
		if err = os.WriteFile(path, o.Data, 0o600); err != nil {
			s.c.w.must(err)
			return err
		}
		s.paths = append(s.paths, path)
		q.Parts = append(q.Parts, part(path, o))
		s.add(q)
		_, err = nc.Write(command(s.framing, "SCAN "+path))
	default:
		q.Parts = append(q.Parts, part("stream", o))
		s.add(q)
		_, err = nc.Write(append(command(s.framing, q.Verb), chunked(o.Data, s.c.chunk(len(o.Data)))...))
	}
	return err
}

// reply assigns a line to the request with its number.
func (s *idSession) reply(line string, at history.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	digits, text, _ := strings.Cut(line, ": ")
	n, err := strconv.Atoi(digits)
	if err != nil || n < 1 || n > len(s.requests) {
		if line != "COMMAND READ TIMED OUT" {
			s.stray = append(s.stray, line)
		}
		return
	}
	q := s.requests[n-1]
	q.Lines, q.End, q.Outcome = append(q.Lines, text), at, history.Replied
}

// end records how the session ended for requests without a reply.
func (s *idSession) end(rest string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := history.Now()
	for _, q := range s.requests {
		if q.End > 0 {
			continue
		}
		q.End, q.Outcome = now, outcome(err)
		if err != nil {
			q.Error = err.Error()
		}
		if rest != "" {
			q.Error = "half a reply: " + strconv.Quote(rest)
		}
	}
	if len(s.requests) > 0 {
		s.requests[0].Stray = s.stray
	}
}
