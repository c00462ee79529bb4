package proxy

import (
	"errors"
	"io"
	"net"
	"os"
	"strconv"

	"polyclam/protocol"
	"polyclam/proxy/policy"
	"polyclam/proxy/status"
)

// profile returns the listener's profile, adapted to this request: it leaves room for the
// number of an IDSESSION, and escapes objects where a line break in a name could end a
// record. The records of X verbs are the same in every framing. Replies to z commands
// contain names byte for byte, as clamd's do.
func (r *request) profile() status.Profile {
	p := r.lst.Profile
	p.EscapeObjects = r.cmd.Term == '\n' || r.extended()
	if p.Form != status.Plain {
		p.ID = r.logID.String()
	}
	if r.id == 0 {
		return p
	}
	n := len(": ")
	for id := r.id; id > 0; id /= 10 {
		n++
	}
	return p.Reserve(n)
}

// line is the status line of a verdict.
func (r *request) line(object string, v policy.Verdict) status.Reply {
	return r.profile().Line(object, v)
}

// allLines returns the status lines of a verdict: for ALLMATCHSCAN one for each match.
func (r *request) allLines(object string, v policy.Verdict) []status.Reply {
	if r.cmd.Verb == protocol.VerbAllMatchScan {
		return r.profile().AllMatchLines(object, v)
	}
	return []status.Reply{r.line(object, v)}
}

// replyVerdict sends the whole reply about one object.
func (r *request) replyVerdict(object string, v policy.Verdict) {
	if r.extended() {
		r.replyRecords(object, v)
		return
	}
	r.reply(r.line(object, v))
}

// replyRecords sends the reply to an X verb: the status line, a record for each engine,
// the summary, END.
func (r *request) replyRecords(object string, v policy.Verdict) {
	reply := r.line(object, v)
	if reply.Close {
		r.close()
		return
	}
	lines := []string{reply.Text}
	for _, rec := range status.Records(object, v) {
		lines = append(lines, rec.String())
	}
	r.send(append(lines, "END")...)
}

// fail sends the status line of an object that no engine received. To an X verb it sends
// END as well, so that the reply is complete.
func (r *request) fail(reply status.Reply) {
	if r.extended() && !reply.Close {
		r.send(reply.Text, "END")
		return
	}
	r.reply(reply)
}

// sendError sends a protocol error, in clamd's words if the listener's client understands
// them.
func (r *request) sendError(text string) { r.reply(r.lst.Profile.ProtocolError(text)) }

// unavailable refuses a command that the given key switches off, in the words of clamd 1.5.
func (r *request) unavailable(key string) {
	r.logRefusal("switched off for this listener (key " + key + ")")
	r.fail(r.lst.Profile.ProtocolError("COMMAND UNAVAILABLE"))
}

// unknown refuses a command that clamd does not have either.
func (r *request) unknown() {
	r.logUnknown("unknown command")
	r.sendError("UNKNOWN COMMAND")
}

// refuse answers input that could not be read as a command.
func (r *request) refuse(err error) {
	switch {
	case errors.Is(err, protocol.ErrStrayDescriptor):
		r.logRefusal("a descriptor came without FILDES")
		r.sendError("PROTOCOL ERROR: ancillary data sent without FILDES. ERROR")
	case errors.Is(err, protocol.ErrNoDescriptor):
		r.notScanned(lapseOther, "descriptor", "the client sent none or several, or polyclamd has none free (LimitNOFILE= in the unit)", nil)
		r.sendError("No file descriptor received. ERROR")
	case errors.Is(err, os.ErrDeadlineExceeded):
		r.timedOut()
	case errors.Is(err, protocol.ErrCommandTooLong):
		r.logUnknown("a command longer than any path") // clamd closes the connection without a reply
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed), errors.Is(err, ErrServerClosed):
	default:
		r.fields(r.s.srv.log.Debug(), r.s.client()).Err(err).Msg("connection")
	}
}

// timedOut answers a client that was too slow. clamd 1.4.6 ends this line with a newline
// and gives it no number, whatever the framing.
func (r *request) timedOut() {
	if r.s.srv.isClosing() {
		return // Shutdown woke the reader
	}
	reply := r.lst.Profile.ProtocolError("COMMAND READ TIMED OUT")
	if !reply.Close {
		r.s.write([]byte(reply.Text+"\n"), r.cfg.Limits.WriteTimeout)
	}
}

// reply sends one status line, or closes the connection where the profile says so.
func (r *request) reply(reply status.Reply) {
	if reply.Close {
		r.close()
		return
	}
	r.send(reply.Text)
}

// send writes lines as the records of one reply, in one write. Each starts with the
// number of an IDSESSION and ends with the command's terminator.
func (r *request) send(lines ...string) error {
	n := 0
	for _, l := range lines {
		n += len(l) + 8
	}
	b := make([]byte, 0, n)
	for _, l := range lines {
		if r.id > 0 {
			b = strconv.AppendInt(b, int64(r.id), 10)
			b = append(b, ": "...)
		}
		b = append(b, l...)
		b = append(b, r.cmd.Term)
	}
	return r.s.write(b, r.cfg.Limits.WriteTimeout)
}

// halfClose half-closes the connection after a one-shot command. Many clients read to the
// end, and should not have to wait for work that follows the reply.
func (r *request) halfClose() {
	if r.id == 0 {
		r.s.conn.CloseWrite()
	}
}

// close ends the connection without a reply to this request. It ends an IDSESSION as well,
// because the client could not know which answer is missing.
func (r *request) close() {
	if r.id > 0 {
		r.s.cutOff(errNotAnswered)
	}
}
