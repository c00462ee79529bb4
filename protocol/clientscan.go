package protocol

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// Scan makes the server scan a file that it can read under this path. For a
// directory it is the first finding below it, Object says where. A finding may come
// with an error: something was not scanned, or a second line contradicts it.
//
// Beware of what clamd calls OK: a symbolic link (not followed by default), a file
// on /proc, a directory of which it could not read a part. Two lines about one
// request, which clamd sends in the last case, are not OK here.
func (c *Client) Scan(ctx context.Context, path string) (Reply, error) {
	q := request{verb: VerbScan, path: path, object: path}
	var found, ok, failed Reply
	err := c.lines(ctx, &q, func(r Reply) error {
		second := ok.OK() || found.Found()
		switch {
		case r.Err() != nil:
			failed = r
			return nil
		case r.OK():
			ok = r
		case !found.Found():
			found = r
		}
		if second {
			return fmt.Errorf("%w: a second line, %s", ErrUnexpectedReply, excerpt(r.String()))
		}
		return nil
	})
	switch {
	case found.Found():
		return found, err
	case err != nil:
		return failed, err
	case !ok.isAbout(path):
		return Reply{}, c.wrap(q.verb, fmt.Errorf("%w: OK is about %s, not %s", ErrReplySyntax, excerpt(ok.Object), excerpt(path)))
	}
	return ok, nil
}

// ContScan scans a file or a directory without stopping at the first finding. It
// calls each with every line as it comes, also with those that are errors, from
// the calling goroutine; an error of each ends the scan and is returned. If each
// was given a line that is neither OK nor FOUND, ContScan returns the error of the
// first: something was not scanned.
func (c *Client) ContScan(ctx context.Context, path string, each func(Reply) error) error {
	return c.lines(ctx, &request{verb: VerbContScan, path: path, object: path}, each)
}

// MultiScan is ContScan with several of the server's threads; lines come in any
// order. clamd 1.4.6 says nothing at all about an empty directory: ErrNoReply.
func (c *Client) MultiScan(ctx context.Context, path string, each func(Reply) error) error {
	return c.lines(ctx, &request{verb: VerbMultiScan, path: path, object: path}, each)
}

// AllMatchScan is ContScan of a file with a line for every match, repetitions
// included. In a directory clamd 1.4.6 stops after the first infected file.
func (c *Client) AllMatchScan(ctx context.Context, path string, each func(Reply) error) error {
	return c.lines(ctx, &request{verb: VerbAllMatchScan, path: path, object: path}, each)
}

// lines is a scan command with any number of status lines for an answer.
func (c *Client) lines(ctx context.Context, q *request, each func(Reply) error) error {
	if err := checkPath(q.verb, q.path); err != nil {
		return c.wrap(q.verb, err)
	}
	return c.exchange(ctx, q, func(l *link, sent error) error {
		var failed error
		for n := 0; ; n++ {
			line, err := l.readReply(maxReply)
			if n > 0 && err == ErrNoReply {
				return failed
			}
			if err != nil {
				return err
			}
			r, err := ParseReply(line, q.object)
			if err != nil {
				return err
			}
			r.Early = sent != nil
			if r.OK() && r.Early {
				return fmt.Errorf("%w: %w", ErrEarlyOK, sent)
			}
			if failed == nil {
				failed = r.Err()
			}
			if err := each(r); err != nil {
				return err
			}
		}
	})
}

// maxRecords bounds the records of one status line.
const maxRecords = 4096

// maxRecordBytes bounds the records of one status line together.
const maxRecordBytes = 4 << 20

// XInstream is Instream with polyclam's extended reply: the status line, a record
// for each engine and a summary. A server that does not know the verb, as clamd,
// is an error that wraps [ErrUnknownCommand]. Beside an error it returns what the
// server sent: records, and a reply that is not OK.
func (c *Client) XInstream(ctx context.Context, r io.Reader) (Reply, []Record, error) {
	return c.extended(ctx, &request{verb: VerbXInstream, stream: r, object: ObjectStream})
}

// XFildes is Fildes with an extended reply, see XInstream.
func (c *Client) XFildes(ctx context.Context, f *os.File) (Reply, []Record, error) {
	return c.extended(ctx, &request{verb: VerbXFildes, file: f, object: ObjectDescriptor})
}

