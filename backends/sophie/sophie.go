// Package sophie scans with Sophie, a daemon around Sophos' engine, with Trophie, the
// same around Trend Micro's, or with a channel of Sophos' savdid that speaks their
// protocol ("scanprotocol { type: SOPHIE }").
//
// The dialogue, on a connection for each scan:
//
//	-> /path/of/file            transport "path"
//	-> stream/68<CRLF>          transport "stream": savdid over TCP
//	<- OK<CRLF>
//	-> (68 bytes)
//	<- 0                        then the connection is closed
//
// The answers; a line may end in LF, CRLF, NUL, or with the connection:
//
//	0, 0:                                       ok, code 0
//	1, 1:NAME                                   by the name, virus if unknown; code 1
//	-1:text with "encrypted" or "password"      encrypted, code -1
//	-1:text with "corrupt", "not supported"
//	or "compressed"                             partial, code -1
//	-1, -1:any other text                       swerr
//	anything else                               swerr
//	(closed without a reply)                    cannot-execute
//
// A locked archive can be told from a failure only where the daemon gives a text:
// see error_strings in its configuration. Without one it is swerr.
package sophie

import (
	"context"
	"errors"
	"fmt"
	"net"

	"polyclam/backends"
	"polyclam/backends/internal/wire"
)

// Abilities is what Sophie can tell. No Sophie was at hand to try it with.
var Abilities = backends.Abilities{
	Virus: true, Encrypted: true, Partial: true,
	Names:  true,
	Source: "other projects that drive Sophie (MIMEDefang, exim, amavis, MailScanner, baruwa); that texts tell encrypted and partial is believed only",
	Tested: "composed bytes",
}

// Backend is one Sophie. Safe for concurrent use.
type Backend struct {
	address string // as configured
	dialer  wire.Dialer
	stream  bool // sends the content, else names a file
}

// ReadsPaths implements [backends.PathReader].
func (b *Backend) ReadsPaths() bool { return !b.stream }

// Scan implements [backends.Backend].
func (b *Backend) Scan(ctx context.Context, c backends.Content) (backends.Result, error) {
	r, err := b.scan(ctx, c)
	if err != nil {
		return backends.Result{}, b.wrap(ctx, err)
	}
	return r, nil
}

func (b *Backend) scan(ctx context.Context, c backends.Content) (backends.Result, error) {
	if ctx.Err() != nil {
		return backends.Result{}, context.Cause(ctx)
	}
	path := ""
	if !b.stream {
		var err error
		if path, err = scanPath(c); err != nil {
			return backends.Result{}, err
		}
		if ctx.Err() != nil { // the file took its time, not the engine
			return backends.Result{}, context.Cause(ctx)
		}
	}
	nc, err := b.dialer.Dial(ctx)
	if err != nil {
		return backends.Result{}, err
	}
	conn := newConn(nc)
	defer conn.close()
	defer context.AfterFunc(ctx, conn.close)()
	if b.stream {
		return conn.scanStream(c)
	}
	return conn.scanFile(path)
}

// wrap names the engine. Where the context is done, its error is the reason for
// what happened to the connection.
func (b *Backend) wrap(ctx context.Context, err error) error {
	var failure *backends.Failure
	var dial *net.OpError
	done := ctx.Err()
	switch {
	case done == nil, errors.As(err, &failure):
	case errors.As(err, &dial) && dial.Op == "dial" && errors.Is(done, context.DeadlineExceeded):
	case errors.Is(context.Cause(ctx), done):
		err = fmt.Errorf("%w: %v", done, err)
	default:
		err = fmt.Errorf("%w: %w: %v", done, context.Cause(ctx), err)
	}
	return fmt.Errorf("sophie %s: %w", b.address, err)
}
