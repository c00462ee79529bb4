package main

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"time"

	"polyclam/test/chaos/history"
	"polyclam/test/chaos/object"
)

// scanning is one object under scan.
type scanning struct {
	n    *node
	c    *conversation // nil for a program
	m    mode
	rec  history.Scan
	data []byte
	j    object.Judgement
}

// note logs a step.
func (s *scanning) note(step string) {
	s.rec.Step, s.rec.At = step, history.Now()
	if err := s.n.log.Write(s.rec); err != nil {
		panic(err) // a run without its log proves nothing
	}
}

// reloaded logs that the node was asked to load its signatures.
func (n *node) reloaded() {
	rec := history.Scan{Step: history.Reload, At: history.Now(), Node: n.name, Process: os.Getpid()}
	if err := n.log.Write(rec); err != nil {
		panic(err) // a run without its log proves nothing
	}
}

var errHangUp = errors.New("the fault ends the connection")

// earlyHead is how much of the object an early answer is based on.
const earlyHead = 1 << 10

// receive reads an object of size bytes, or -1 if the size is unknown. answer sends an
// answer before the whole object is read.
func (s *scanning) receive(r io.Reader, size int64, answer func() error) error {
	if s.m.Fault == "slowread" {
		r = slowReader{r, time.Duration(s.m.Delay) * time.Millisecond}
	}
	var data bytes.Buffer
	var err error
	stop := int64(-1)
	switch s.m.Fault {
	case "early":
		stop = earlyHead
	case "closeread":
		stop = int64(s.m.N)
	}
	if stop >= 0 {
		if _, err = io.CopyN(&data, r, stop); err == nil && s.affected(data.Bytes()) {
			if s.m.Fault == "closeread" {
				s.received(data.Bytes(), false)
				return errHangUp
			}
			return s.early(&data, r, answer)
		}
	}
	if err == nil {
		_, err = io.Copy(&data, r)
	}
	if err == io.EOF {
		err = nil
	}
	whole := err == nil && (size < 0 || int64(data.Len()) == size)
	if err == nil && !whole {
		err = io.ErrUnexpectedEOF
	}
	s.received(data.Bytes(), whole)
	return err
}

// inHand records that the engine has the whole object as a file. polyclam cannot notice
// that an answer is based on only part of it.
func (s *scanning) inHand() {
	if s.m.Fault == "early" {
		s.m.Fault = ""
	}
}

// early answers from the beginning of the object and then reads the rest.
func (s *scanning) early(data *bytes.Buffer, r io.Reader, answer func() error) error {
	s.received(data.Bytes(), false)
	if err := answer(); err != nil {
		return err
	}
	io.Copy(io.Discard, r)
	return errHangUp
}

// received judges what was read.
func (s *scanning) received(data []byte, whole bool) {
	s.rec.SHA, s.rec.Size, s.rec.Whole = object.Sum(data), int64(len(data)), whole
	s.data = data
	s.affected(data)
	s.j = object.Judge(data, s.n.engine, s.m.Generation)
	s.rec.Nonce = s.j.Nonce
	switch s.m.Fault {
	case "blind":
		s.j.Virus, s.j.Encrypted = "", false
	case "paranoid":
		s.j.Virus = object.ParanoidName + s.j.Nonce
	}
	s.note(history.Read)
}

// affected reports whether the fault affects this object, and drops it if not.
func (s *scanning) affected(data []byte) bool {
	if s.m.Spare && object.NonceOf(data) == "" {
		s.m.Fault = ""
	}
	return s.m.Fault != ""
}

// verdict is the honest answer.
func (s *scanning) verdict() string {
	switch {
	case s.j.Virus != "":
		return history.Virus
	case s.j.Encrypted:
		return history.Encrypted
	}
	return history.Clean
}

// garbage is what no engine says.
var garbage = []string{
	"\x00\xff\x13garbage\r\n\r\n\x00",
	"OK\r\n\r\n\x00",
	"1: OK\x00",
	"stream: OK maybe\x00",
	"DONE OK\r\n\r\n",
	"ICAP/1.0 200 OK\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
}

// say logs an answer and writes it, changed by the fault. failure is this engine's
// error reply, changed is the answer with the number of another request. An error means
// that the connection must end.
func (s *scanning) say(answer, failure, changed string) error {
	s.rec.Fault, s.rec.Verdict, s.rec.Name = s.m.Fault, s.verdict(), s.j.Virus
	pause := time.Duration(s.m.Delay) * time.Millisecond
	out := []byte(answer)
	cut := -1
	switch s.m.Fault {
	case "mute":
		s.n.await(func(m mode) bool { return m.Fault != "mute" })
		return errHangUp
	case "late", "latency":
		time.Sleep(pause)
	case "cut", "stall":
		cut = s.m.N % len(out)
	case "garbage":
		out = []byte(garbage[s.m.N%len(garbage)])
	case "error":
		out = []byte(failure)
	case "wrongid":
		out = []byte(changed)
	}
	if cut >= 0 {
		out = out[:cut]
	}
	if string(out) != answer {
		s.rec.Verdict, s.rec.Name = history.Nothing, ""
	}
	return s.write(out, pause)
}

func (s *scanning) write(out []byte, pause time.Duration) error {
	if s.m.Fault == "reset" {
		s.rec.Verdict = history.Nothing
		s.note(history.Answer)
		if tcp, ok := s.c.Conn.(*net.TCPConn); ok {
			tcp.SetLinger(0)
		}
		return errHangUp
	}
	s.note(history.Answer)
	step := len(out)
	if s.m.Fault == "drip" {
		step = 3
	}
	for piece := range slices.Chunk(out, max(step, 1)) {
		if _, err := s.c.Write(piece); err != nil {
			return err
		}
		if s.m.Fault == "drip" {
			time.Sleep(pause)
		}
	}
	if s.m.Fault == "stall" {
		s.n.await(func(m mode) bool { return m.Fault != "stall" })
		return errHangUp
	}
	if s.m.Fault == "cut" {
		return errHangUp
	}
	s.note(history.Answered)
	if s.m.Fault == "twice" {
		time.Sleep(pause)
		s.c.Write(out)
	}
	return nil
}

// slowReader reads a few bytes at a time.
type slowReader struct {
	r     io.Reader
	pause time.Duration
}

func (r slowReader) Read(p []byte) (int, error) {
	time.Sleep(r.pause)
	return r.r.Read(p[:min(len(p), 4<<10)])
}
