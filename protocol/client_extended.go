package protocol

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"

	"polyclam/protocol/extended"
)

// Bounds on the records of one status line.
const (
	maxRecords     = 4096
	maxRecordBytes = 4 << 20
)

// ExtendedReply is the reply to one of polyclam's own scan commands: the plain status
// line and the records that follow it. Only the status line is checked.
type ExtendedReply struct {
	Reply
	Records []extended.Record
}

// XInstream is [Client.Instream] with an extended reply. If the server does not know the
// verb, as clamd does not, the error wraps [ErrUnknownCommand]. XInstream also returns
// what the server sent before an error, but then the Reply is never OK.
func (c *Client) XInstream(ctx context.Context, r io.Reader) (ExtendedReply, error) {
	return c.extended(ctx, &request{verb: VerbXInstream, stream: r, object: ObjectStream})
}

// XFildes is [Client.Fildes] with an extended reply, see [Client.XInstream].
func (c *Client) XFildes(ctx context.Context, f *os.File) (ExtendedReply, error) {
	return c.extended(ctx, &request{verb: VerbXFildes, file: f, object: objectDescriptor})
}

// XScan is [Client.Scan] of a file with an extended reply, see [Client.XInstream].
func (c *Client) XScan(ctx context.Context, path string) (ExtendedReply, error) {
	return c.extended(ctx, &request{verb: VerbXScan, path: path, object: path})
}

// XContScan is [Client.ContScan] with extended replies.
func (c *Client) XContScan(ctx context.Context, path string) iter.Seq2[ExtendedReply, error] {
	return c.groups(ctx, &request{verb: VerbXContScan, path: path, object: path})
}

// XStatus returns the state of polyclamd: a SERVER record, then a NODE record for each
// node of each engine. If the server does not know the verb, as clamd does not, the error
// wraps [ErrUnknownCommand].
func (c *Client) XStatus(ctx context.Context) ([]extended.Record, error) {
	var records []extended.Record
	err := c.exchange(ctx, &request{verb: VerbXStatus}, func(l *link, _ error) (err error) {
		records, err = readRecords(l)
		return err
	})
	if err != nil {
		return nil, err
	}
	return records, nil
}

// readRecords reads at least one record, up to END.
func readRecords(l *link) (records []extended.Record, err error) {
	for {
		line, err := l.readReply(maxReply)
		switch {
		case errors.Is(err, ErrNoReply) && len(records) > 0:
			return nil, fmt.Errorf("%w: no %s", ErrBrokenReply, wordEnd)
		case err != nil:
			return nil, err
		case line == wordEnd && len(records) > 0:
			return records, nil
		case isTerse(line):
			return nil, malformed(line)
		case len(records) == maxRecords:
			return nil, fmt.Errorf("%w: more than %d records", errReplyTooLong, maxRecords)
		}
		r, err := extended.Parse(line)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrReplySyntax, err)
		}
		records = append(records, r)
	}
}

// extended makes a request whose reply is one status line and its records.
func (c *Client) extended(ctx context.Context, q *request) (reply ExtendedReply, err error) {
	for r, e := range c.groups(ctx, q) {
		if r.Reply == (Reply{}) {
			err = e
		} else if reply.Reply == (Reply{}) {
			reply, err = r, e
		} else {
			err = c.wrap(q.verb, fmt.Errorf("%w: a second status line, %s", ErrUnexpectedReply, excerpt(r.String())))
			break
		}
	}
	if err == nil && !reply.isAbout(q.object) && reply.OK() {
		err = c.wrap(q.verb, fmt.Errorf("%w: OK is about %s", ErrReplySyntax, excerpt(reply.Object)))
	}
	if err != nil && reply.OK() {
		reply.Text, reply.Word = "", ""
	}
	return reply, err
}

// groups makes a request whose reply is any number of status lines, each followed by its
// records, and END.
func (c *Client) groups(ctx context.Context, q *request) iter.Seq2[ExtendedReply, error] {
	return func(yield func(ExtendedReply, error) bool) {
		if q.stream == nil && q.file == nil {
			if err := checkPath(q.verb, q.path); err != nil {
				yield(ExtendedReply{}, c.wrap(q.verb, err))
				return
			}
		}
		g := group{q: q, yield: func(r ExtendedReply) bool { return yield(r, c.wrap(q.verb, r.Err())) }}
		err := c.exchange(ctx, q, func(l *link, sent error) error {
			g.sent = sent
			return g.read(l)
		})
		if err != nil && !g.stopped {
			yield(ExtendedReply{}, err)
		}
	}
}

// group collects a status line and its records.
type group struct {
	q     *request
	yield func(ExtendedReply) bool
	sent  error // the error from sending q

	lines   int
	reply   ExtendedReply
	bytes   int  // length of the records' lines
	stopped bool // yield returned false
}

// read reads the whole reply.
func (g *group) read(l *link) error {
	for !g.stopped {
		line, err := l.readReply(maxReply)
		if g.lines > 0 && errors.Is(err, ErrNoReply) {
			err = fmt.Errorf("%w: no %s", ErrBrokenReply, wordEnd)
		}
		done := false
		if err == nil {
			done, err = g.add(line)
		}
		if done || err != nil {
			g.flush()
			return err
		}
	}
	return nil
}

// add takes one line. It reports true for the last one.
func (g *group) add(line string) (done bool, err error) {
	g.lines++
	if line == wordEnd && g.lines > 1 {
		return true, nil
	}
	if rec, err := extended.Parse(line); err == nil && !isTerse(line) && g.lines > 1 {
		return false, g.addRecord(rec, len(line))
	}
	if g.flush(); g.stopped {
		return true, nil
	}
	// Only the object can contain backslashes: polyclam removes them from names and
	// reasons.
	g.reply.Reply, err = g.q.parse(UnescapeObject(line), g.sent)
	// A line without an object means that the command was refused. END need not follow.
	return err == nil && g.reply.Object == "", err
}

func (g *group) addRecord(r extended.Record, size int) error {
	if len(g.reply.Records) == maxRecords {
		return fmt.Errorf("%w: more than %d records", errReplyTooLong, maxRecords)
	}
	if g.bytes += size; g.bytes > maxRecordBytes {
		return fmt.Errorf("%w: records of more than %d bytes", errReplyTooLong, maxRecordBytes)
	}
	g.reply.Records = append(g.reply.Records, r)
	return nil
}

// flush yields what has been collected.
func (g *group) flush() {
	r := g.reply
	g.reply, g.bytes = ExtendedReply{}, 0
	if r.Reply != (Reply{}) && !g.stopped {
		g.stopped = !g.yield(r)
	}
}
