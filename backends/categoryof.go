package backends

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"slices"
	"syscall"
)

// CategoryOf returns the category of a scan error. No other code maps errors to
// categories:
//
//	a *Failure, the strongest of Failures      its own category
//	a *ConnError                              its own category, or CannotExecute
//	an *ObjectError                           SWErr
//	cancelled; a connection closed by us      Interrupted
//	no socket, no program                     NotInstalled
//	unreachable: refused, permission, DNS,
//	no connection in time                     CannotExecute
//	a program that cannot be started          CannotExecute
//	closed without a reply, see ErrNoReply    CannotExecute
//	deadline, program killed by a signal       Interrupted
//	anything else                             SWErr
//
// A connection that was reset or closed is SWErr unless the backend returned ErrNoReply:
// only the backend knows whether an answer had begun. A missing file is NotInstalled
// only for a connection or the start of a program, so that a deleted object never looks
// like a missing engine.
//
// CategoryOf(nil) is SWErr, so that a forgotten result never passes for OK.
func CategoryOf(err error) Category {
	var failure *Failure
	var object *ObjectError
	var conn *ConnError
	switch {
	case errors.As(err, &failure):
		return failure.category()
	case errors.As(err, &object):
		return SWErr
	case errors.As(err, &conn):
		if conn.Category.Valid() && conn.Category.IsFailure() {
			return conn.Category
		}
		return CannotExecute
	case errors.Is(err, context.Canceled), errors.Is(err, net.ErrClosed):
		return Interrupted
	case errors.Is(err, exec.ErrNotFound):
		return NotInstalled
	case errors.Is(err, fs.ErrNotExist) && !isOpen(err):
		return NotInstalled
	case isDial(err), isStart(err):
		// This case precedes the deadlines: an engine that does not accept a connection
		// in time is unreachable, no matter whose time limit ended the attempt.
		return CannotExecute
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, ErrNoReply):
		return CannotExecute
	case isTimeout(err), isKilled(err):
		return Interrupted
	}
	return SWErr
}

// CategoriesOf returns the categories of all failures in err, strongest first and without
// duplicates. Any error other than [Failures] has a single category.
func CategoriesOf(err error) []Category {
	var fs Failures
	if !errors.As(err, &fs) || len(fs) == 0 {
		return []Category{CategoryOf(err)}
	}
	var all []Category
	for _, f := range fs {
		if c := f.category(); !slices.Contains(all, c) {
			all = append(all, c)
		}
	}
	slices.SortFunc(all, func(a, b Category) int { return rank(a) - rank(b) })
	return all
}

// Unreachable reports whether err means that the node did not answer: it did not accept a
// connection in time, refused or reset it, or closed it without a reply. After a
// [Failure] of any category it is false, because the engine did answer.
func Unreachable(err error) bool {
	var failure *Failure
	var object *ObjectError
	var conn *ConnError
	switch {
	case isExhausted(err):
		return false
	case errors.As(err, &failure), errors.As(err, &object):
		return false
	case errors.As(err, &conn), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return true
	}
	c := CategoryOf(err)
	return c == CannotExecute || c == NotInstalled
}

// isExhausted reports whether polyclam itself lacks descriptors or memory for a
// connection, which says nothing about the engine.
func isExhausted(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) ||
		errors.Is(err, syscall.ENOMEM) || errors.Is(err, syscall.ENOBUFS)
}

// Died reports whether the engine died while it had the object: the connection broke
// before the answer was complete, or a signal killed the program. A failed connection
// attempt says nothing about the object.
func Died(err error) bool {
	if err == nil {
		return false // the usual case; what follows allocates
	}
	var failures Failures
	var failure *Failure
	var object *ObjectError
	var conn *ConnError
	switch {
	case errors.As(err, &failures):
		return slices.ContainsFunc(failures, func(f *Failure) bool { return f.Died })
	case errors.As(err, &failure):
		return failure.Died
	case errors.As(err, &object), errors.As(err, &conn), isDial(err), isStart(err):
		return false
	}
	return errors.Is(err, ErrNoReply) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || isKilled(err)
}

// Busy reports whether err is an engine's documented answer that it is overloaded; fewer
// concurrent scans may help.
func Busy(err error) bool {
	return isFailure(err, func(f *Failure) bool { return f.Busy })
}

// NoRoom reports whether err is an engine's documented answer that it cannot write its
// temporary files. Such an engine may call other objects ok that it could not unpack.
func NoRoom(err error) bool {
	return isFailure(err, func(f *Failure) bool { return f.NoRoom })
}

// isFailure reports whether err is, or has, a failure with a property.
func isFailure(err error, is func(*Failure) bool) bool {
	if err == nil {
		return false
	}
	var failures Failures
	if errors.As(err, &failures) {
		return slices.ContainsFunc(failures, is)
	}
	var failure *Failure
	return errors.As(err, &failure) && is(failure)
}

// isDial reports whether err came from a connection attempt, including DNS.
func isDial(err error) bool {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return true
	}
	var dns *net.DNSError
	return errors.As(err, &dns)
}

// startOp is the Op of errors from [os.StartProcess].
const startOp = "fork/exec"

// isStart reports whether err came from starting a program.
func isStart(err error) bool {
	var start *exec.Error
	var path *fs.PathError
	return errors.As(err, &start) || errors.As(err, &path) && path.Op == startOp
}

// isOpen reports whether err came from opening a file, neither a socket nor a program.
func isOpen(err error) bool {
	var path *fs.PathError
	return errors.As(err, &path) && path.Op == "open"
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) ||
		errors.As(err, &timeout) && timeout.Timeout()
}

// isKilled reports whether err means that a signal ended a program.
func isKilled(err error) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled()
}
