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

// Client asks a server that speaks clamd's protocol, one connection for each
// request; Open gives a session for many. Network and Address are all it needs:
//
//	c := protocol.Client{Network: "unix", Address: "/run/clamav/clamd.ctl"}
//	reply, err := c.Instream(ctx, r)
//
// A nil error means that the server came to an answer, OK or FOUND. Everything
// else is an error: a *ReplyError for the server's own words, which wraps one of
// the errors of this package where a caller may want to branch, and ErrNoReply and
// its like where there were none.
//
// Every method returns soon after its context is done, with the context's cause;
// without a deadline in it, it waits as long as the server does. A Client is safe
// for concurrent use as long as its fields are not changed.
type Client struct {
	Network string // "unix" or "tcp"
	Address string // path of the socket, or "host:port"

	// Dial makes the connections; nil: a net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Ping asks whether the server is there. It says nothing about its ability to
// scan: clamd 1.4.6 answers PONG when it cannot make temporary files.
func (c *Client) Ping(ctx context.Context) error {
	line, err := c.ask(ctx, &request{verb: VerbPing}, maxReply)
	if err != nil {
		return err
	}
	return c.wrap(VerbPing, isExactly(line, "PONG"))
}

// Version returns the server's words, e.g. "ClamAV 1.4.6/27500/Mon Nov 23
// 08:00:00 2026" or, without an official database, "ClamAV 1.4.6".
func (c *Client) Version(ctx context.Context) (string, error) {
	line, err := c.ask(ctx, &request{verb: VerbVersion}, maxReply)
	if err != nil {
		return "", err
	}
	return line, c.wrap(VerbVersion, isInformation(line))
}

// VersionCommands returns the version and the verbs that the server lists. clamd
// 1.4.6 lists the same ones whatever is switched off.
func (c *Client) VersionCommands(ctx context.Context) (version string, verbs []Verb, err error) {
	line, err := c.ask(ctx, &request{verb: VerbVersionCommands}, maxReply)
	if err != nil {
		return "", nil, err
	}
	version, list, ok := strings.Cut(line, "| COMMANDS:")
	if !ok {
		return "", nil, c.wrap(VerbVersionCommands, notInGrammar(line))
	}
	for _, v := range strings.Fields(list) {
		verbs = append(verbs, Verb(v))
	}
	return strings.TrimSpace(version), verbs, nil
}

// Stats returns the server's statistics as they come, many lines up to END.
func (c *Client) Stats(ctx context.Context) (string, error) {
	text, err := c.ask(ctx, &request{verb: VerbStats}, maxStats)
	if err != nil {
		return "", err
	}
	if !strings.HasSuffix(text, "\n"+wordEnd) {
		return "", c.wrap(VerbStats, notInGrammar(text))
	}
	return text, nil
}

// Reload makes the server load its signatures anew. It returns when the server has
// taken note; clamd loads afterwards and goes on scanning meanwhile.
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

// SelfCheck asks a clamd of version 1.6 or later whether the signatures it has loaded
// are those on its disk. If they are not, clamd starts to load them, and SelfCheck
// reports false. An older clamd does not know the command: the error is a *ReplyError.
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

// Instream scans what r has up to io.EOF; any other error of r ends the request
// without a verdict. It cannot return while a Read of r does not.
func (c *Client) Instream(ctx context.Context, r io.Reader) (Reply, error) {
	return c.one(ctx, &request{verb: VerbInstream, stream: r, object: ObjectStream})
}

// Fildes scans an open file by handing over its descriptor, on a Unix socket. The
// server reads from the start of the file, wherever the descriptor stands, and
// may move it. The file stays the caller's.
func (c *Client) Fildes(ctx context.Context, f *os.File) (Reply, error) {
	return c.one(ctx, &request{verb: VerbFildes, file: f, object: ObjectDescriptor})
}

// one is a request with one status line for an answer.
func (c *Client) one(ctx context.Context, q *request) (reply Reply, err error) {
	err = c.exchange(ctx, q, func(l *link, sent error) error {
		line, err := l.readReply(maxReply)
		if err != nil {
			return err
		}
		if l.more() {
			return fmt.Errorf("%w: more behind %s", ErrUnexpectedReply, excerpt(line))
		}
		reply, err = verdict(line, q, sent)
		return err
	})
	return reply, err
}

// ask is a request with one line of information for an answer.
func (c *Client) ask(ctx context.Context, q *request, max int) (line string, err error) {
	err = c.exchange(ctx, q, func(l *link, _ error) (err error) {
		line, err = l.readReply(max)
		return err
	})
	return line, err
}

// Open returns a session on a connection of its own. Closing it is the caller's.
func (c *Client) Open(ctx context.Context) (*ClientSession, error) {
	l, err := c.dial(ctx)
	if err != nil {
		return nil, c.wrap(VerbIDSession, err)
	}
	return newClientSession(l), nil
}

func (c *Client) dial(ctx context.Context) (*link, error) {
	dial := c.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	nc, err := dial(ctx, c.Network, c.Address)
	if err != nil {
		if ctx.Err() != nil && !errors.Is(err, context.Cause(ctx)) {
			return nil, context.Cause(ctx)
		}
		return nil, err
	}
	return newLink(nc), nil
}

// exchange sends q on a new connection and calls read for the answer. sent is not nil
// if q was not sent completely: the answer began before the end of a stream.
func (c *Client) exchange(ctx context.Context, q *request, read func(l *link, sent error) error) error {
	l, err := c.dial(ctx)
	if err != nil {
		return c.wrap(q.verb, err)
	}
	defer l.nc.Close()
	stop := context.AfterFunc(ctx, l.expire)
	defer stop()
	s := &sender{link: l}
	sent := s.request("", q)
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

// What a context may end.
const (
	doingSend = "sending the request"
	doingWait = "waiting for the reply"
)

// doing is what was going on when the reply did not come: sent is the error of the
// sending.
func doing(sent error) string {
	if sent != nil {
		return doingSend
	}
	return doingWait
}

// ended returns the context's cause, and what was going on, if err is what a context
// that is done has made of the connection.
func ended(ctx context.Context, doing string, err error) error {
	var netErr net.Error
	if err != nil && ctx.Err() != nil && errors.As(err, &netErr) && netErr.Timeout() {
		return fmt.Errorf("%s: %w", doing, context.Cause(ctx))
	}
	return err
}

// wrap says what was asked of whom.
func (c *Client) wrap(verb Verb, err error) error {
	if err == nil {
		return nil
	}
	return &RequestError{Verb: verb, Network: c.Network, Address: c.Address, Err: err}
}

// verdict parses the status line that answers q.
func verdict(line string, q *request, sent error) (Reply, error) {
	r, err := ParseReply(line, q.object)
	if err != nil {
		return Reply{}, err
	}
	r.Early = sent != nil
	if r.OK() && r.Early {
		return Reply{}, fmt.Errorf("%w: %w", ErrEarlyOK, sent)
	}
	if r.OK() && !r.isAbout(q.object) {
		return Reply{}, fmt.Errorf("%w: %s is not about %s", ErrReplySyntax, excerpt(line), excerpt(q.object))
	}
	return r, r.Err()
}

// isAbout reports whether a reply is about the object itself, not about a file
// below it.
func (r *Reply) isAbout(object string) bool {
	if object == ObjectStream || object == ObjectDescriptor {
		return true
	}
	for _, form := range pathForms(object) {
		if r.Object == form {
			return true
		}
	}
	return false
}

// isExactly returns an error if line is not what it has to be.
func isExactly(line, want string) error {
	if line == want {
		return nil
	}
	return notInGrammar(line)
}

// isInformation returns an error if line is empty or says that there is none.
func isInformation(line string) error {
	if _, word := cutWord(line); line != "" && word == "" && !isTerse(line) {
		return nil
	}
	return notInGrammar(line)
}

// notInGrammar is the error for a line that is not what was asked for: a
// *ReplyError if it is one of the server's known words.
func notInGrammar(line string) error {
	if isTerse(line) {
		text, word := cutWord(line)
		return &ReplyError{Reply{Text: text, Word: word}}
	}
	return fmt.Errorf("%w: %s", ErrReplySyntax, excerpt(line))
}

// farewell bounds the writing of END. It is tiny: it fits into the socket's buffer
// or the server has stopped reading.
const farewell = 10 * time.Millisecond
