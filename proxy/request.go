package proxy

import (
	"context"
	"strings"

	"github.com/rs/xid"

	"polyclam/backends"
	"polyclam/protocol"
	"polyclam/proxy/engine"
)

// A request is one command being answered, under the configuration in force when it
// arrived. Its replies are in reply.go, its log lines in audit.go and its scans in scan.go;
// commands.go dispatches it.
type request struct {
	s     *session
	cmd   protocol.Command
	id    int    // number in an IDSESSION; 0 outside
	tag   string // the client's own id for it, see XTAG; empty: none
	logID xid.ID // names the request in the log: unique on all hosts and across restarts
	cfg   *Config
	lst   *Listener

	engines []*engine.Engine // of the listener, whatever their modes

	generation *generation // of cfg

	drained bool // the stream was refused and read to its end: another command may follow
}

// request returns a request for a command, with the current configuration. The caller must
// end it.
func (s *session) request(cmd protocol.Command, id int) *request {
	g := s.srv.generations.hold()
	if lst := g.cfg.listener(s.address); lst != nil {
		s.lst = lst // else a reload has removed it, and its last clients keep the old one
	}
	s.srv.requests.Add(1)
	return &request{
		s: s, cmd: cmd, id: id, generation: g, cfg: g.cfg, lst: s.lst, engines: g.cfg.enginesOf(s.lst), tag: s.tag, logID: xid.New(),
	}
}

// end releases the configuration of the request.
func (r *request) end() { r.s.srv.generations.release(r.generation) }

// endUnlessUploading is end for a request whose upload, if it has begun one, ends it.
func (r *request) endUnlessUploading() {
	if u := r.s.upload; u == nil || u.r != r {
		r.end()
	}
}

// extended reports whether the command is one of polyclam's X verbs.
func (r *request) extended() bool { return strings.HasPrefix(string(r.cmd.Verb), "X") }

// deadline returns the context for one scan. An engine that does not answer within the
// listener's answer_within counts as interrupted.
func (r *request) deadline() (context.Context, context.CancelFunc) {
	within := r.lst.Profile.AnswerWithin
	return context.WithTimeoutCause(r.s.ctx, within, &backends.TimeoutError{After: within, Key: "answer_within"})
}
