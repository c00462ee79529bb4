package protocol

import (
	"errors"
	"fmt"
	"strings"
)

// Errors of a client that a caller may branch on. They are wrapped.
var (
	// ErrNoReply: the server closed the connection before the first byte of its
	// reply. clamd does so when it cannot make its temporary file, and when it ends.
	ErrNoReply = errors.New("closed without a reply")
	// ErrBrokenReply: the connection ended in the middle of a reply.
	ErrBrokenReply = errors.New("closed in the middle of a reply")
	// ErrReplySyntax: a reply that is not in the grammar, or not about what was
	// asked. It is no verdict.
	ErrReplySyntax = errors.New("reply is not in the grammar")
	// ErrReplyTooLong: a reply without an end.
	ErrReplyTooLong = errors.New("reply too long")
	// ErrUnexpectedReply: a reply to nothing that was asked, or a second reply.
	ErrUnexpectedReply = errors.New("unexpected reply")
	// ErrEarlyOK: the server said OK before it had been given the whole stream, see
	// [Reply.Early].
	ErrEarlyOK = errors.New("OK before the end of the stream")
	// ErrSessionClosed: the session was ended by Close.
	ErrSessionClosed = errors.New("session closed")
	// ErrPath: a path that cannot be sent.
	ErrPath = errors.New("path cannot be sent")
	// ErrDescriptor: a file that cannot be handed over.
	ErrDescriptor = errors.New("descriptor cannot be handed over")
)

// Errors that a [*ReplyError] wraps: words of the server that a caller may branch
// on.
var (
	// ErrInstreamLimit: the stream is larger than the server's StreamMaxLength. No
	// retry helps.
	ErrInstreamLimit = errors.New("stream size limit exceeded")
	// ErrUnknownCommand: the server does not know the verb, at least not in a session.
	ErrUnknownCommand = errors.New("unknown command")
	// ErrCommandUnavailable: the verb is switched off, clamd 1.5.
	ErrCommandUnavailable = errors.New("command unavailable")
	// ErrCommandTimeout: the server lost its patience with us.
	ErrCommandTimeout = errors.New("command read timed out")
	// ErrExcluded: the server's configuration excludes the path; it was not scanned.
	ErrExcluded = errors.New("path excluded from scanning")
)

// RequestError says which request of a [Client] to which server an error is about.
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

// ReplyError is a reply that is neither OK nor FOUND: whatever was asked about
// has not been scanned.
type ReplyError struct{ Reply Reply }

// Error implements error. The server's words are quoted.
func (e *ReplyError) Error() string { return "server answered " + excerpt(e.Reply.String()) }

// Unwrap returns the error that stands for the server's words, nil if none does.
func (e *ReplyError) Unwrap() error {
	if strings.HasPrefix(e.Reply.Text, "Excluded") && e.Reply.Word == "" {
		return ErrExcluded
	}
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

// terse lists the replies that name no object: clamd/session.c, server-th.c and
// clamd_others.c of 0.103 to 1.5, the last two of old versions' STREAM.
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

// timedOut is the one reply that clamd ends with a newline whatever was asked.
const timedOut = "COMMAND READ TIMED OUT\n"

// isTerse reports whether a line is one of those that name no object.
func isTerse(line string) bool {
	for i := range terse {
		if terse[i].line == line {
			return true
		}
	}
	// "ENGINE VERSION MISMATCH: 1.4.5 != 1.4.6. ERROR", to VERSIONCOMMANDS.
	return strings.HasPrefix(line, "ENGINE VERSION MISMATCH: ") && strings.HasSuffix(line, " ERROR")
}
