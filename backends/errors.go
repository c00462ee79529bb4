package backends

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"syscall"
)

// ErrNoReply is wrapped by a backend whose engine closed or reset the connection
// before it had sent one byte of its answer: CannotExecute. An answer that
// breaks off in the middle is a plain error: SWErr.
var ErrNoReply = errors.New("connection closed without a reply")

// A Failure is an error of a known category: an engine's own word that it could
// not come to an answer, or an outcome that no error of the standard library
// expresses.
type Failure struct {
	Category Category // one for which IsFailure is true; anything else counts as SWErr
	Code     int      // the engine's own code, or NoCode
	Text     string   // the engine's own words, raw: escape before showing
}

// Error implements error.
func (f *Failure) Error() string { return f.Text }

// CategoryOf says what the error of a scan amounts to. It is the one place
// where errors become categories:
//
//	a *Failure                                its own category
//	cancelled; a connection closed by us      Interrupted
//	no socket, no program                     NotInstalled
//	not reachable: refused, permission, DNS,
//	no connection in time                     CannotExecute
//	a program that cannot be started          CannotExecute
//	closed without a reply, see ErrNoReply    CannotExecute
//	deadline over, program killed by a signal Interrupted
//	anything else                             SWErr
//
// A reset or end of a connection is SWErr unless the backend says ErrNoReply:
// only it knows whether there was a beginning of an answer. A missing file is
// NotInstalled only where something was to be connected to or started, so that a
// content that has gone does not look like an engine that is not there.
//
// A nil error has no category; CategoryOf(nil) is SWErr, so that a forgotten
// result can never pass for OK.
func CategoryOf(err error) Category {
	var failure *Failure
	if errors.As(err, &failure) {
		if failure.Category.Valid() && failure.Category.IsFailure() {
			return failure.Category
		}
		return SWErr
	}
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, net.ErrClosed):
		return Interrupted
	case errors.Is(err, exec.ErrNotFound):
		return NotInstalled
	case errors.Is(err, fs.ErrNotExist) && !isOpen(err):
		return NotInstalled
	case isDial(err), isStart(err):
		// Before the deadlines: an engine that cannot be connected to in time
		// cannot be reached, whoever set the time.
		return CannotExecute
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, ErrNoReply):
		return CannotExecute
	case isTimeout(err), isKilled(err):
		return Interrupted
	}
	return SWErr
}

// isDial reports whether err came from making a connection, DNS included.
func isDial(err error) bool {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return true
	}
	var dns *net.DNSError
	return errors.As(err, &dns)
}

// startOp is the operation in the errors of [os.StartProcess].
const startOp = "fork/exec"

// isStart reports whether err came from starting a program.
func isStart(err error) bool {
	var start *exec.Error
	var path *fs.PathError
	return errors.As(err, &start) || errors.As(err, &path) && path.Op == startOp
}

// isOpen reports whether err came from a file that is neither a socket nor a
// program.
func isOpen(err error) bool {
	var path *fs.PathError
	return errors.As(err, &path) && path.Op == "open"
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) ||
		errors.As(err, &timeout) && timeout.Timeout()
}

// isKilled reports whether err is the end of a program by a signal.
func isKilled(err error) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled()
}
