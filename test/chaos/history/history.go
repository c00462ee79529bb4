// Package history reads and writes the record of a chaos run: lines of JSON, written
// during the run and judged afterwards. Every process of a run writes to its own file,
// one line per write, so that its record survives it.
package history

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"polyclam/test/chaos/object"
)

// A Time is a moment on the machine's monotonic clock, which all processes share.
type Time int64

// Now is the current time.
func Now() Time {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic(err) // every Linux has this clock
	}
	return Time(ts.Nano())
}

// Sub is the duration from u to t.
func (t Time) Sub(u Time) time.Duration { return time.Duration(t - u) }

// Add is the moment d after t.
func (t Time) Add(d time.Duration) Time { return t + Time(d) }

// How a request ends.
const (
	Replied = "replied" // with one or more lines of reply
	Closed  = "closed"  // the connection was closed without a reply
	Refused = "refused" // there was no connection
	Hung    = "hung"    // the client lost patience
	Left    = "left"    // the client hung up first, on purpose
)

// A Part is one object of a request.
type Part struct {
	Path  string       `json:"path,omitempty"` // or "stream", "fd"
	Nonce string       `json:"nonce"`
	SHA   string       `json:"sha"`
	Size  int          `json:"size"`
	Truth object.Truth `json:"truth,omitzero"`
}

// A Request is one command of a client, and its fate.
type Request struct {
	ID       int      `json:"id"`
	Verb     string   `json:"verb"`
	Listener string   `json:"listener"`
	Client   string   `json:"client,omitempty"`  // how the client misbehaves; empty: it does not
	Session  int      `json:"session,omitempty"` // number of the IDSESSION
	Number   int      `json:"number,omitempty"`  // of the request in it
	Begin    Time     `json:"begin"`
	Sent     Time     `json:"sent,omitempty"` // when the last byte was handed to the kernel
	End      Time     `json:"end"`
	Outcome  string   `json:"outcome"`
	Lines    []string `json:"lines,omitempty"`
	Error    string   `json:"error,omitempty"`
	Stray    []string `json:"stray,omitempty"`  // replies to no request
	Repeat   bool     `json:"repeat,omitempty"` // the object was sent before
	Parts    []Part   `json:"parts,omitempty"`
	Partial  string   `json:"partial,omitempty"` // hash of what a client sent before it hung up
}

// A Fault is something that the harness did to a process.
type Fault struct {
	ID     int            `json:"id"`
	Kind   string         `json:"kind"`
	Target string         `json:"target"` // a node, an engine, or polyclamd
	Begin  Time           `json:"begin"`
	End    Time           `json:"end"`
	Detail map[string]any `json:"detail,omitempty"`
}

// An Event is something that the harness saw.
type Event struct {
	At   Time   `json:"at"`
	Kind string `json:"kind"`
	Text string `json:"text,omitempty"`
	N    int64  `json:"n,omitempty"`
}

// The kinds of an [Event].
const (
	Leftover  = "leftover"  // a file or process that should be gone
	Reloading = "reloading" // SIGHUP is about to be sent; N is the new policy, or -1 for a bad file
	Reloaded  = "reloaded"  // polyclamd logged the result; N is the policy from now on
	Unseen    = "unseen"    // polyclamd logged nothing
	Died      = "died"      // polyclamd ended unexpectedly
	Start     = "start"     // polyclamd answers; N is its policy
	Learning  = "learning"  // nodes are about to get signatures; N is their generation
	Learnt    = "learnt"    // all nodes have them
	Unclean   = "unclean"   // polyclamd did not end well after SIGTERM
)

// A Sample is polyclamd's resource usage.
type Sample struct {
	At          Time   `json:"at"`
	RSS         int64  `json:"rss"`
	Threads     int    `json:"threads"`
	Descriptors int    `json:"descriptors"`
	Phase       string `json:"phase"`
}

// A Scan is one step of a scan in the log of an engine. The steps of a scan share Node,
// Process, Conn and Seq.
type Scan struct {
	Step    string `json:"step"`
	At      Time   `json:"at"`
	Node    string `json:"node"`
	Process int    `json:"process"`
	Conn    int    `json:"conn"`
	Seq     int    `json:"seq"`
	Nonce   string `json:"nonce,omitempty"`
	SHA     string `json:"sha,omitempty"`  // of what was read
	Size    int64  `json:"size,omitempty"` // of what was read
	Whole   bool   `json:"whole,omitempty"`
	Verdict string `json:"verdict,omitempty"`
	Name    string `json:"name,omitempty"`
	Fault   string `json:"fault,omitempty"`
	Error   string `json:"error,omitempty"`
	// Generation is that of the node's signatures.
	Generation int `json:"generation,omitempty"`
}

// The steps of a scan.
const (
	Begun    = "begun"    // the request has arrived
	Read     = "read"     // its object was read, Whole or not
	Answer   = "answer"   // an answer is about to be written
	Answered = "answered" // it was written
	Reload   = "reload"   // no scan: the node was asked to load its signatures
)

// The answers of an engine.
const (
	Clean     = "clean"
	Virus     = "virus"
	Encrypted = "encrypted"
	Nothing   = "nothing" // garbage, half an answer, an error
)

// A Writer writes lines. It is safe for concurrent use.
type Writer struct {
	mu sync.Mutex
	f  *os.File
}

// Create opens a file for appending.
func Create(name string) (*Writer, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	return &Writer{f: f}, nil
}

// Write writes v as a line.
func (w *Writer) Write(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	_, err = w.f.Write(append(b, '\n'))
	return err
}

// Close closes the file.
func (w *Writer) Close() error { return w.f.Close() }

// Load reads the lines of a file. It drops a truncated last line.
func Load[T any](name string) ([]T, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []T
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 4<<20)
	var bad error
	for n := 1; lines.Scan(); n++ {
		if bad != nil {
			return nil, bad
		}
		var v T
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			bad = fmt.Errorf("%s:%d: %w", name, n, err)
			continue
		}
		all = append(all, v)
	}
	return all, lines.Err()
}
