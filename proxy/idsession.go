package proxy

import (
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"polyclam/protocol"
	"polyclam/proxy/budget"
)

// An idSession is an IDSESSION: numbered commands, whose scans run concurrently and are
// answered in the order in which they end.
type idSession struct {
	s     *session
	term  byte           // of the last command
	id    int            // of the last command
	more  bool           // bytes came together with the IDSESSION command
	until int64          // end of the input that is still answered during a shutdown; 0: not known yet
	scans sync.WaitGroup // scans under way
	slots chan struct{}  // limits the scans under way

	objects *budget.Allowance
	release func() // returns the descriptor reserved for the next object; nil: none is reserved
}

// serveIDs answers the commands of an IDSESSION. err came with the IDSESSION command.
func (s *session) serveIDs(term byte, err error) {
	ids := &idSession{
		s: s, term: term, more: s.conn.Buffered() > 0,
		slots:   make(chan struct{}, s.srv.generations.config().Limits.SessionScans),
		objects: budget.NewAllowance(s.srv.objects, s.key),
	}
	s.numbered = true
	defer ids.end() // pending replies come first
	if err != nil {
		ids.refuse(protocol.Command{Term: term}, err)
		return
	}
	for ids.next() {
	}
}

// next reads and answers one command, and reports whether another may follow.
func (ids *idSession) next() bool {
	s := ids.s
	if s.ctx.Err() != nil {
		return false // cut off: the rest of the client's input is not scanned
	}
	if !ids.reserveObject() {
		return false
	}
	cmd, err := ids.read()
	if errors.Is(err, os.ErrDeadlineExceeded) && len(ids.slots) > 0 && !s.srv.isClosing() && s.conn.Buffered() == 0 {
		return true // the client waits for us, not we for it
	}
	if err != nil && !errors.Is(err, protocol.ErrStrayDescriptor) {
		ids.refuse(protocol.Command{Term: ids.term}, err)
		return false
	}
	if s.takeTag(cmd) {
		if ids.term = cmd.Term; err != nil {
			ids.refuse(cmd, err)
		}
		return err == nil
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
		ids.refuse(cmd, err)
		return false
	}
	return more
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

// end waits for the scans under way.
func (ids *idSession) end() {
	if ids.release != nil {
		ids.release()
	}
	ids.watched(ids.scans.Wait)
}

// read waits for the next command.
func (ids *idSession) read() (protocol.Command, error) {
	s := ids.s
	if s.crowded() {
		return protocol.Command{}, io.EOF
	}
	if s.srv.idle(s, s.srv.generations.config().Limits.ReadTimeout) {
		cmd, err := s.conn.ReadCommand()
		s.srv.busy(s)
		if !errors.Is(err, os.ErrDeadlineExceeded) || !s.srv.isClosing() {
			return cmd, err
		}
	}
	return ids.readLast()
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
		object := r.receive()
		if object != nil {
			ids.run(r, func() { r.scanStream(object) })
		}
		return object != nil || r.drained
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
