package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// A result is how a scan ended for its client.
type result int

const (
	ok          result = iota
	found              // a virus, where there was none
	refused            // an ERROR
	broken             // the connection was closed without a reply
	unconnected        // no connection was possible
	gaveUp             // no answer within the client's patience
	results
)

func (r result) String() string {
	return [...]string{"OK", "FOUND", "ERROR", "no reply", "no connection", "no answer in time"}[r]
}

// A way is how to reach a polyclamd.
type way struct {
	network, address string
	from             net.Addr // nil: any
	patient          bool     // retry rarely while the backlog is full, as a client of a crowd
}

// An outcome is what a client saw of one scan.
type outcome struct {
	begin  time.Time
	took   time.Duration
	result result
	text   string // the reply or the error
}

func (o outcome) end() time.Time { return o.begin.Add(o.took) }

// requests numbers the requests, so that no two objects are equal.
var requests atomic.Uint64

// newRequest is an INSTREAM with an object of size bytes that was never sent before.
func newRequest(size int) []byte {
	object := fmt.Appendf(nil, "object %d of process %d\n", requests.Add(1), os.Getpid())
	object = append(object, bytes.Repeat([]byte("."), max(0, size-len(object)))...)
	b := binary.BigEndian.AppendUint32([]byte("zINSTREAM\x00"), uint32(len(object)))
	return append(append(b, object...), 0, 0, 0, 0)
}

// scan scans an object on a new connection.
func scan(ctx context.Context, to way, request []byte, patience time.Duration) outcome {
	o := outcome{begin: time.Now()}
	reply, err := exchange(ctx, to, request, patience, false)
	o.took = time.Since(o.begin)
	o.text = reply
	var dial *dialError
	var timeout net.Error
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		o.result, o.text = gaveUp, err.Error()
	case errors.As(err, &dial):
		o.result, o.text = unconnected, err.Error()
	case err != nil:
		o.result, o.text = broken, err.Error()
	case strings.HasSuffix(reply, " OK"):
		o.result = ok
	case strings.HasSuffix(reply, " FOUND"):
		o.result = found
	default:
		o.result = refused
	}
	return o
}

// dialError is a failure to connect.
type dialError struct{ error }

func (e *dialError) Unwrap() error { return e.error }

// exchange sends a request and returns the reply up to its NUL or, if all is set,
// everything until the connection is closed.
func exchange(ctx context.Context, to way, request []byte, limit time.Duration, all bool) (string, error) {
	end := time.Now().Add(limit)
	nc, err := dial(ctx, to, end)
	if err != nil {
		return "", &dialError{err}
	}
	defer nc.Close()
	stop := context.AfterFunc(ctx, func() { nc.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	nc.SetDeadline(end)
	_, sent := nc.Write(request) // an answer may have come early
	var reply []byte
	buf := make([]byte, 4096)
	for {
		n, err := nc.Read(buf)
		reply = append(reply, buf[:n]...)
		if i := bytes.IndexByte(reply, 0); i >= 0 && !all {
			return string(reply[:i]), nil
		}
		switch {
		case err == io.EOF && all && len(reply) > 0:
			return strings.TrimRight(strings.ReplaceAll(string(reply), "\x00", "\n"), "\n"), nil
		case err == io.EOF:
			return "", errors.Join(fmt.Errorf("closed after %q", reply), sent)
		case err != nil:
			return "", err
		}
		if len(reply) > 1<<20 {
			return "", errors.New("the reply has no end")
		}
	}
}

// dial connects. While the backlog is full it retries, as connect(2) would block.
func dial(ctx context.Context, to way, end time.Time) (net.Conn, error) {
	d := net.Dialer{Deadline: end, LocalAddr: to.from}
	again := 20 * time.Millisecond
	if to.patient {
		again = 2 * time.Second
	}
	for {
		nc, err := d.DialContext(ctx, to.network, to.address)
		if err == nil || !isFull(err) {
			return nc, err
		}
		if time.Now().After(end) {
			return nil, os.ErrDeadlineExceeded
		}
		if err := pause(ctx, again); err != nil {
			return nil, err
		}
	}
}
