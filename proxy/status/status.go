// Package status writes the replies to clients: the status line of clamd's protocol, its
// extended forms, and the listener profiles that select the form a client understands.
//
// The action selects the last word of a line, the category the text before it. All hard
// limits of clients (line length, names of one token, words that must not appear) are
// enforced here and nowhere else.
package status

import (
	"time"

	"polyclam/backends"
	"polyclam/proxy/policy"
)

// Form is the form of the status line. It is the status key of a listener.
type Form string

// The forms.
const (
	Plain     Form = "plain"     // every known client parses it
	Extended  Form = "extended"  // details in parentheses glued to the name
	Annotated Form = "annotated" // details on OK lines too; for tolerant clients only
)

// ErrorStyle is how a listener reports objects that could not be scanned.
type ErrorStyle string

// The error styles.
const (
	StyleError  ErrorStyle = "error"  // "...: TEXT ERROR"
	StyleClose  ErrorStyle = "close"  // close the connection without a reply
	StyleLimits ErrorStyle = "limits" // "...: Heuristics.Limits.Exceeded.ScanFailed FOUND"
	StyleFound  ErrorStyle = "found"  // "...: Heuristics.Scan.Failed FOUND"
)

// Profile is how a listener answers its clients. It must not be changed once in use.
type Profile struct {
	Client          string // name of the preset
	Form            Form
	ErrorStyle      ErrorStyle
	EncryptedPrefix string // "Heuristics.Encrypted." or "Encrypted."
	MaxLine         int    // bytes of a stream or fd line with its terminator; 128 by default
	MaxPathLine     int    // bytes of a path line with its terminator; 256 by default
	// EscapeObjects escapes the names of objects with [protocol.EscapeObject]. The server
	// sets it for replies whose records end with a line break.
	EscapeObjects bool
	// ID names the request in the daemon's log. The server sets it for the extended forms,
	// which give it in an error, so that an operator finds the log line for a complaint.
	ID string
	// WorstFirst puts the worst line of a directory's reply first, for clients that read
	// only once.
	WorstFirst bool
	// Actions are the preset's actions. They override the policy's defaults, and the
	// site's configuration overrides them.
	Actions map[backends.Category]policy.Action
	// UnknownIsClean says that the client treats every line that it cannot parse, or reads
	// only in part, as clean. It gets no line longer than MaxPathLine (the connection is
	// closed instead) and no error without an identifier.
	UnknownIsClean bool
	// LimitIsClean says that the client lets an object pass when it reads "size limit
	// exceeded". It gets other words for a stream over the limit.
	LimitIsClean bool
	// AnswerWithin limits the time of a whole scan, so that the client has its answer
	// before it gives up.
	AnswerWithin time.Duration
}

// Reply is the reply for one verdict or error.
type Reply struct {
	Text  string // the line without its terminator
	Close bool   // send nothing, close the connection
}
