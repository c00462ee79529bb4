package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"polyclam/backends/testfile"
	"polyclam/protocol"
)

// eicarBegin is enough of the EICAR test file to recognise it.
var eicarBegin = testfile.EICAR()[:11]

// An engine is a fake clamd: it takes a fixed time, finds the EICAR test file, and
// calls everything else clean. It is configured before it serves.
type engine struct {
	latency    time.Duration
	threads    chan struct{} // concurrent scans; nil: any number
	stall      time.Duration // duration of every stallEvery-th scan
	stallEvery uint64
	loadTime   time.Duration // duration of a RELOAD
	concurrent bool          // it keeps scanning during a reload
	mute       atomic.Bool   // it reads requests and never answers
	gone       atomic.Bool   // it closes every connection

	scans   atomic.Uint64
	checks  atomic.Uint64 // scans of EICAR
	refused atomic.Uint64 // connections while gone
	reloads atomic.Int64  // completed
	loading atomic.Bool
	gate    sync.RWMutex // held by a reload that is not concurrent
}

// serve accepts connections until ln is closed.
func (e *engine) serve(ln net.Listener) {
	for {
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		if e.gone.Load() {
			e.refused.Add(1)
			nc.Close()
			continue
		}
		go e.answer(protocol.NewConn(nc))
	}
}

const engineTimeout = 10 * time.Minute

// answer serves one connection. It answers the commands of a session in order.
func (e *engine) answer(c *protocol.Conn) {
	defer c.Close()
	id, session := 0, false
	for {
		c.SetReadDeadline(time.Now().Add(engineTimeout))
		cmd, err := c.ReadCommand()
		if err != nil || cmd.Verb == protocol.VerbEnd || e.gone.Load() {
			return
		}
		if cmd.Verb == protocol.VerbIDSession {
			session = true
			continue
		}
		id++
		reply, err := e.reply(c, cmd)
		if err != nil {
			return
		}
		if session {
			reply = fmt.Sprintf("%d: %s", id, reply)
		}
		if c.WriteReply(append([]byte(reply), cmd.Term), time.Minute) != nil || !session {
			return
		}
	}
}

// reply is the answer to a command. While clamd loads signatures in its main thread, it
// reads no command and so answers none.
func (e *engine) reply(c *protocol.Conn, cmd protocol.Command) (string, error) {
	e.gate.RLock()
	defer e.gate.RUnlock()
	for e.mute.Load() {
		time.Sleep(10 * time.Millisecond)
	}
	switch cmd.Verb {
	case protocol.VerbPing:
		return "PONG", nil
	case protocol.VerbVersion:
		return e.version(), nil
	case protocol.VerbVersionCommands:
		return e.version() + "| COMMANDS: SCAN QUIT RELOAD PING CONTSCAN VERSIONCOMMANDS VERSION END SHUTDOWN MULTISCAN FILDES STATS IDSESSION INSTREAM DETSTATSCLEAR DETSTATS ALLMATCHSCAN", nil
	case protocol.VerbReload:
		if e.loading.CompareAndSwap(false, true) {
			go e.reload()
		}
		return "RELOADING", nil
	case protocol.VerbInstream:
		var object head
		if _, err := c.Stream(0, time.Minute).WriteTo(&object); err != nil {
			return "", err
		}
		return "stream: " + e.scan(object.b), nil
	case protocol.VerbFildes:
		f, err := c.Descriptor()
		if err != nil {
			return "", err
		}
		defer f.Close()
		b := make([]byte, 16)
		n, err := f.ReadAt(b, 0)
		if err != nil && err != io.EOF {
			return "", err
		}
		return "fd[10]: " + e.scan(b[:n]), nil
	case protocol.VerbScan:
		b, err := os.ReadFile(cmd.Arg)
		if err != nil {
			return cmd.Arg + ": " + err.Error() + " ERROR", nil
		}
		return cmd.Arg + ": " + e.scan(b), nil
	}
	return "UNKNOWN COMMAND", nil
}

// scan takes the engine's time for an object. It only needs the beginning of it.
func (e *engine) scan(object []byte) string {
	if e.threads != nil {
		e.threads <- struct{}{}
		defer func() { <-e.threads }()
	}
	took := e.latency
	if n := e.scans.Add(1); e.stallEvery > 0 && n%e.stallEvery == 0 {
		took = e.stall
	}
	time.Sleep(took)
	if bytes.HasPrefix(object, eicarBegin) {
		e.checks.Add(1)
		return "Eicar-Test-Signature FOUND"
	}
	return "OK"
}

// reload loads signatures like a clamd with or without ConcurrentDatabaseReload.
func (e *engine) reload() {
	if !e.concurrent {
		e.gate.Lock()
		defer e.gate.Unlock()
	}
	time.Sleep(e.loadTime)
	e.reloads.Add(1)
	e.loading.Store(false)
}

// version changes with every reload.
func (e *engine) version() string {
	return fmt.Sprintf("ClamAV 1.4.6/%d/Mon Nov 23 08:00:00 2026", 27500+e.reloads.Load())
}

// head keeps the beginning of what is written to it.
type head struct{ b []byte }

func (h *head) Write(p []byte) (int, error) {
	h.b = append(h.b, p[:min(len(p), 16-len(h.b))]...)
	return len(p), nil
}

// engineHere starts an engine in this process and returns the path of its socket.
func (t *trial) engineHere(name string, e *engine) (string, error) {
	path := t.path(name + ".sock")
	ln, err := net.Listen("unix", path)
	if err != nil {
		return "", err
	}
	t.atEnd(func() { ln.Close() })
	go e.serve(ln)
	return path, nil
}
