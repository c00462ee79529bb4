// Package wire carries a content to an engine, whole or not at all, and brings the
// answer back: connections ([Dialer]), the two directions of one exchange
// ([Converse]), and requests in HTTP/1.x on top of them ([Client]).
//
// What an answer means is the business of the engine's own package. Here is what
// holds for all of them:
//
//   - The length that is announced is exactly what is sent. Where the content cannot
//     be read the connection is closed, so that no engine takes a part for the whole.
//   - An answer that came before everything was sent is marked as early. It is not
//     about the whole content.
//   - Nothing is allocated by a length that the engine sent, and everything that it
//     may say has a bound.
//   - The end of the context closes the connection.
//   - A connection is used by one exchange at a time, and kept only after one that
//     ended as it should.
package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"polyclam/backends"
)

// MaxDetail bounds the detail of a result or failure.
const MaxDetail = 512

// Clip cuts an engine's words to n bytes.
func Clip(s string, n int) string { return s[:min(len(s), n)] }

// Ours is an error of our own side. It hides the cause from [backends.CategoryOf]:
// that a file of ours does not exist does not mean that the engine does not.
func Ours(what string, err error) error {
	return &backends.Failure{Category: backends.SWErr, Code: backends.NoCode, Text: what + ": " + err.Error()}
}

// Ended gives err the error of a context that is done as its reason: it is the
// context that closed the connection, whatever was then met there.
func Ended(ctx context.Context, err error) error {
	var failure *backends.Failure
	done := ctx.Err()
	if err == nil || done == nil || errors.Is(err, done) || errors.As(err, &failure) {
		return err
	}
	if cause := context.Cause(ctx); !errors.Is(cause, done) && !errors.Is(err, cause) {
		err = fmt.Errorf("%v: %w", cause, err)
	}
	return fmt.Errorf("%w: %w", done, err)
}

// Lost says what the error of a read means for the answer that was to come: heard
// tells whether a byte of it had.
func Lost(err error, heard bool) error {
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	hangup := errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
	if hangup && !heard {
		return fmt.Errorf("%w: %w", backends.ErrNoReply, err)
	}
	return fmt.Errorf("connection lost: %w", err)
}

// settleWithin is how long the end of the sending is waited for once the answer is
// there: the last bytes may have been answered before the goroutine that sent them
// runs again.
const settleWithin = time.Second

// Converse lets send write and receive read at the same time, so that an engine
// that answers early and reads no further holds nothing up. It returns when both
// have ended. An early answer is one that was there before send had ended, or to a
// send that failed; it is seen for sure only where the content does not fit into
// the buffers on the way.
//
// nc is closed after an error and an early answer. If send failed for want of the
// content, see [Body], that is the error.
func Converse(nc net.Conn, send func(io.Writer) error, receive func() error) (early bool, err error) {
	sent := make(chan error, 1)
	go func() {
		err := send(nc)
		var failure *backends.Failure
		if errors.As(err, &failure) {
			nc.Close()
		}
		sent <- err
	}()
	err = receive()
	if err != nil {
		nc.Close()
	}
	timer := time.NewTimer(settleWithin)
	defer timer.Stop()
	var sendErr error
	select {
	case sendErr = <-sent:
	case <-timer.C:
		early = true
		nc.Close()
		sendErr = <-sent
	}
	var failure *backends.Failure
	if errors.As(sendErr, &failure) {
		return false, sendErr
	}
	if sendErr != nil {
		early = true
		nc.Close()
	}
	return early, err
}
