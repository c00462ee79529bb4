package protocol

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"
)

// Client sends requests to a server that speaks clamd's protocol. Each request uses a new
// connection; [Client.Open] returns a session for many requests. Only Network and Address
// are required:
//
//	c := protocol.Client{Network: "unix", Address: "/run/clamav/clamd.ctl"}
//	reply, err := c.Instream(ctx, r)
//
// If the error is nil, the reply is OK or FOUND. Any other status line is a *[ReplyError].
// Without a valid reply the error is another one, such as [ErrNoReply].
//
// Every method returns soon after its context is done, with the context's cause. Without a
// deadline it waits for as long as the server takes. A Client is safe for concurrent use
// as long as its fields do not change.
type Client struct {
	Network string // "unix" or "tcp"
	Address string // path of the socket, or "host:port"

	// Dial makes the connections. If nil, a net.Dialer does, and waits while the backlog of
	// a Unix socket is full.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Ping checks that the server answers, which does not mean that it can scan: clamd 1.4.6
// answers PONG even if it cannot create temporary files.
func (c *Client) Ping(ctx context.Context) error {
	line, err := c.ask(ctx, &request{verb: VerbPing}, maxReply)
	if err != nil {
		return err
	}
	return c.wrap(VerbPing, isExactly(line, "PONG"))
}

// Version returns the server's version, such as "ClamAV 1.4.6/27500/Mon Nov 23
// 08:00:00 2026" or, without an official database, "ClamAV 1.4.6".
func (c *Client) Version(ctx context.Context) (string, error) {
	line, err := c.ask(ctx, &request{verb: VerbVersion}, maxReply)
	if err != nil {
		return "", err
	}
	return line, c.wrap(VerbVersion, isInformation(line))
}

// VersionCommands returns the server's version and the verbs it lists. clamd 1.4.6 lists
// even disabled verbs.
func (c *Client) VersionCommands(ctx context.Context) (version string, verbs []Verb, err error) {
	line, err := c.ask(ctx, &request{verb: VerbVersionCommands}, maxReply)
	if err != nil {
		return "", nil, err
	}
	version, list, ok := strings.Cut(line, "| COMMANDS:")
	if !ok {
		return "", nil, c.wrap(VerbVersionCommands, malformed(line))
	}
	for _, v := range strings.Fields(list) {
		verbs = append(verbs, Verb(v))
	}
	return strings.TrimSpace(version), verbs, nil
}

// Stats returns the server's statistics unparsed: many lines, the last one END.
func (c *Client) Stats(ctx context.Context) (string, error) {
	text, err := c.ask(ctx, &request{verb: VerbStats}, maxStats)
	if err != nil {
		return "", err
	}
	if !strings.HasSuffix(text, "\n"+wordEnd) {
		return "", c.wrap(VerbStats, malformed(text))
	}
	return text, nil
}

// Reload makes the server reload its signatures. It returns when the server has accepted
// the command; clamd continues to scan while it loads.
func (c *Client) Reload(ctx context.Context) error {
	line, err := c.ask(ctx, &request{verb: VerbReload}, maxReply)
	if err != nil {
		return err
	}
	return c.wrap(VerbReload, isExactly(line, "RELOADING"))
}

// The replies to SELFCHECK.
const (
	SelfCheckUpToDate  = "DBUPTODATE"
	SelfCheckReloading = "RELOADING"
)

// SelfCheck asks clamd 1.6 or later whether the loaded signatures match those on disk. If
// not, clamd starts to load them and SelfCheck reports false. An older clamd does not know
// the command: the error wraps [ErrUnknownCommand].
func (c *Client) SelfCheck(ctx context.Context) (upToDate bool, err error) {
	line, err := c.ask(ctx, &request{verb: VerbSelfCheck}, maxReply)
	if err != nil {
		return false, err
	}
	if line == SelfCheckReloading {
		return false, nil
	}
	return line == SelfCheckUpToDate, c.wrap(VerbSelfCheck, isExactly(line, SelfCheckUpToDate))
}

// Instream scans the data that it reads from r up to io.EOF. Any other read error ends the
// request without a verdict. It cannot return before a pending Read of r does.
func (c *Client) Instream(ctx context.Context, r io.Reader) (Reply, error) {
	return c.one(ctx, &request{verb: VerbInstream, stream: r, object: ObjectStream})
}

// Fildes scans an open file by passing its descriptor over a Unix socket. The server
// reads from the start of the file, regardless of its offset, which it may change. The
// caller still has to close the file.
func (c *Client) Fildes(ctx context.Context, f *os.File) (Reply, error) {
	return c.one(ctx, &request{verb: VerbFildes, file: f, object: objectDescriptor})
}

// one makes a request whose reply is one status line.
func (c *Client) one(ctx context.Context, q *request) (reply Reply, err error) {
	err = c.exchange(ctx, q, func(l *link, sent error) error {
		line, err := l.readReply(maxReply)
		if err != nil {
			return err
		}
		if l.more() {
			return fmt.Errorf("%w: more after %s", ErrUnexpectedReply, excerpt(line))
		}
		reply, err = q.verdict(line, sent)
		return err
	})
	return reply, err
}

// ask makes a request whose reply is information, not a status line.
func (c *Client) ask(ctx context.Context, q *request, max int) (line string, err error) {
	err = c.exchange(ctx, q, func(l *link, _ error) (err error) {
		line, err = l.readReply(max)
		return err
	})
	return line, err
}

// Open returns a session on a new connection. The caller has to close it.
func (c *Client) Open(ctx context.Context) (*ClientSession, error) {
	l, err := c.dial(ctx)
	if err != nil {
		return nil, c.wrap(VerbIDSession, err)
	}
	return newClientSession(l), nil
}

func (c *Client) dial(ctx context.Context) (*link, error) {
	connect := c.Dial
	if connect == nil {
		connect = dial
	}
	nc, err := connect(ctx, c.Network, c.Address)
	traceOf(ctx).connected(err)
	if err != nil {
		if ctx.Err() != nil && !errors.Is(err, context.Cause(ctx)) {
			return nil, context.Cause(ctx)
		}
		return nil, err
	}
	return newLink(nc), nil
}

// exchange sends q on a new connection and calls read for the reply. sent is not nil if
// q was not sent completely because the reply began before the end of a stream.
func (c *Client) exchange(ctx context.Context, q *request, read func(l *link, sent error) error) error {
	l, err := c.dial(ctx)
	if err != nil {
		return c.wrap(q.verb, err)
	}
	defer l.nc.Close()
	stop := context.AfterFunc(ctx, l.expire)
	defer stop()
	s := &sender{link: l}
	prefix := tagOf(ctx)
	sent := s.request(prefix, q)
	l.trace = traceOf(ctx)
	l.trace.sent(prefix, q, s.object, sent)
	var broken *sendError
	if sent != nil && !errors.As(sent, &broken) {
		l.nc.Close()
		s.join()
		return c.wrap(q.verb, ended(ctx, doingSend, sent))
	}
	s.join()
	err = read(l, sent)
	if sent != nil && errors.Is(err, ErrNoReply) {
		err = fmt.Errorf("%w: %w", ErrNoReply, sent)
	}
	return c.wrap(q.verb, ended(ctx, doing(sent), err))
}

// What the client was doing when a context ended.
const (
	doingSend = "sending the request"
	doingWait = "waiting for the reply"
)

// doing describes what the client was doing when the reply failed to arrive. sent is the
// error from sending the request.
func doing(sent error) string {
	if sent != nil {
		return doingSend
	}
	return doingWait
}

// ended returns err, or, if err is the timeout that the end of ctx set on the connection
// (see link.expire), the context's cause.
func ended(ctx context.Context, doing string, err error) error {
	var netErr net.Error
	if err != nil && ctx.Err() != nil && errors.As(err, &netErr) && netErr.Timeout() {
		return fmt.Errorf("%s: %w", doing, context.Cause(ctx))
	}
	return err
}

// wrap adds the verb and the server to err.
func (c *Client) wrap(verb Verb, err error) error {
	if err == nil {
		return nil
	}
	return &RequestError{Verb: verb, Network: c.Network, Address: c.Address, Err: err}
}

// isExactly returns an error unless line is want.
func isExactly(line, want string) error {
	if line == want {
		return nil
	}
	return malformed(line)
}

// isInformation returns an error if line is empty or an error reply.
func isInformation(line string) error {
	if _, word := cutWord(line); line != "" && word == "" && !isTerse(line) {
		return nil
	}
	return malformed(line)
}

// malformed returns the error for an unexpected line, which is a *ReplyError if the line
// is a known error reply.
func malformed(line string) error {
	if isTerse(line) {
		text, word := cutWord(line)
		return &ReplyError{Reply{Text: text, Word: word}}
	}
	return fmt.Errorf("%w: %s", ErrReplySyntax, excerpt(line))
}

// endTimeout bounds the writing of END. END always fits into the socket's buffer unless
// the server has stopped reading.
const endTimeout = 10 * time.Millisecond
