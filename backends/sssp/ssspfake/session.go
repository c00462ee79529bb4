package ssspfake

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"polyclam/backends/backendtest"
)

// session is one connection.
type session struct {
	*Server
	nc       net.Conn
	r        *bufio.Reader
	out      bytes.Buffer // for the next flush
	id       string
	number   int
	archives bool // GrpArchiveUnpack is on
	events   bool
	repeats  sync.WaitGroup
}

func newSession(s *Server, nc net.Conn, n int) *session {
	return &session{Server: s, nc: nc, r: bufio.NewReader(nc), id: fmt.Sprintf("5B99%04X", n), events: s.options.EventLines}
}

// run answers requests until the client closes the connection or says BYE.
func (c *session) run() {
	defer c.repeats.Wait()
	c.say("OK SSSP/1.0")
	for c.flush() {
		line, ok := c.line()
		if !ok {
			return
		}
		if rest, ok := strings.CutPrefix(line, "SSSP/1.0 "); ok {
			line = rest // Samba sends it before every request
		}
		if line == "BYE" {
			c.add(&c.byes)
			c.say("BYE")
			c.flush()
			return
		}
		if !c.answer(line) {
			return
		}
	}
}

// answer answers one request. False ends the session.
func (c *session) answer(line string) bool {
	name, argument, _ := strings.Cut(line, " ")
	switch {
	case line == "SSSP/1.0":
		c.accept()
	case strings.HasPrefix(line, "SSSP/"):
		c.reject(2)
	case line == "QUERY SERVER" && !c.options.NoQuery:
		c.server()
	case line == "QUERY ENGINE":
		c.accept()
		c.say("engineversion: 3.85.1", "savversion: 5.99", "viruscount: 64213561", "virusdatachecksum: 5d8a7c10", "")
	case line == "OPTIONS":
		return c.setOptions()
	case name == "SCANDATA":
		return c.scanData(argument)
	case name == "SCANFILE":
		return c.scanFile(argument)
	default:
		c.reject(1)
	}
	return true
}

func (c *session) server() {
	c.accept()
	c.say("version: SAV Dynamic Interface 2.6.0",
		"method: QUERY SERVER", "method: QUERY SAVI", "method: QUERY ENGINE", "method: OPTIONS")
	if !c.options.NoScanData {
		c.say("method: SCANDATA")
	}
	if c.options.ScanFile {
		c.say("method: SCANFILE", "method: SCANDIR", "method: SCANDIRR")
	}
	c.say(fmt.Sprintf("maxscandata: %d", c.options.MaxScanData), "maxmemorysize: 250000", "maxclassificationsize: 4096", "")
}

// setOptions reads an OPTIONS block.
func (c *session) setOptions() bool {
	for {
		line, ok := c.line()
		if !ok {
			return false
		}
		switch {
		case line == "" && c.options.RejectOptions:
			c.reject(3)
			return true
		case line == "":
			c.accept()
			c.reply("DONE OK 0000 The function call succeeded")
			return true
		case line == "savigrp: GrpArchiveUnpack 1", line == "savigrp: GrpSuper 1":
			c.archives = true
		case line == "report: all":
			c.events = true
		}
	}
}

// earlyHead is how much of an object is read before an early answer.
const earlyHead = 1 << 10

func (c *session) scanData(argument string) bool {
	n, err := strconv.ParseInt(argument, 10, 64)
	limit := c.options.MaxScanData
	switch {
	case c.options.RejectScans > 0:
		c.reject(c.options.RejectScans)
		return true
	case err != nil || n < 0:
		c.reject(1)
		return true
	case c.options.NoScanData:
		c.reject(5)
		return true
	case limit > 0 && n > limit:
		c.reject(4)
		return true
	}
	if !c.options.ACCAfterData {
		if c.r.Buffered() > 0 {
			c.tb.Errorf("savdid: received data before SCANDATA was accepted")
		}
		c.accept()
		if !c.flush() {
			return false
		}
	}
	var data bytes.Buffer
	early := c.options.Early && n > earlyHead
	if early {
		if _, err := io.CopyN(&data, c.r, earlyHead); err != nil || !c.scan("", data.Bytes()) || !c.flush() {
			return false
		}
	}
	if _, err := io.CopyN(&data, c.r, n-int64(data.Len())); err != nil {
		return false
	}
	if early {
		return true
	}
	if c.options.ACCAfterData {
		c.accept()
	}
	return c.scan("", data.Bytes())
}

func (c *session) scanFile(argument string) bool {
	path, err := url.PathUnescape(argument)
	switch {
	case c.options.RejectScans > 0:
		c.reject(c.options.RejectScans)
		return true
	case err != nil:
		c.reject(1)
		return true
	case !c.options.ScanFile:
		c.reject(5)
		return true
	}
	c.accept()
	data, err := os.ReadFile(path)
	if err != nil {
		c.say("FAIL 0210 "+escape(path), "DONE FAIL 0210 Could not open item passed to SAVI for scanning", "")
		return true
	}
	return c.scan(escape(path), data)
}

// scan sends the verdict about data.
func (c *session) scan(path string, data []byte) bool {
	c.add(&c.scans)
	if c.options.Slow {
		time.Sleep(time.Duration(rand.IntN(61)) * time.Millisecond)
	}
	if ms, ok := number(data, MarkSlow, 10); ok {
		select {
		case <-c.done:
			return false
		case <-time.After(time.Duration(ms) * time.Millisecond):
		}
	}
	if c.options.Odd != "" && bytes.Contains(data, []byte(backendtest.MarkOdd)) {
		c.out.WriteString(c.options.Odd)
		return true
	}
	if bytes.Contains(data, []byte(MarkClose)) {
		return false
	}
	if bytes.Contains(data, []byte(MarkGarbage)) {
		c.say("\x00\xffgarbage", "DONE OK 0000 The function call succeeded", "")
		return true
	}
	c.reply(verdict(path, data, c.archives, c.events)...)
	return true
}

func (c *session) accept() {
	c.number++
	c.say(fmt.Sprintf("ACC %s/%d", c.id, c.number))
}

func (c *session) reject(code int) { c.say(fmt.Sprintf("REJ %d", code)) }

func (c *session) say(lines ...string) {
	end := "\r\n"
	if c.options.LF {
		end = "\n"
	}
	for _, line := range lines {
		c.out.WriteString(line + end)
	}
}

// reply sends a block of lines, and with Repeat sends it again.
func (c *session) reply(lines ...string) {
	c.say(append(lines, "")...)
	if c.options.Repeat == 0 {
		return
	}
	again := strings.Join(lines, "\r\n") + "\r\n\r\n"
	c.repeats.Go(func() {
		time.Sleep(c.options.Repeat)
		io.WriteString(c.nc, again)
	})
}

func (c *session) flush() bool {
	_, err := c.out.WriteTo(c.nc)
	return err == nil
}

// line reads a request, which may end in CRLF or LF.
func (c *session) line() (string, bool) {
	line, err := c.r.ReadString('\n')
	return strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r"), err == nil
}
