package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"runtime/debug"
	"time"

	"polyclam/protocol"
	"polyclam/proxy/client"
)

// How long the rest of a client's input is read and dropped after the reply, so
// that the reply is not lost to a reset: ProFTPD, pyclamd and others send more
// than the protocol asks for.
const (
	lingerQuiet = time.Second
	lingerTotal = 5 * time.Second
	lingerBytes = 64 << 20

	// While the server is closing only what has come already is dropped: a command
	// that Shutdown was faster than.
	lingerClosing = 10 * time.Millisecond
)

// A session is one client's connection.
type session struct {
	srv     *Server
	nc      net.Conn
	conn    *protocol.Conn
	key     client.Key              // whom its share is counted for
	ctx     context.Context         // of everything done for the client: who it is, see client.FromContext
	address string                  // of the listener
	lst     *Listener               // as last seen in the configuration
	cancel  context.CancelCauseFunc // ends ctx once a command has come
	watch   watch

	begun bool       // a command has come; guarded by Server.mu
	ids   *idSession // nil outside of an IDSESSION
}

// serve answers one command, or the commands of an IDSESSION. Most of a client's
// time is spent in Await: nothing that needs stack comes before it.
func (s *session) serve() {
	defer s.srv.end(s)
	defer s.conn.Close()
	defer s.rescue()
	if !s.srv.idle(s, s.srv.cfg.Load().Limits.CommandReadTimeout) {
		return
	}
	s.conn.Await()
	s.ctx, s.cancel = context.WithCancelCause(s.ctx)
	defer s.cancel(nil)
	reserveForCommand(0)
	s.serveFirst()
	s.linger()
}

func (s *session) serveFirst() {
	of := client.FromContext(s.ctx)
	s.conn.CloseWith(func(fd int) { s.srv.files.Discard(of, fd) })
	if s.crowded() {
		return
	}
	cmd, err := s.conn.ReadCommand()
	s.srv.busy(s)
	if cmd.Verb == protocol.VerbIDSession {
		s.serveIDs(cmd.Term, err)
		return
	}
	r := s.request(cmd, 0)
	defer r.end()
	// A descriptor beside a command that has no use for it is closed already.
	if err != nil && !errors.Is(err, protocol.ErrStrayDescriptor) {
		r.refuse(err)
		return
	}
	r.answer()
}

// read waits for the next command of an IDSESSION.
func (s *session) read(timeout time.Duration) (protocol.Command, error) {
	if s.crowded() {
		return protocol.Command{}, io.EOF
	}
	if s.srv.idle(s, timeout) {
		cmd, err := s.conn.ReadCommand()
		s.srv.busy(s)
		if !errors.Is(err, os.ErrDeadlineExceeded) || !s.srv.isClosing() {
			return cmd, err
		}
	}
	return s.ids.readLast()
}

// crowded reports whether the client has handed over too many files that cannot even be
// closed, because their file systems do not answer. Such a client is refused.
func (s *session) crowded() bool {
	of := client.FromContext(s.ctx)
	if !s.srv.files.Crowded(of) {
		return false
	}
	s.srv.log.Warn().Str("client", s.client()).
		Str("reason", "too many of its files cannot be closed, their file systems do not answer").Msg("connection refused")
	return true
}

// linger lets the client read the end behind the reply and drops what it still
// sends, within bounds.
func (s *session) linger() {
	if s.conn.CloseWrite() != nil {
		return
	}
	if !s.srv.idle(s, lingerQuiet) {
		s.conn.Discard(lingerClosing, lingerClosing, lingerBytes)
		return
	}
	s.conn.Discard(lingerQuiet, lingerTotal, lingerBytes)
}

// rescue keeps the daemon alive when a command panics: its client sees a closed
// connection, never an OK.
func (s *session) rescue() {
	if p := recover(); p != nil {
		s.srv.log.Error().Interface("panic", p).Str("client", s.client()).
			Bytes("stack", debug.Stack()).Msg("panic")
	}
}

// client says who is at the other end, for the log.
func (s *session) client() string {
	if _, ok := s.nc.(*net.UnixConn); ok {
		return peer(s.nc)
	}
	return s.nc.RemoteAddr().String()
}

// request makes the request of a command, with the configuration of this moment. The
// command is over with end.
func (s *session) request(cmd protocol.Command, id int) *request {
	g := s.srv.hold()
	if lst := g.cfg.listener(s.address); lst != nil {
		s.lst = lst // else a reload has removed it: its last clients keep what they had
	}
	return &request{s: s, cmd: cmd, id: id, generation: g, cfg: g.cfg, lst: s.lst, number: s.srv.requests.Add(1)}
}

// end is the last thing a command does.
func (r *request) end() { r.s.srv.release(r.generation) }

// refuse answers what is no command.
func (s *session) refuse(cmd protocol.Command, id int, err error) {
	r := s.request(cmd, id)
	defer r.end()
	r.refuse(err)
}

// refuse says what is to be said when no command could be read.
func (r *request) refuse(err error) {
	switch {
	case errors.Is(err, protocol.ErrStrayDescriptor):
		r.sendError("PROTOCOL ERROR: ancillary data sent without FILDES. ERROR")
	case errors.Is(err, protocol.ErrNoDescriptor):
		r.notScanned("descriptor", "the client sent none or several, or polyclamd has none free (LimitNOFILE= in the unit)", nil)
		r.sendError("No file descriptor received. ERROR")
	case errors.Is(err, os.ErrDeadlineExceeded):
		r.timedOut()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		errors.Is(err, ErrServerClosed), errors.Is(err, protocol.ErrCommandTooLong):
		// clamd closes without a word.
	default:
		r.s.srv.log.Debug().Err(err).Str("client", r.s.client()).Msg("connection")
	}
}

// timedOut says that the client was too slow. clamd 1.4.6 ends this line with a
// newline and gives it no number, whatever the framing.
func (r *request) timedOut() {
	if r.s.srv.isClosing() {
		return // it is Shutdown that woke the reader
	}
	reply := r.lst.Profile.ProtocolError("COMMAND READ TIMED OUT")
	if !reply.Close {
		r.s.write([]byte(reply.Text+"\n"), r.cfg)
	}
}