// XScan is Scan of a file with an extended reply, see XInstream.
func (c *Client) XScan(ctx context.Context, path string) (Reply, []Record, error) {
	return c.extended(ctx, &request{verb: VerbXScan, path: path, object: path})
}

// extended is a request with one status line and its records for an answer.
func (c *Client) extended(ctx context.Context, q *request) (reply Reply, records []Record, err error) {
	n := 0
	err = c.groups(ctx, q, func(r Reply, recs []Record) error {
		if n++; n > 1 {
			return fmt.Errorf("%w: a second status line, %s", ErrUnexpectedReply, excerpt(r.String()))
		}
		reply, records = r, recs
		return nil
	})
	if err == nil && !reply.isAbout(q.object) && reply.OK() {
		err = c.wrap(q.verb, fmt.Errorf("%w: OK is about %s", ErrReplySyntax, excerpt(reply.Object)))
	}
	if err != nil && reply.OK() {
		reply.Text, reply.Word = "", ""
	}
	return reply, records, err
}

// XContScan is ContScan with extended replies: each is called with every status
// line and the records that follow it. See XInstream and ContScan for errors.
func (c *Client) XContScan(ctx context.Context, path string, each func(Reply, []Record) error) error {
	return c.groups(ctx, &request{verb: VerbXContScan, path: path, object: path}, each)
}

// groups is a request with any number of status lines, each followed by its
// records, and END for an answer.
func (c *Client) groups(ctx context.Context, q *request, each func(Reply, []Record) error) error {
	if q.path != "" || q.stream == nil && q.file == nil {
		if err := checkPath(q.verb, q.path); err != nil {
			return c.wrap(q.verb, err)
		}
	}
	return c.exchange(ctx, q, func(l *link, sent error) error {
		g := group{q: q, each: each, sent: sent}
		for {
			line, err := l.readReply(maxReply)
			if g.lines > 0 && errors.Is(err, ErrNoReply) {
				err = fmt.Errorf("%w: no %s", ErrBrokenReply, wordEnd)
			}
			done := err != nil
			if !done {
				done, err = g.add(line)
			}
			if err != nil {
				g.flush() // what has come belongs beside the error
			}
			if done || err != nil {
				return err
			}
		}
	})
}

// group collects a status line and its records.
type group struct {
	q      *request
	each   func(Reply, []Record) error
	sent   error
	lines  int
	reply  Reply
	recs   []Record
	bytes  int   // of recs, as they came
	failed error // of the first status line that is no answer
}

// add takes one line and reports true for the last.
func (g *group) add(line string) (done bool, err error) {
	g.lines++
	if line == wordEnd && g.lines > 1 {
		if err := g.flush(); err != nil {
			return true, err
		}
		return true, g.failed
	}
	if rec, err := ParseRecord(line); err == nil && !isTerse(line) && g.lines > 1 {
		if len(g.recs) == maxRecords {
			return true, fmt.Errorf("%w: more than %d records", ErrReplyTooLong, maxRecords)
		}
		if g.bytes += len(line); g.bytes > maxRecordBytes {
			return true, fmt.Errorf("%w: records of more than %d bytes", ErrReplyTooLong, maxRecordBytes)
		}
		g.recs = append(g.recs, rec)
		return false, nil
	}
	if err := g.flush(); err != nil {
		return true, err
	}
	// What follows the object has no backslash: names and reasons are cleaned of it.
	r, err := ParseReply(UnescapeObject(line), g.q.object)
	if err != nil {
		return true, err
	}
	r.Early = g.sent != nil
	if r.OK() && r.Early {
		return true, fmt.Errorf("%w: %w", ErrEarlyOK, g.sent)
	}
	g.reply = r
	if g.failed == nil {
		g.failed = r.Err()
	}
	if r.Object == "" { // the request was not taken: no END need follow
		return true, r.Err()
	}
	return false, nil
}

// flush hands over what has been collected.
func (g *group) flush() error {
	if g.reply == (Reply{}) {
		return nil
	}
	r, recs := g.reply, g.recs
	g.reply, g.recs, g.bytes = Reply{}, nil, 0
	return g.each(r, recs)
}
