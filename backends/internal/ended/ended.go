// Package ended describes in plain words why a context or a connection ended.
package ended

import (
	"context"
	"errors"
	"net"
	"os"

	"polyclam/backends"
)

// An Error replaces the text of its causes, which still determine the category.
type Error struct {
	Text   string
	Causes []error
}

// Error implements error.
func (e *Error) Error() string { return e.Text }

// Unwrap returns the causes.
func (e *Error) Unwrap() []error { return e.Causes }

// Context returns the error of a context that is done.
func Context(ctx context.Context) error {
	cause, done := context.Cause(ctx), ctx.Err()
	switch {
	case cause == context.Canceled:
		return &Error{"cancelled", []error{done}}
	case cause == context.DeadlineExceeded:
		return &Error{"no answer in time", []error{done}}
	case errors.Is(cause, done), errors.As(cause, new(*backends.ConnError)):
		return cause
	}
	return &Error{cause.Error(), []error{done, cause}}
}

// Connection returns the error of a read or write that failed, without what package net
// adds to it.
func Connection(err error) error {
	var text string
	var op *net.OpError
	var call *os.SyscallError
	switch {
	case errors.Is(err, net.ErrClosed):
		text = "connection closed by polyclam"
	case errors.Is(err, os.ErrDeadlineExceeded):
		text = "no answer in time"
	case errors.As(err, &call):
		text = call.Err.Error()
	case errors.As(err, &op) && op.Err != nil:
		text = op.Err.Error()
	default:
		return err
	}
	return &Error{text, []error{err}}
}
