package proxy

import (
	"strconv"
	"strings"

	"polyclam/protocol"
	"polyclam/proxy/status"
)

// A request is one command being answered, with the configuration that was in force
// when it came.
type request struct {
	s      *session
	cmd    protocol.Command
	id     int    // number in an IDSESSION; 0 outside
	number uint64 // of the request since the start, for the log
	cfg    *Config
	lst    *Listener

	generation *generation // of cfg
}

// answer answers a command outside of a session, and the quick ones in it.
func (r *request) answer() {
	switch r.cmd.Verb {
	case protocol.VerbPing:
		r.send("PONG")
	case protocol.VerbVersion:
		r.send(r.clamVersion())
	case protocol.VerbVersionCommands:
		r.send(protocol.VersionCommands(r.clamVersion()))
	case protocol.VerbStats:
		r.send(r.stats())
	case protocol.VerbXStatus:
		r.send(r.status()...)
	case protocol.VerbReload:
		r.reload()
	case protocol.VerbSelfCheck:
		r.selfCheck()
	case protocol.VerbShutdown, protocol.VerbQuit:
		r.shutdown()
	case protocol.VerbInstream, protocol.VerbXInstream:
		if object := r.receive(); object != nil {
			r.scanStream(object)
		}
	case protocol.VerbStream:
		r.stream()
	case protocol.VerbFildes, protocol.VerbXFildes:
		r.fildes()
	case protocol.VerbScan, protocol.VerbContScan, protocol.VerbMultiScan, protocol.VerbAllMatchScan,
		protocol.VerbXScan, protocol.VerbXContScan:
		if !r.lst.PathCommands {
			r.unavailable()
			return
		}
		r.scanPath()
	case protocol.VerbDetStats, protocol.VerbDetStatsClear:
		// Removed from clamd, which closes without a word.
	default:
		r.sendError("UNKNOWN COMMAND")
	}
}

func (r *request) reload() {
	if !r.lst.ReloadCommand {
		r.unavailable()
		return
	}
	r.send("RELOADING")
	r.s.srv.reloadEngines()
}

// selfCheck answers SELFCHECK, which makes a clamd of version 1.6 reload if it has to.
// Where not all engines can be asked the answer is neither of clamd's two.
func (r *request) selfCheck() {
	if !r.lst.ReloadCommand {
		r.unavailable()
		return
	}
	upToDate, err := r.s.srv.selfCheck(r.s.ctx, r.cfg)
	switch {
	case !upToDate:
		r.send(protocol.SelfCheckReloading)
	case err != nil:
		r.s.srv.log.Warn().Str("error", escape(err.Error(), 2*maxLoggedName)).Msg("self check")
		r.sendError("Not all engines answered the self check. ERROR")
	default:
		r.send(protocol.SelfCheckUpToDate)
	}
}

func (r *request) shutdown() {
	if !r.lst.ShutdownCommand {
		r.unavailable()
		return
	}
	r.s.srv.log.Info().Str("client", r.s.client()).Str("listener", r.s.address).Msg("shutdown command")
	r.s.srv.stop()
}

// unavailable refuses a command that is switched off, in the words of clamd 1.5.
func (r *request) unavailable() { r.fail(r.lst.Profile.ProtocolError("COMMAND UNAVAILABLE")) }

// extended reports whether the client asked by one of polyclam's own verbs.
func (r *request) extended() bool { return strings.HasPrefix(string(r.cmd.Verb), "X") }

// send writes lines as records of one reply, in one write, each with the number of
// a session in front and the command's terminator behind.
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
	return r.s.write(b, r.cfg)
}

// sendError says one of the protocol's own errors, in clamd's words where the
// listener's client can bear them.
func (r *request) sendError(text string) { r.reply(r.lst.Profile.ProtocolError(text)) }

// reply sends one status line, or closes where that is how the client is told.
func (r *request) reply(reply status.Reply) {
	if reply.Close {
		r.close()
		return
	}
	r.send(reply.Text)
}

// fail sends the status line of content that came to no engine. It is a whole
// answer: to polyclam's own verbs it ends as theirs do.
func (r *request) fail(reply status.Reply) {
	if r.extended() && !reply.Close {
		r.send(reply.Text, "END")
		return
	}
	r.reply(reply)
}

// done lets the client of a one-shot command read the end behind the reply, before
// anything else is done: many wait for it.
func (r *request) done() {
	if r.id == 0 {
		r.s.conn.CloseWrite()
	}
}

// close ends the connection without a reply to this request. In a session the
// reader is cut off too: which of several answers is missing could not be told.
func (r *request) close() {
	if r.id > 0 {
		r.s.cutOff(errNotAnswered)
	}
}
