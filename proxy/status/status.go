// Package status words what a client is told: the status line of clamd's
// protocol, its extended forms, and the listener profiles that say which form a
// client understands.
//
// The action picks the last word, the category picks the text before it. All
// hard limits of the clients (bytes, tokens, words that must not appear) are
// enforced here and nowhere else.
package status

import (
	"time"

	"polyclam/backends"
	"polyclam/proxy/policy"
)

// Form is the shape of the status line, a listener's status key.
type Form string

// The forms.
const (
	Plain     Form = "plain"     // what every known client parses
	Extended  Form = "extended"  // details in parentheses glued to the name
	Annotated Form = "annotated" // details on OK lines too; for tolerant clients only
)

// ErrorStyle is how "could not scan" is said on a listener.
type ErrorStyle string

// The error styles.
const (
	StyleError  ErrorStyle = "error"  // "...: TEXT ERROR"
	StyleClose  ErrorStyle = "close"  // close the connection without a reply
	StyleLimits ErrorStyle = "limits" // "...: Heuristics.Limits.Exceeded.ScanFailed FOUND"
	StyleFound  ErrorStyle = "found"  // "...: Heuristics.Scan.Failed FOUND"
)

// Profile is everything a listener says about how its client is spoken to. A
// Profile is a value and is not changed once in use.
type Profile struct {
	Client          string // name of the preset
	Form            Form
	ErrorStyle      ErrorStyle
	EncryptedPrefix string // "Heuristics.Encrypted." or "Encrypted."
	MaxLine         int    // bytes of a stream or fd line with its terminator; 128 by default
	MaxPathLine     int    // bytes of a path line with its terminator; 256 by default
	// EscapeObjects writes the names of objects by [protocol.EscapeObject]. It is the
	// server's to set, for replies whose records end with a line break.
	EscapeObjects bool
	// WorstFirst puts the worst line of a directory's reply first, for clients
	// that read once.
	WorstFirst bool
	// Actions are the preset's own actions, over the policy's defaults and under
	// what the site configured.
	Actions map[backends.Category]policy.Action
	// UnknownIsClean says that the client takes every line that it cannot parse
	// for clean content, one it reads only in part included. It gets no line
	// longer than MaxPathLine (the connection is closed instead) and no error
	// without an identifier.
	UnknownIsClean bool
	// LimitIsClean says that the client lets content pass when it reads "size limit
	// exceeded": of a stream over the limit it is told in words that it does not
	// know.
	LimitIsClean bool
	// AnswerWithin bounds a whole scan, so that the client has its answer before
	// it gives up.
	AnswerWithin time.Duration
}

// Reply is what to send for one verdict or error.
type Reply struct {
	Text  string // the line without its terminator
	Close bool   // send nothing and close the connection
}
