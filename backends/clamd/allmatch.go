package clamd

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"polyclam/backends"
	"polyclam/backends/internal/clamdclient"
	"polyclam/backends/internal/file"
	"polyclam/protocol"
)

// maxLines limits the answer to ALLMATCHSCAN.
const maxLines = 100_000

// ScanAll implements [backends.AllMatcher]. clamd supports ALLMATCHSCAN only for paths,
// and not in a session. ScanAll uses the path of the object if clamd can read it, and
// scanPlaced otherwise.
func (b *Backend) ScanAll(ctx context.Context, o backends.Object) (backends.Result, error) {
	path, err := file.Path(o)
	if err != nil {
		return b.scanPlaced(ctx, o)
	}
	r, found, err := b.allMatches(clamdclient.Traced(ctx), path, o.Size())
	if !found && cannotAllMatch(err) && ctx.Err() == nil {
		return b.scanPlaced(ctx, o)
	}
	return r, err
}

// scanPlaced is Scan, followed by ALLMATCHSCAN of the client's file if Scan found
// something. No check can prevent the path from leading clamd to a different file, so
// Scan alone decides whether there is a finding. The list of all matches counts only if
// the same file was at the path before and after, and if it includes Scan's findings.
func (b *Backend) scanPlaced(ctx context.Context, o backends.Object) (backends.Result, error) {
	first, err := b.Scan(ctx, o)
	placed, ok := o.(backends.Placed)
	if err != nil || len(first.Findings) == 0 || !ok || b.node.Network != "unix" {
		return first, err
	}
	before, err := placed.Place()
	if err != nil {
		return first, nil
	}
	all, found, err := b.allMatches(clamdclient.Traced(ctx), before.Path, o.Size())
	after, placeErr := placed.Place()
	if !found || err != nil || placeErr != nil || before != after || !includes(all.Findings, first.Findings) {
		return first, nil
	}
	return all, nil
}

// includes reports whether whole contains every finding of part.
func includes(whole, part []backends.Finding) bool {
	return !slices.ContainsFunc(part, func(f backends.Finding) bool { return !slices.Contains(whole, f) })
}

// allMatches sends ALLMATCHSCAN for a file. found reports whether there was a match.
func (b *Backend) allMatches(ctx context.Context, path string, size int64) (r backends.Result, found bool, err error) {
	var a backends.Answer
	lines, early := 0, false
	for r, lineErr := range b.node.AllMatchScan(ctx, path) {
		if r == (protocol.Reply{}) {
			err = lineErr
			break
		}
		if lines++; lines > maxLines || lines > 1 && r.OK() {
			err = fmt.Errorf("%w: line %d, %.200q", protocol.ErrUnexpectedReply, lines, r.String())
			break
		}
		found, early = found || r.Found(), early || r.Early
		add(&a, r, path, size)
		if err == nil {
			err = lineErr
		}
	}
	if !found && cannotAllMatch(err) {
		return backends.Result{}, false, err
	}
	if err != nil && !errors.As(err, new(*protocol.ReplyError)) { // else it is one of the lines
		a.Fail(clamdclient.Failure(ctx, err))
	}
	r, err = b.result(&a, early)
	return r, found, err
}
