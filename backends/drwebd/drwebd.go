// Package drwebd scans with Dr.Web's daemon of old, drwebd, over TCP or a Unix
// socket.
//
// The dialogue, a connection for each request; every number has 32 bits, big-endian:
//
//	-> 1 <flags> 0 <size> <content>           transport "stream"
//	-> 1 <flags> <length> <path> 0            transport "path"
//	<- <rc> <n>, n times: <length> "/path infected with NAME\0"
//	-> 2                  <- <version>
//	-> 3                  <- <n>, n times: <length> <name of a virus base> <records>
//	-> 4                  <- <length> <who it is>
//
// rc is a mask of bits, see the table in answer.go. Of several bits the strongest
// counts:
//
//	0x20 known virus, 0x80 modification, names     virus
//	0x40 unknown virus; adware and the like        suspicious
//	0x01 0x02 0x04 0x08 0x10 0x8000 0x200000       swerr
//	0x200 timeout                                  interrupted
//	0x400 0x800 0x1000 0x2000 0x4000 0x40000       partial
//	0, 0x100000 clean, 0x10000 key, 0x20000 spam   ok
//	any other bit                                  swerr
//
// The code of a result is rc. drwebd does not tell that a part is encrypted: such a
// part is skipped, 0x1000, as are others.
//
// A daemon that answers before it was sent the whole content is believed only if it
// found something.
package drwebd

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"strconv"
	"strings"

	"polyclam/backends"
	"polyclam/backends/internal/line"
	"polyclam/backends/internal/wire"
)

// Abilities is what drwebd can tell. None was at hand to try it with.
var Abilities = backends.Abilities{
	Virus: true, Suspicious: true, Partial: true,
	Names: true, Version: true,
	Source: "other projects that drive drwebd (exim, amavis, havp with the bits of drweb-clients 4.33, avsmtpd, fuglu)",
	Tested: "composed bytes",
}

// The commands.
const (
	cmdScan    = 1
	cmdVersion = 2
	cmdBases   = 3
	cmdID      = 4
)

// The flags of a scan.
const (
	flagNames      = 0x1 // RETURN_VIRUSES
	flagHeuristics = 0x8 // HEURISTIC_ON
	flagMail       = 0x80000
)

// Backend is one drwebd. It is safe for concurrent use.
type Backend struct {
	address string
	dialer  wire.Dialer
	path    bool // the daemon reads the file itself
	flags   uint32
}

var _ backends.Versioner = (*Backend)(nil)

// ReadsPaths implements [backends.PathReader].
func (b *Backend) ReadsPaths() bool { return b.path }

// Scan implements [backends.Backend].
func (b *Backend) Scan(ctx context.Context, c backends.Content) (backends.Result, error) {
	if size := c.Size(); size > maxSize && !b.path {
		return backends.Result{Category: backends.Partial, Code: backends.NoCode,
			Detail: fmt.Sprintf("the content has %d bytes, the protocol of drwebd has room for %d", size, int64(maxSize))}, nil
	}
	body, err := b.question(c)
	if err != nil {
		return backends.Result{}, b.wrap(err)
	}
	var a answer
	early, err := b.ask(ctx, body, func(r *reader) (err error) {
		a, err = readAnswer(r)
		return err
	})
	if err != nil {
		return backends.Result{}, b.wrap(err)
	}
	result, err := a.amounts()
	if err == nil && early && result.Category != backends.Virus && result.Category != backends.Suspicious {
		err = fmt.Errorf("rc %#x before it had the whole content", a.rc)
	}
	if err != nil {
		return backends.Result{}, b.wrap(err)
	}
	return result, nil
}

// Version implements [backends.Versioner]. What the daemon says of itself is enough;
// it does not tell when the virus bases were made.
func (b *Backend) Version(ctx context.Context) (backends.Version, error) {
	var v backends.Version
	id, err := b.identity(ctx)
	if err != nil {
		number, err2 := b.number(ctx)
		if err2 != nil {
			return v, b.wrap(err)
		}
		id = "Dr.Web daemon " + strconv.FormatUint(uint64(number), 10)
	}
	v.Engine, v.Text = id, id
	if bases, err := b.bases(ctx); err == nil {
		v.Database = bases
		v.Text += "/" + bases
	}
	return v, nil
}

// identity asks who the daemon is.
func (b *Backend) identity(ctx context.Context) (id string, err error) {
	_, err = b.ask(ctx, command(cmdID), func(r *reader) error {
		id, err = r.text(maxText)
		return err
	})
	if id = strings.TrimSpace(id); err == nil && (id == "" || len(id) > 200) {
		err = fmt.Errorf("no name in %.200q", id)
	}
	return id, err
}

// number asks for the number of the version.
func (b *Backend) number(ctx context.Context) (number uint32, err error) {
	_, err = b.ask(ctx, command(cmdVersion), func(r *reader) error {
		number, err = r.number()
		return err
	})
	return number, err
}

// bases asks for the virus bases: "7 bases, 123456 records".
func (b *Backend) bases(ctx context.Context) (text string, err error) {
	_, err = b.ask(ctx, command(cmdBases), func(r *reader) error {
		n, err := r.number()
		if err != nil {
			return err
		}
		if n > maxBases {
			return fmt.Errorf("%d virus bases", n)
		}
		records := uint64(0)
		for range n {
			if _, err := r.text(maxText); err != nil {
				return err
			}
			count, err := r.number()
			if err != nil {
				return err
			}
			records += uint64(count)
		}
		text = fmt.Sprintf("%d bases, %d records", n, records)
		return nil
	})
	return text, err
}

// ask makes a request on a connection of its own.
func (b *Backend) ask(ctx context.Context, body wire.Body, read func(*reader) error) (early bool, err error) {
	if ctx.Err() != nil {
		return false, wire.Ended(ctx, context.Cause(ctx))
	}
	nc, err := b.dialer.Dial(ctx)
	if err != nil {
		return false, wire.Ended(ctx, err)
	}
	defer nc.Close()
	stop := context.AfterFunc(ctx, func() { nc.Close() })
	defer stop()
	early, err = wire.Converse(nc, func(w io.Writer) error { return send(w, body) }, func() error {
		r := newReader(nc)
		if err := read(r); err != nil {
			return err
		}
		return r.end()
	})
	return early, wire.Ended(ctx, err)
}

// send writes a request; the head of it and a small content in one piece.
func send(w io.Writer, body wire.Body) error {
	if body.Len() > maxOnce {
		_, err := body.WriteTo(w)
		return err
	}
	var b strings.Builder
	if _, err := body.WriteTo(&b); err != nil {
		return err
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// maxOnce is what is sent in one piece.
const maxOnce = 32 << 10

// question is the request of a scan.
func (b *Backend) question(c backends.Content) (wire.Body, error) {
	head := command(cmdScan, b.flags).Before
	if b.path {
		path, err := line.Path(c)
		if err != nil {
			return wire.Body{}, err
		}
		return wire.Body{Before: head + number(uint32(len(path))) + path + number(0)}, nil
	}
	body := wire.Of(c)
	body.Before = head + number(0) + number(uint32(body.Size))
	return body, nil
}

// maxSize is what a number of the protocol can say; daemons take it for signed.
const maxSize = 1<<31 - 1

// command is a request without a content.
func command(words ...uint32) wire.Body {
	var text strings.Builder
	for _, w := range words {
		text.WriteString(number(w))
	}
	return wire.Body{Before: text.String()}
}

func number(n uint32) string { return string(binary.BigEndian.AppendUint32(nil, n)) }

func (b *Backend) wrap(err error) error { return fmt.Errorf("drwebd %s: %w", b.address, err) }
