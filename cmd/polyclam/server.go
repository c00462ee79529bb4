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

// reachTimeout is how long a server may take to answer a simple question. An
// engine that hangs delays polyclam's version by a second.
const reachTimeout = 10 * time.Second

// server is a server that has answered.
type server struct {
	target
	client *protocol.Client
	// extended says that it is polyclam and tells what each engine said; else it
	// is a clamd, or like one.
	extended bool
}

func newClient(at target) *protocol.Client {
	return &protocol.Client{Network: at.network, Address: at.address, Dial: dial}
}

// dial connects. A Unix socket whose backlog is full refuses with EAGAIN instead
// of letting clients wait, so we do.
func dial(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	for {
		nc, err := d.DialContext(ctx, network, address)
		if !errors.Is(err, syscall.EAGAIN) {
			return nc, err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return nil, err
		}
	}
}

// reach asks the servers at the targets until one of them answers. The error names
// what was looked for, and says what came of each.
func (t *tool) reach(what string, ask func(ctx context.Context, s *server) error) (*server, error) {
	list, origin, err := t.targets()
	if err != nil {
		return nil, err
	}
	var failures []string
	for _, at := range list {
		s := &server{target: at, client: newClient(at)}
		ctx, cancel := context.WithTimeoutCause(context.Background(), reachTimeout, errNoAnswer)
		err := ask(ctx, s)
		cancel()
		if err == nil {
			return s, nil
		}
		failures = append(failures, fmt.Sprintf("  %s: %v%s", at, plainError(err), reachHint(err)))
	}
	return nil, fmt.Errorf("no %s answers; tried by %s:\n%s", what, origin, strings.Join(failures, "\n"))
}

var errNoAnswer = fmt.Errorf("no answer within %v", reachTimeout)

// identify finds out whether the server is polyclam. What a server answers that
// is neither a list of verbs nor a refusal is an error.
func identify(ctx context.Context, s *server) error {
	_, verbs, err := s.client.VersionCommands(ctx)
	var refused *protocol.ReplyError
	if errors.As(err, &refused) { // clamd before 0.101, or told to by its configuration
		return nil
	}
	s.extended = slices.Contains(verbs, protocol.VerbXInstream) && slices.Contains(verbs, protocol.VerbXFildes)
	return err
}

// plainError is an error without what is said anyway: the verb, the address, the
// name of the file.
func plainError(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	for e := err; e != nil; e = errors.Unwrap(e) {
		if e == errNoAnswer {
			return e
		}
	}
	return err
}

func reachHint(err error) string {
	switch {
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ECONNREFUSED):
		return " (is polyclamd running?)"
	case errors.Is(err, syscall.EACCES):
		return " (the socket's mode and group, and those of its directory, decide who may connect)"
	}
	return ""
}

// isGone reports whether err says that the server cannot be connected to.
func isGone(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial" && !op.Timeout()
}
