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
		if isOurs(err) {
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
	if isOurs(sendErr) {
		return false, sendErr
	}
	if sendErr != nil {
		early = true
		nc.Close()
	}
	return early, err
}

// isOurs reports whether err is one of our own side.
func isOurs(err error) bool {
	var failure *backends.Failure
	var object *backends.ObjectError
	return errors.As(err, &failure) || errors.As(err, &object)
}
