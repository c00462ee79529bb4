package proxy

import (
	"cmp"
	"slices"
	"strings"
	"sync"

	"polyclam/backends"
	"polyclam/proxy/policy"
	"polyclam/proxy/status"
)

// maxCollected is how many bytes of lines are collected before they are sent.
const maxCollected = 64 << 10

// A walkReply is the reply to a command that scans a path. It is safe for concurrent use.
type walkReply struct {
	r             *request
	atEnd         bool // send the lines together at the end
	single        bool // the client named a file
	silentIfEmpty bool // send nothing if no file was scanned, as MULTISCAN does

	mu       sync.Mutex
	last     policy.Verdict // of the last file
	lines    []string
	size     int  // of lines
	files    int  // files looked at
	answered bool // a line other than OK has been added
	found    bool
	gone     bool // the client has gone, or is answered by closing the connection
}

// count counts a file.
func (a *walkReply) count() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.files++
}

// state reports whether something was found, and whether the client has gone.
func (a *walkReply) state() (found, gone bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.found, a.gone
}

// abandon ends the reply without another line.
func (a *walkReply) abandon() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.gone = true
}

// verdict adds the lines for a verdict.
func (a *walkReply) verdict(path string, v policy.Verdict) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last = v
	a.found = a.found || v.Action == policy.Quarantine
	if a.r.extended() {
		a.answered = true
		a.add(a.r.line(path, v))
		a.records(path, v)
		a.flush(false)
		return
	}
	if v.Action == policy.OK {
		return // one OK at the end, if there is no other line
	}
	a.answered = true
	for _, reply := range a.r.allLines(path, v) {
		a.add(reply)
	}
	a.flush(false)
}

// failure adds the line for an object that could not be scanned.
func (a *walkReply) failure(path, words string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answered = true
	a.add(a.r.profile().ClamdError(path, words))
	a.flush(false)
}

// cutOff adds a line that says that the walk ended before it reached everything below path.
// No engine got the rest, so this is an error whatever the policy says about interrupted
// scans; v is the verdict on the rest.
func (a *walkReply) cutOff(path, words string, v policy.Verdict) {
	reply := a.r.profile().ClamdError(path, words)
	if v.Action == policy.Quarantine {
		reply = a.r.line(path, v)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answered = true
	a.add(reply)
	if a.r.extended() {
		a.records(path, v)
	}
	a.flush(false)
}

// records adds the records that follow the status line in replies to X verbs.
func (a *walkReply) records(path string, v policy.Verdict) {
	for _, rec := range status.Records(path, v) {
		a.add(status.Reply{Text: rec.String()})
	}
}

func (a *walkReply) add(reply status.Reply) {
	if reply.Close {
		a.gone = true
		return
	}
	a.lines = append(a.lines, reply.Text)
	a.size += len(reply.Text)
}

// flush sends the lines, unless they are few and can wait until the end.
func (a *walkReply) flush(end bool) {
	if a.gone || len(a.lines) == 0 || !end && a.atEnd && a.size < maxCollected {
		return
	}
	// The records of X verbs must stay next to their object.
	if a.r.lst.Profile.WorstFirst && !a.r.extended() {
		slices.SortStableFunc(a.lines, func(x, y string) int { return cmp.Compare(badness(y), badness(x)) })
	}
	if a.r.send(a.lines...) != nil {
		a.gone = true
	}
	a.lines, a.size = nil, 0
}

// badness orders lines for clients that read only the first.
func badness(line string) int {
	switch {
	case strings.HasSuffix(line, " FOUND"):
		return 2
	case strings.HasSuffix(line, " ERROR"):
		return 1
	}
	return 0
}

// finish sends the remaining lines, or the one OK if there are none. okPath is the path
// as OK lines show it.
func (a *walkReply) finish(okPath string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.gone {
		a.r.close()
		return
	}
	switch {
	case a.answered:
	case a.silentIfEmpty && a.files == 0:
		return // clamd answers MULTISCAN of an empty directory with nothing
	case a.single:
		a.add(a.r.line(okPath, a.last))
	default:
		clean := policy.Verdict{Category: backends.OK, Action: policy.OK}
		a.add(a.r.line(okPath, clean))
		if a.r.extended() { // there was nothing to scan, so there are no engines to report
			a.records(okPath, clean)
		}
	}
	if a.r.extended() {
		a.add(status.Reply{Text: "END"})
	}
	a.flush(true)
}
