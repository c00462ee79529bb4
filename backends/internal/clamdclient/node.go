// Package clamdclient is shared by the backends that speak clamd's protocol: it connects
// to a node and translates errors.
package clamdclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"polyclam/backends"
	"polyclam/backends/internal/ended"
	"polyclam/backends/internal/engineconn"
	"polyclam/backends/internal/tracing"
	"polyclam/protocol"
)

// Node is one server.
type Node struct {
	Engine  string // backend name, for errors
	Address string // as configured, for errors
	protocol.Client
}

// New returns the node that d connects to.
func New(engine, address string, d engineconn.Dialer) *Node {
	return &Node{Engine: engine, Address: address, Client: protocol.Client{
		Network: d.Network, Address: d.Address,
		Dial: func(ctx context.Context, _, _ string) (net.Conn, error) { return d.Dial(ctx) },
	}}
}

// Named adds the engine and the node to an error.
func (n *Node) Named(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %s: %w", n.Engine, n.Address, err)
}

// Traced returns a context with which requests report to the trace of ctx, if it has one.
func Traced(ctx context.Context) context.Context {
	t := tracing.New(ctx)
	if t == nil {
		return ctx
	}
	return protocol.WithClientTrace(ctx, &protocol.ClientTrace{
		Connected: t.Connected,
		Sent: func(command string, object int64, err error) {
			t.Received()
			t.Write(command)
			t.WriteObject(object)
			t.Sent(err)
		},
		Received: func(line string) {
			t.Read([]byte(line))
			t.Received()
		},
	})
}

// Failure translates the error of a request without an answer. It does not name the
// engine. If ctx has ended, both its error and its cause are in the chain.
func Failure(ctx context.Context, err error) error {
	failure := failureOf(ctx, err)
	if backends.IsTwice(err) {
		return backends.Twice(failure)
	}
	return failure
}

func failureOf(ctx context.Context, err error) error {
	var request *protocol.RequestError
	if errors.As(err, &request) {
		err = request.Err
	}
	switch {
	case errors.Is(err, protocol.ErrEarlyOK):
		return &backends.Failure{Category: backends.SWErr, Code: backends.NoCode, Text: "answered OK before it had received the whole object"}
	case errors.Is(err, protocol.ErrNoReply):
		return fmt.Errorf("waiting for the reply: %w", backends.ErrNoReply)
	case errors.Is(err, protocol.ErrBrokenReply):
		return &ended.Error{Text: err.Error(), Causes: []error{io.ErrUnexpectedEOF, err}}
	case errors.As(err, new(*backends.ConnError)), errors.As(err, new(*backends.ObjectError)), errors.Is(err, protocol.ErrDescriptor):
		return err
	case ctx.Err() != nil && errors.Is(err, context.Cause(ctx)):
		return endOf(ctx, err)
	}
	return ended.Connection(err)
}

// endOf returns the error of a request that ctx ended. err says what was being done, and
// then the cause.
func endOf(ctx context.Context, err error) error {
	doing := strings.TrimSuffix(err.Error(), context.Cause(ctx).Error())
	return &ended.Error{Text: doing + ended.Context(ctx).Error(), Causes: []error{ctx.Err(), err}}
}

// Delivered reports whether the descriptor reached the server, judging by err.
func Delivered(err error) bool {
	if err == nil {
		return true
	}
	var answer *protocol.ReplyError
	if errors.As(err, &answer) {
		return answer.Reply.Text != "No file descriptor received."
	}
	return !errors.Is(err, protocol.ErrDescriptor)
}

// DatabaseVersion returns the version of the server and its database.
func (n *Node) DatabaseVersion(ctx context.Context) (backends.Version, error) {
	text, err := n.Client.Version(ctx)
	if err != nil {
		return backends.Version{}, err
	}
	v := backends.Version{Text: text}
	engine, rest, _ := strings.Cut(text, "/")
	database, date, _ := strings.Cut(rest, "/")
	v.Engine, v.Database = engine, database
	// clamd writes ctime(3) in its local time zone.
	if t, err := time.ParseInLocation(time.ANSIC, date, time.Local); err == nil {
		v.DatabaseTime = t
	}
	return v, nil
}

// SelfCheck reports whether the loaded signatures are up to date. If the server does not
// know the command (clamd before 1.6) or disables it, the error wraps
// [errors.ErrUnsupported].
func (n *Node) SelfCheck(ctx context.Context) (upToDate bool, err error) {
	upToDate, err = n.Client.SelfCheck(ctx)
	if errors.Is(err, protocol.ErrUnknownCommand) || errors.Is(err, protocol.ErrCommandUnavailable) {
		err = fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
	}
	return upToDate, err
}

// Reader reads an object from start to end. An object with fewer bytes than size is a
// [backends.ObjectError], not the end of the stream, which the server might call OK.
func Reader(o io.ReaderAt, size int64) io.Reader { return &reader{o: o, size: size} }

type reader struct {
	o         io.ReaderAt
	off, size int64
}

// Read implements [io.Reader].
func (r *reader) Read(p []byte) (int, error) {
	left := r.size - r.off
	if left <= 0 {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), left)]
	n, err := r.o.ReadAt(p, r.off)
	r.off += int64(n)
	switch {
	case n == len(p) && r.off == r.size:
		return n, io.EOF
	case n == len(p):
		return n, nil
	case err == nil || err == io.EOF:
		err = fmt.Errorf("it ends after %d of %d bytes", r.off, r.size)
	}
	return n, &backends.ObjectError{Doing: "reading the object", Err: err}
}
