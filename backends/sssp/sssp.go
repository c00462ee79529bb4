// Package sssp scans with Sophos' SAVDI daemon, savdid, over its own protocol
// SSSP 1.0, the "Sophos Simple Scanning Protocol".
//
// The dialogue, over a connection that is kept for the next scan. Lines end in
// CRLF, a block of lines in an empty one:
//
//	<- OK SSSP/1.0
//	-> SSSP/1.0                                  <- ACC 5B992B5C/1
//	-> QUERY SERVER                              <- ACC, "maxscandata: 500000", "method: SCANDATA", ...
//	-> OPTIONS, "savigrp: GrpArchiveUnpack 1"    <- ACC, DONE OK 0000 ...
//	-> SCANDATA 68                               <- ACC 5B992B5C/4
//	-> (68 bytes)                                <- VIRUS EICAR-AV-Test
//	                                             <- OK 0203
//	                                             <- DONE OK 0203 Virus found during virus scan
//	-> BYE                                       when it was idle for a while
//
// With transport "file" the request is SCANFILE and a percent-encoded path.
//
// An answer is a block that ends with one DONE line. What it amounts to:
//
//	VIRUS NAME PATH, any code 0203   virus (by the name), code 515
//	FAIL 0212, a member is locked    encrypted, code 530, no name
//	FAIL 020F 0211 021A 0225 0231    partial, the code in decimal
//	REJ 4, content over maxscandata  partial
//	FAIL 060F                        interrupted
//	DONE OK 0000 and nothing else    ok, code 0
//	any other code, REJ 1 2 3 5      swerr
//	any other line                   swerr, unless there is a virus or a locked member
//	(no greeting)                    cannot-execute: savdid has no thread to spare
//
// The tables are in codes.go. The code of a result is SAVI's number, the hexadecimal
// one that savdid prints, as an integer: 0x0212 is 530.
//
// savdid reads the data only when it has accepted the request, and takes what comes
// after a refusal for commands. So nothing is sent before its ACC, and a connection
// is closed after every irregularity.
package sssp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"polyclam/backends"
	"polyclam/backends/internal/file"
	"polyclam/backends/internal/idle"
	"polyclam/backends/internal/wire"
)

// Abilities is what savdid can tell. No savdid was at hand to try it with.
var Abilities = backends.Abilities{
	Virus: true, Encrypted: true, Partial: true,
	Names: true, Version: true,
	Source: "other projects that drive savdid (moodle, rspamd, Samba, fuglu); codes from Sophos' savierr.h",
	Tested: "composed bytes",
}

// Backend is one savdid. It keeps as many connections as scans were under way at
// once, until they have been idle for a while. Safe for concurrent use.
type Backend struct {
	address string // as configured
	dialer  wire.Dialer
	file    bool // SCANFILE, else SCANDATA
	options []string
	pool    idle.Pool[*conn]
	buffers sync.Pool // of *[]byte, to send content from
}

var _ backends.Versioner = (*Backend)(nil)

// ReadsPaths implements [backends.PathReader].
func (b *Backend) ReadsPaths() bool { return b.file }

// Scan implements [backends.Backend]. Every VIRUS line is a finding.
func (b *Backend) Scan(ctx context.Context, c backends.Content) (backends.Result, error) {
	var result backends.Result
	path := ""
	if b.file {
		var err error
		if path, err = file.Path(c); err != nil {
			return backends.Result{}, b.wrap(ctx, err)
		}
	}
	err := b.with(ctx, func(conn *conn) error {
		var err error
		if b.file {
			result, err = conn.scanFile(path)
		} else {
			result, err = conn.scanData(c, &b.buffers)
		}
		return err
	})
	if err != nil {
		return backends.Result{}, b.wrap(ctx, err)
	}
	return result, nil
}

// Version implements [backends.Versioner]. SSSP does not tell when the virus data
// was made.
func (b *Backend) Version(ctx context.Context) (backends.Version, error) {
	var v backends.Version
	err := b.with(ctx, func(c *conn) error {
		var err error
		v, err = c.version()
		return err
	})
	if err != nil {
		return backends.Version{}, b.wrap(ctx, err)
	}
	return v, nil
}

// Close implements io.Closer: it says BYE on the kept connections. Scans under way
// finish, and later ones have a connection each.
func (b *Backend) Close() error {
	b.pool.Close((*conn).bye)
	return nil
}

// with runs ask on a kept connection or a new one. A kept one that turns out to be
// dead before the first byte of a reply is replaced, once.
func (b *Backend) with(ctx context.Context, ask func(*conn) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if c, ok := b.pool.Take(); ok {
		err := b.on(ctx, c, ask)
		if !errors.Is(err, backends.ErrNoReply) || ctx.Err() != nil {
			return err
		}
	}
	c, err := b.open(ctx)
	if err != nil {
		return err
	}
	return b.on(ctx, c, ask)
}

// on runs ask on c and keeps c, unless anything was irregular. The end of ctx
// closes c.
func (b *Backend) on(ctx context.Context, c *conn, ask func(*conn) error) error {
	stop := context.AfterFunc(ctx, c.close)
	err := ask(c)
	if !stop() || err != nil || !c.inOrder() {
		c.close()
		return err
	}
	if !b.pool.Put(c) {
		c.bye()
	}
	return err
}

// open makes a connection that is ready for a scan.
func (b *Backend) open(ctx context.Context) (*conn, error) {
	nc, err := b.dialer.Dial(ctx)
	if err != nil {
		return nil, err
	}
	c := newConn(nc)
	if err := b.greeted(ctx, c); err != nil {
		c.close()
		return nil, err
	}
	stop := context.AfterFunc(ctx, c.close)
	err = c.handshake(b.options)
	if !stop() || err != nil {
		c.close()
		if err == nil {
			err = context.Cause(ctx)
		}
		return nil, err
	}
	return c, nil
}

// greeted waits for the greeting. A savdid whose threads are all busy accepts the
// connection and says nothing, or closes it: it cannot be reached now.
func (b *Backend) greeted(ctx context.Context, c *conn) error {
	within, cancel := context.WithTimeout(ctx, b.dialer.Timeout)
	defer cancel()
	stop := context.AfterFunc(within, c.close)
	err := c.greeting()
	if !stop() && !errors.Is(ctx.Err(), context.Canceled) {
		return &backends.Failure{Category: backends.CannotExecute, Code: backends.NoCode,
			Text: "no greeting in time" + hintFull}
	}
	if errors.Is(err, backends.ErrNoReply) {
		return fmt.Errorf("%w%s", err, hintFull)
	}
	return err
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
	return fmt.Errorf("sssp %s: %w", b.address, err)
}
