package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"syscall"
	"time"

	"polyclam/protocol"
)

// reachTimeout is how long a server may take to answer a simple command. An engine that
// hangs delays polyclamd's version by a second.
const reachTimeout = 10 * time.Second

// anotherTime is reachTimeout after a server has not answered in time: at the next address it
// may be the same one.
const anotherTime = 3 * time.Second

// server is a server that has answered.
type server struct {
	target
	client *protocol.Client
	// extended reports whether the server is polyclamd and gives each engine's result.
	// Otherwise it is a clamd or a similar server.
	extended bool
}

func newClient(at target) *protocol.Client {
	if at.tls != nil {
		return &protocol.Client{Network: "tcp", Address: at.address, Dial: at.dialTLS}
	}
	return &protocol.Client{Network: at.network, Address: at.address}
}

// unreachable is the error if no server answers.
type unreachable struct {
	what, origin string
	failures     []failure // of each target
}

type failure struct {
	target
	err error
}

func (f failure) String() string {
	return fmt.Sprintf("%s: %v%s", f.target, plainError(f.err), reachHint(f.err))
}

// Error implements error.
func (e *unreachable) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "no %s answers (addresses from %s):", e.what, e.origin)
	for _, f := range e.failures {
		fmt.Fprintf(&b, "\n  %s", f)
	}
	return b.String()
}

// reach asks the servers at the usual or configured places, in order, and returns the first
// that answers. what is the kind of server, for the error, which is an [unreachable]. If the
// configuration is refused, reach says so on stderr.
func (t *tool) reach(what string, ask func(ctx context.Context, s *server) error) (*server, error) {
	p, err := t.places()
	if err != nil {
		return nil, err
	}
	if p.refused != nil {
		printLines(t.stderr, p.refused.Error())
	}
	s, err := p.reach(what, ask)
	if err == nil && p.refused != nil {
		t.printMessage(fmt.Sprintf("the configuration is refused; the server at %s is used", s))
	}
	return s, err
}

// reach is [tool.reach] without messages.
func (p places) reach(what string, ask func(ctx context.Context, s *server) error) (*server, error) {
	failed := &unreachable{what: what, origin: p.origin}
	limit := noAnswer{reachTimeout}
	for i, at := range slices.Concat(p.list, p.guesses) {
		s := &server{target: at, client: newClient(at)}
		ctx, cancel := context.WithTimeoutCause(context.Background(), limit.within, limit)
		err := ask(ctx, s)
		if err == nil && i >= len(p.list) {
			err = requirePolyclamd(ctx, s)
		}
		cancel()
		if err == nil {
			return s, nil
		}
		if errors.As(err, new(noAnswer)) {
			limit.within = anotherTime
		}
		failed.failures = append(failed.failures, failure{at, err})
	}
	return nil, failed
}

// requirePolyclamd returns an error if the server is another one, such as clamd.
func requirePolyclamd(ctx context.Context, s *server) error {
	probe := *s
	if err := identify(ctx, &probe); err != nil || probe.extended {
		return err
	}
	return errors.New("a clamd or a similar server, not polyclamd")
}

// noAnswer is the cause of a context that ends because a server does not answer.
type noAnswer struct{ within time.Duration }

func (e noAnswer) Error() string { return fmt.Sprintf("no answer within %v", e.within) }

// identify finds out whether the server is polyclamd. An answer that is neither a list of
// commands nor a refusal is an error.
func identify(ctx context.Context, s *server) error {
	_, verbs, err := s.client.VersionCommands(ctx)
	var refused *protocol.ReplyError
	if errors.As(err, &refused) { // clamd before 0.101, or its configuration forbids the command
		return nil
	}
	s.extended = slices.Contains(verbs, protocol.VerbXInstream) && slices.Contains(verbs, protocol.VerbXFildes)
	return err
}

// plainError reduces an error to its cause: the message already has the command, the
// address and the name of the file.
func plainError(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	if late := (noAnswer{}); errors.As(err, &late) {
		return late
	}
	var request *protocol.RequestError
	if errors.As(err, &request) {
		return request.Err
	}
	return err
}

func reachHint(err error) string {
	switch {
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ECONNREFUSED):
		return " (is polyclamd running?)"
	case errors.Is(err, syscall.EACCES):
		return " (check the mode and group of the socket and its directory)"
	case errors.Is(err, protocol.ErrNoReply):
		return " (if it is polyclamd: does allow of this listener include this client, or does the port use TLS, so that tls: is needed instead of tcp:?)"
	}
	return ""
}

// isGone reports whether err means that nothing listens at the server's address.
func isGone(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial" && !op.Timeout()
}
