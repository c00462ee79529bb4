package protocol

import (
	"errors"
	"fmt"
	"strings"
)

// Errors of a [Client] or [ClientSession] that a caller may branch on. They are wrapped.
var (
	// ErrNoReply: the server closed the connection before the first byte of its reply.
	// clamd does so when it cannot create a temporary file, and when it exits.
	ErrNoReply = errors.New("closed without a reply")
	// ErrBrokenReply: the connection ended in the middle of a reply.
	ErrBrokenReply = errors.New("closed in the middle of a reply")
	// ErrReplySyntax: the reply is malformed, too long, or not about the object asked for.
	// It is not a verdict.
	ErrReplySyntax = errors.New("malformed reply")
	// ErrUnexpectedReply: a reply that belongs to no request, or a second reply.
	ErrUnexpectedReply = errors.New("unexpected reply")
	// ErrEarlyOK: the server answered OK before it had received the whole stream, see
	// [Reply.Early].
	ErrEarlyOK = errors.New("OK before the end of the stream")
	// ErrPath: the path cannot be sent.
	ErrPath = errors.New("path cannot be sent")
	// ErrDescriptor: the file cannot be passed to the server.
	ErrDescriptor = errors.New("descriptor cannot be passed")
)

var (
	errReplyTooLong  = fmt.Errorf("%w: too long", ErrReplySyntax)
	errSessionClosed = errors.New("session closed")
)

// Errors that a [*ReplyError] wraps: answers that a caller may branch on.
var (
	// ErrInstreamLimit: the stream is larger than the server's StreamMaxLength. A retry
	// does not help.
	ErrInstreamLimit = errors.New("stream size limit exceeded")
	// ErrUnknownCommand: the server does not know the verb, at least not in a session.
	ErrUnknownCommand = errors.New("unknown command")
	// ErrCommandUnavailable: the verb is switched off (clamd 1.5 and later).
	ErrCommandUnavailable = errors.New("command unavailable")
	// ErrCommandTimeout: the server had to wait too long for the client.
	ErrCommandTimeout = errors.New("command read timed out")
)

// RequestError is an error of a [Client], with the request and the server it belongs to.
type RequestError struct {
	Verb             Verb
	Network, Address string
	Err              error
}

// Error implements error.
func (e *RequestError) Error() string {
	return fmt.Sprintf("%s to %s %s: %v", e.Verb, e.Network, e.Address, e.Err)
}

// Unwrap returns Err.
func (e *RequestError) Unwrap() error { return e.Err }

// ReplyError is a status line that is neither OK nor FOUND: the object was not scanned.
type ReplyError struct{ Reply Reply }

// Error implements error. The answer is quoted.
func (e *ReplyError) Error() string { return "server answered " + excerpt(e.Reply.String()) }

// Unwrap returns the error for this answer, or nil.
func (e *ReplyError) Unwrap() error {
	if e.Reply.Object != "" {
		return nil
	}
	for _, t := range terse {
		if t.line == e.Reply.String() {
			return t.err
		}
	}
	return nil
}

// terse lists the replies that name no object, from session.c, server-th.c and
// clamd_others.c of clamd 0.103 to 1.5. The last two are replies to STREAM.
var terse = []struct {
	line string
	err  error
}{
	{unknownCommand, ErrUnknownCommand},
	{"COMMAND UNAVAILABLE", ErrCommandUnavailable},
	{"COMMAND READ TIMED OUT", ErrCommandTimeout},
	{"INSTREAM size limit exceeded. ERROR", ErrInstreamLimit},
	{"Command invalid inside IDSESSION. ERROR", ErrUnknownCommand},
	{`Only nCMDS\n and zCMDS\0 are accepted inside IDSESSION. ERROR`, nil},
	{"Error processing command. ERROR", nil},
	{"No file descriptor received. ERROR", nil},
	{"PROTOCOL ERROR: ancillary data sent without FILDES. ERROR", nil},
	{"Error writing to temporary file ERROR", nil},
	{"Error writing to temporary file. ERROR", nil},
	{"Temporary file -> write ERROR", nil},
	{"read timeout ERROR", ErrCommandTimeout},
	{"accept() ERROR", nil},
	{"Can't find any free port. ERROR", nil},
}

const unknownCommand = "UNKNOWN COMMAND"

// timedOut is the one reply that clamd always ends with a newline.
const timedOut = "COMMAND READ TIMED OUT\n"

// isTerse reports whether line is a reply that names no object.
func isTerse(line string) bool {
	for i := range terse {
		if terse[i].line == line {
			return true
		}
	}
	// "ENGINE VERSION MISMATCH: 1.4.5 != 1.4.6. ERROR", to VERSIONCOMMANDS.
	return strings.HasPrefix(line, "ENGINE VERSION MISMATCH: ") && strings.HasSuffix(line, " ERROR")
}
