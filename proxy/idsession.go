package proxy

import (
	"errors"
	"os"
	"sync"

	"polyclam/protocol"
)

// serveIDs answers the commands of an IDSESSION: numbered, scans side by side, in
// whatever order they are done. err is what came with the IDSESSION command.
func (s *session) serveIDs(term byte, err error) {
	ids := &idSession{s: s, term: term, slots: make(chan struct{}, s.srv.cfg.Load().Limits.SessionScans)}
	defer ids.scans.Wait() // pending replies come before the end
	if err != nil {
		s.request(protocol.Command{Term: term}, 1).refuse(err)
		return
	}
	for ids.next() {
	}
}

type idSession struct {
	s     *session
	term  byte           // of the last command
	id    int            // of the last command
	scans sync.WaitGroup // scans under way
	slots chan struct{}  // bounds them
}

// next reads and answers one command, and reports whether another may follow.
func (ids *idSession) next() bool {
	s := ids.s
	cmd, err := s.read(s.srv.cfg.Load().Limits.ReadTimeout)
	if errors.Is(err, os.ErrDeadlineExceeded) && len(ids.slots) > 0 && !s.srv.isClosing() && s.conn.Buffered() == 0 {
		return true // the client waits for us, not we for it
	}
	if err != nil && !errors.Is(err, protocol.ErrStrayDescriptor) {
		s.request(protocol.Command{Term: ids.term}, ids.id+1).refuse(err)
		return false
	}
	ids.id++
	if !cmd.Prefixed {
		cmd.Term = ids.term
		r := s.request(cmd, ids.id)
		r.sendError(`Only nCMDS\n and zCMDS\0 are accepted inside IDSESSION. ERROR`)
		r.sendError("Error processing command. ERROR")
		return false
	}
	ids.term = cmd.Term
	more := ids.answer(s.request(cmd, ids.id))
	if err != nil {
		s.request(cmd, ids.id+1).refuse(err)
		return false
	}
	return more
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
		ids.run(r.scanPath)
		return true
	case protocol.VerbInstream, protocol.VerbXInstream:
		content := r.receive()
		if content != nil {
			ids.run(func() { r.scanStream(content) })
		}
		return content != nil
	case protocol.VerbFildes, protocol.VerbXFildes:
		fd, err := r.s.conn.RawDescriptor()
		if err != nil {
			r.refuse(err)
			return false
		}
		ids.run(func() { r.scanDescriptor(fd) })
		return true
	case protocol.VerbEnd:
		return false
	}
	r.sendError("Command invalid inside IDSESSION. ERROR")
	return false
}

// run scans on a goroutine, once there is a slot. While there is none the session
// reads no further command: the client's own pipelining is what is slowed down.
func (ids *idSession) run(scan func()) {
	ids.slots <- struct{}{}
	ids.scans.Add(1)
	go func() {
		defer ids.scans.Done()
		defer func() { <-ids.slots }()
		// A panic must not look like a scan that is still under way.
		defer func() {
			if p := recover(); p != nil {
				ids.s.nc.Close()
				ids.s.srv.log.Error().Interface("panic", p).Msg("panic")
			}
		}()
		scan()
	}()
}
