package proxy

import (
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"polyclam/protocol"
	"polyclam/proxy/budget"
	"polyclam/proxy/spool"
)

// An idSession is an IDSESSION: numbered commands, whose scans run concurrently and are
// answered in the order in which they end.
type idSession struct {
	s      *session
	term   byte           // of the last command
	id     int            // of the last command
	more   bool           // bytes came together with the IDSESSION command
	until  int64          // end of the input that is still answered during a shutdown; 0: not known yet
	scans  sync.WaitGroup // scans under way
	ended  bool           // there are no more commands
	rested bool           // the read deadline is that of a command that did not come soon
	slots  chan struct{}  // limits the scans under way; nil: there has been none

	objects *budget.Allowance
	release func() // returns the descriptor reserved for the next object; nil: none is reserved
}

// beginIDs begins an IDSESSION. err came with its command.
func (s *session) beginIDs(term byte, err error) {
	s.ids = &idSession{
		s: s, term: term, more: s.conn.Buffered() > 0,
		objects: budget.NewAllowance(s.srv.objects, s.peer.key),
	}
	if err != nil {
		s.ids.refuse(protocol.Command{Term: term}, err)
		s.endIDs()
	}
}

// next reads and answers one command, and reports whether another may follow. If the session
// rests, next has answered nothing.
func (ids *idSession) next() (more, rests bool) {
	s := ids.s
	if ids.ended || s.ctx.Err() != nil {
		return false, false // cut off: the rest of the client's input is not scanned
	}
	if !ids.reserveObject() {
		return false, false
	}
	cmd, rests, err := ids.read()
	switch {
	case rests:
		return true, true
	case errors.Is(err, os.ErrDeadlineExceeded) && len(ids.slots) > 0 && !s.srv.isClosing() && s.conn.Buffered() == 0:
		return true, false // the client waits for us, not we for it
	case err != nil && !errors.Is(err, protocol.ErrStrayDescriptor):
		ids.refuse(protocol.Command{Term: ids.term}, err)
		return false, false
	}
	return ids.command(cmd, err), false
}

// command answers one command. stray is not nil if a descriptor came with it.
func (ids *idSession) command(cmd protocol.Command, stray error) (more bool) {
	s := ids.s
	if s.takeTag(cmd) {
		if ids.term = cmd.Term; stray != nil {
			ids.refuse(cmd, stray)
		}
		return stray == nil
	}
	ids.id++
	if !cmd.Prefixed {
		cmd.Term = ids.term
		r := s.request(cmd, ids.id)
		defer r.end()
		ids.refuseBare(r, stray)
		return false
	}
	ids.term = cmd.Term
	r := s.request(cmd, ids.id)
	defer r.endUnlessUploading()
	more = ids.answer(r)
	switch {
	case s.upload != nil:
		s.upload.stray = stray
	case stray != nil:
		ids.refuse(cmd, stray)
		return false
	}
	return more
}

// received has the object of an INSTREAM scanned. It is nil if the stream has been answered.
// stray came with the command.
func (ids *idSession) received(r *request, object *spool.Object, stray error) (more bool) {
	if object != nil {
		ids.run(r, func() { r.scanStream(object) })
	}
	if stray != nil {
		ids.refuse(r.cmd, stray)
		return false
	}
	return object != nil || r.drained
}

// reserveObject waits for a descriptor for the object of the next command. It reports
// false if the session has ended.
func (ids *idSession) reserveObject() bool {
	if ids.release == nil {
		ids.watched(func() { ids.release = ids.objects.Take(ids.s.ctx) })
	}
	return ids.release != nil
}

// watched runs f, which keeps the session from reading its connection, and watches the
// client meanwhile.
func (ids *idSession) watched(f func()) {
	ids.s.watch.begin()
	defer ids.s.watch.end()
	f()
}

// endIDs waits for the scans under way of an IDSESSION, if there is one.
func (s *session) endIDs() {
	ids := s.ids
	if ids == nil || ids.ended {
		return
	}
	ids.ended = true
	if ids.release != nil {
		ids.release()
	}
	ids.watched(ids.scans.Wait)
}

