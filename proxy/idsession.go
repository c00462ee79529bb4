package proxy

import (
	"errors"
	"os"
	"sync"
	"time"

	"polyclam/protocol"
)

// serveIDs answers the commands of an IDSESSION: numbered, scans side by side, in
// whatever order they are done. err is what came with the IDSESSION command.
func (s *session) serveIDs(term byte, err error) {
	ids := &idSession{s: s, term: term, more: s.conn.Buffered() > 0, slots: make(chan struct{}, s.srv.cfg.Load().Limits.SessionScans)}
	ids.objects = newAllowance(&s.srv.objects, s.key)
	s.ids = ids
	defer ids.end() // pending replies come before the end
	if err != nil {
		s.refuse(protocol.Command{Term: term}, 1, err)
		return
	}
	for ids.next() {
	}
}

type idSession struct {
	s     *session
	term  byte           // of the last command
	id    int            // of the last command
	more  bool           // bytes came with the IDSESSION
	until int64          // the end of the input that is still answered during a shutdown; 0: not known yet
	scans sync.WaitGroup // scans under way
	slots chan struct{}  // bounds them
	ended sync.Once      // the first reason to cut off the client is logged

	objects *allowance
	release func() // gives back the place of the next object; nil: there is none
}

// next reads and answers one command, and reports whether another may follow.
func (ids *idSession) next() bool {
	s := ids.s
	if s.ctx.Err() != nil {
		return false // cut off: what is left of the client's input is not for scanning
	}
	if !ids.ready() {
		return false
	}
	cmd, err := s.read(s.srv.cfg.Load().Limits.ReadTimeout)
	if errors.Is(err, os.ErrDeadlineExceeded) && len(ids.slots) > 0 && !s.srv.isClosing() && s.conn.Buffered() == 0 {
		return true // the client waits for us, not we for it
	}
	if err != nil && !errors.Is(err, protocol.ErrStrayDescriptor) {
		s.refuse(protocol.Command{Term: ids.term}, ids.id+1, err)
		return false
	}
	ids.id++
	if !cmd.Prefixed {
		cmd.Term = ids.term
		r := s.request(cmd, ids.id)
		defer r.end()
		ids.refuseBare(r, err)
		return false
	}
	ids.term = cmd.Term
	r := s.request(cmd, ids.id)
	defer r.end()
	more := ids.answer(r)
	if err != nil {
		s.refuse(cmd, ids.id+1, err)
		return false
	}
	return more
}

// readLast returns the next of the commands that the client had sent when the session
// noticed the shutdown. Later ones are not read: a busy client would never end.
func (ids *idSession) readLast() (protocol.Command, error) {
	conn := ids.s.conn
	if ids.until == 0 {
		ids.until = conn.Consumed() + int64(conn.Buffered()+ids.s.unread())
	}
	if conn.Consumed() >= ids.until {
		return protocol.Command{}, ErrServerClosed
	}
	conn.SetReadDeadline(time.Now().Add(firstCommand)) // one that is not complete
	return conn.ReadCommand()
}

// refuseBare refuses bytes without a prefix. What clamd 1.4.6 says of a descriptor beside
// them (stray is not nil then) depends on whether they came with the IDSESSION.
func (ids *idSession) refuseBare(r *request, stray error) {
	if stray == nil || ids.id > 1 || !ids.more {
		r.sendError(`Only nCMDS\n and zCMDS\0 are accepted inside IDSESSION. ERROR`)
	}
	if stray == nil {
		r.sendError("Error processing command. ERROR")
		return
	}
	r.refuse(stray)
}

// answer answers one command: quick ones and whatever must be read at once here,
// scans on a goroutine of their own.
func (ids *idSession) answer(r *request) bool {
	switch r.cmd.Verb {
	case protocol.VerbPing, protocol.VerbVersion, protocol.VerbVersionCommands,
		protocol.VerbStats, protocol.VerbXStatus:
		r.answer()
		return true
	case protocol.VerbScan, protocol.VerbXScan:
		if !r.lst.PathCommands {
			r.unavailable()
			return false
		}
		ids.run(r, r.scanPath)
		return true
	case protocol.VerbInstream, protocol.VerbXInstream:
		object := r.receive()
		if object != nil {
			ids.run(r, func() { r.scanStream(object) })
		}
		return object != nil
	case protocol.VerbFildes, protocol.VerbXFildes:
		fd, err := r.s.conn.RawDescriptor()
		if err != nil {
			r.refuse(err)
			return false
		}
		ids.run(r, func() { r.scanDescriptor(fd) })
		return true
	case protocol.VerbEnd:
		return false
	}
	r.sendError("Command invalid inside IDSESSION. ERROR")
	return false
}

// run scans on a goroutine, once there is a slot. While there is none the session
// reads no further command: the client's own pipelining is what is slowed down.
func (ids *idSession) run(r *request, scan func()) {
	ids.away(func() { ids.slots <- struct{}{} })
	release := ids.release
	ids.release = nil
	ids.scans.Add(1)
	ids.s.srv.retain(r.generation)
	go func() {
		defer ids.scans.Done()
		defer r.end()
		defer release()
		defer func() { <-ids.slots }()
		// A panic must not look like a scan that is still under way.
		defer func() {
			if p := recover(); p != nil {
				ids.s.cutOff(errPanicked)
				ids.s.srv.log.Error().Interface("panic", p).Msg("panic")
			}
		}()
		scan()
	}()
}
