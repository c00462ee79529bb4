package protocol

import (
	"context"
	"fmt"
	"iter"
)

// Scan makes the server scan a file that it can open under this path. For a directory it
// returns the first finding below it; Object is its path. A finding may come with an
// error: something was not scanned, or a second line contradicts it.
//
// clamd answers OK for some objects that it did not scan: a symbolic link (not followed by
// default), a file in /proc, a directory that it could only read in part. In the last case
// clamd sends two lines, which Scan reports as an error.
func (c *Client) Scan(ctx context.Context, path string) (Reply, error) {
	q := request{verb: VerbScan, path: path, object: path}
	var found, ok, failed Reply
	var failure error
	for r, err := range c.lines(ctx, &q) {
		if err != nil {
			if r == (Reply{}) || failure == nil {
				failure = err
			}
			if r != (Reply{}) {
				failed = r
			}
			continue
		}
		second := ok.OK() || found.Found()
		if r.OK() {
			ok = r
		} else if !found.Found() {
			found = r
		}
		if second {
			failure = c.wrap(q.verb, fmt.Errorf("%w: a second line, %s", ErrUnexpectedReply, excerpt(r.String())))
			break
		}
	}
	switch {
	case found.Found():
		return found, failure
	case failure != nil:
		return failed, failure
	case !ok.isAbout(path):
		return Reply{}, c.wrap(q.verb, fmt.Errorf("%w: OK is about %s, not %s", ErrReplySyntax, excerpt(ok.Object), excerpt(path)))
	}
	return ok, nil
}

// ContScan scans a file or directory without stopping at the first finding. It yields
// every status line as it arrives, together with its [Reply.Err]: a *[ReplyError] means
// that something was not scanned, and the next line may follow. Any other error comes
// with an empty Reply and ends the scan, as does leaving the loop.
func (c *Client) ContScan(ctx context.Context, path string) iter.Seq2[Reply, error] {
	return c.lines(ctx, &request{verb: VerbContScan, path: path, object: path})
}

// MultiScan is [Client.ContScan] with several of the server's threads; lines come in any
// order. clamd 1.4.6 sends nothing for an empty directory: ErrNoReply.
func (c *Client) MultiScan(ctx context.Context, path string) iter.Seq2[Reply, error] {
	return c.lines(ctx, &request{verb: VerbMultiScan, path: path, object: path})
}

// AllMatchScan is [Client.ContScan] with a line for every match in a file, repetitions
// included. In a directory clamd 1.4.6 stops after the first infected file.
func (c *Client) AllMatchScan(ctx context.Context, path string) iter.Seq2[Reply, error] {
	return c.lines(ctx, &request{verb: VerbAllMatchScan, path: path, object: path})
}

// lines makes a request whose reply is any number of status lines.
func (c *Client) lines(ctx context.Context, q *request) iter.Seq2[Reply, error] {
	return func(yield func(Reply, error) bool) {
		if err := checkPath(q.verb, q.path); err != nil {
			yield(Reply{}, c.wrap(q.verb, err))
			return
		}
		stopped := false
		err := c.exchange(ctx, q, func(l *link, sent error) error {
			for n := 0; !stopped; n++ {
				line, err := l.readReply(maxReply)
				if n > 0 && err == ErrNoReply {
					return nil
				}
				if err != nil {
					return err
				}
				r, err := q.parse(line, sent)
				if err != nil {
					return err
				}
				stopped = !yield(r, c.wrap(q.verb, r.Err()))
			}
			return nil
		})
		if err != nil && !stopped {
			yield(Reply{}, err)
		}
	}
}

// parse parses a status line that answers q. sent is the error from sending q.
func (q *request) parse(line string, sent error) (Reply, error) {
	r, err := ParseReply(line, q.object)
	if err != nil {
		return Reply{}, err
	}
	r.Early = sent != nil
	if r.OK() && r.Early {
		return Reply{}, fmt.Errorf("%w: %w", ErrEarlyOK, sent)
	}
	return r, nil
}

// verdict parses the one status line that answers q.
func (q *request) verdict(line string, sent error) (Reply, error) {
	r, err := q.parse(line, sent)
	if err != nil {
		return Reply{}, err
	}
	if r.OK() && !r.isAbout(q.object) {
		return Reply{}, fmt.Errorf("%w: %s is not about %s", ErrReplySyntax, excerpt(line), excerpt(q.object))
	}
	return r, r.Err()
}

// isAbout reports whether a reply is about the object itself, not about a file below it.
func (r *Reply) isAbout(object string) bool {
	if object == ObjectStream || object == objectDescriptor {
		return true
	}
	for _, form := range pathForms(object) {
		if r.Object == form {
			return true
		}
	}
	return false
}