// read waits for the next command. It reports that the session rests if the client has sent
// nothing for a while, and waits for the remaining time when it is called again.
func (ids *idSession) read() (cmd protocol.Command, rests bool, err error) {
	s := ids.s
	if s.crowded() {
		return protocol.Command{}, false, io.EOF
	}
	total := s.srv.generations.config().Limits.ReadTimeout
	wait := total
	if s.conn.Awaits() {
		wait = min(total, restAfter)
	}
	// Before the first command it rests immediately: many sessions wait long for that one.
	if wait < total && !ids.rested && ids.id == 0 && s.conn.Buffered() == 0 && s.srv.idle(s, total) {
		ids.rested = true
		return protocol.Command{}, true, nil
	}
	if ids.rested || s.srv.idle(s, wait) {
		cmd, err := s.conn.ReadCommand()
		exceeded := errors.Is(err, os.ErrDeadlineExceeded)
		if exceeded && !ids.rested && wait < total && s.srv.idle(s, total-wait) {
			ids.rested = true
			return cmd, true, nil
		}
		ids.rested = false
		s.srv.busy(s)
		if !exceeded || !s.srv.isClosing() {
			return cmd, false, err
		}
	}
	cmd, err = ids.readLast()
	return cmd, false, err
}

// secureAhead is more than crypto/tls has read from the socket and not returned yet.
const secureAhead = 1 << 10

// readLast returns the next command among those that had arrived when the session noticed
// the shutdown. It reads no later ones, or a busy client would never end.
func (ids *idSession) readLast() (protocol.Command, error) {
	conn := ids.s.conn
	if ids.until == 0 {
		ids.until = conn.Consumed() + int64(conn.Buffered()+ids.s.unread())
		if _, ok := ids.s.nc.(secureConn); ok {
			ids.until += secureAhead
		}
	}
	if conn.Consumed() >= ids.until {
		return protocol.Command{}, ErrServerClosed
	}
	conn.SetReadDeadline(time.Now().Add(firstCommand)) // the last one may be incomplete
	return conn.ReadCommand()
}

// refuse answers input that is not a command.
func (ids *idSession) refuse(cmd protocol.Command, err error) {
	r := ids.s.request(cmd, ids.id+1)
	defer r.end()
	r.refuse(err)
}

// refuseBare refuses a command without a prefix. If a descriptor came with the command,
// stray is not nil; clamd 1.4.6 then answers differently if everything came together with
// IDSESSION.
func (ids *idSession) refuseBare(r *request, stray error) {
	r.logUnknown("a command without n or z inside IDSESSION")
	if stray == nil || ids.id > 1 || !ids.more {
		r.sendError(`Only nCMDS\n and zCMDS\0 are accepted inside IDSESSION. ERROR`)
	}
	if stray == nil {
		r.sendError("Error processing command. ERROR")
		return
	}
	r.refuse(stray)
}

// answer answers one command, and reports whether another may follow. Quick commands are
// answered and objects received here; scans get their own goroutines.
func (ids *idSession) answer(r *request) bool {
	switch r.cmd.Verb {
	case protocol.VerbPing, protocol.VerbVersion, protocol.VerbVersionCommands,
		protocol.VerbStats, protocol.VerbXStatus:
		r.answer()
		return r.switchedOff() == "" // clamd 1.5 ends the session
	case protocol.VerbScan, protocol.VerbXScan:
		if !r.lst.PathCommands {
			r.unavailable("path_commands")
			return false
		}
		ids.run(r, func() { scanPath(r) })
		return true
	case protocol.VerbInstream, protocol.VerbXInstream:
		r.beginUpload()
		return ids.s.upload != nil || r.drained
	case protocol.VerbFildes, protocol.VerbXFildes:
		r.s.conn.SetReadDeadline(time.Now().Add(r.cfg.Limits.ReadTimeout)) // that of the command may be a short one
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
	switch r.cmd.Verb {
	case "":
		r.logUnknown("unknown command inside IDSESSION")
	case protocol.VerbXTag:
		r.logRefusal(badTag)
	default:
		r.logRefusal("not allowed inside IDSESSION")
	}
	r.sendError("Command invalid inside IDSESSION. ERROR")
	return false
}

// run waits for a slot and scans on a goroutine. While the session waits it reads no
// further commands, which slows down a client that pipelines.
func (ids *idSession) run(r *request, scan func()) {
	if ids.slots == nil {
		ids.slots = make(chan struct{}, ids.s.srv.generations.config().Limits.SessionScans)
	}
	ids.watched(func() { ids.slots <- struct{}{} })
	release := ids.release
	ids.release = nil
	ids.scans.Add(1)
	ids.s.srv.generations.retain(r.generation)
	go func() {
		defer ids.scans.Done()
		defer r.end()
		defer release()
		defer func() { <-ids.slots }()
		// A panic must not look like a scan that is still under way.
		defer r.rescue(func() { ids.s.cutOff(errPanicked) })
		scan()
	}()
}
