package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"polyclam/backends"
	"polyclam/cmd/internal/size"
)

// report formats and counts the outcomes of a scan.
type report struct {
	options scanOptions
	exit    int // the exit status so far
	total   totals
}

// totals is the summary. Its JSON is documented in docs/operations.md.
type totals struct {
	Type       string                      `json:"type"` // "summary"
	Server     string                      `json:"server"`
	Extended   bool                        `json:"extended"` // the server is polyclamd, not a plain clamd
	Files      int64                       `json:"files"`
	Bytes      int64                       `json:"bytes"`
	NotScanned int64                       `json:"not_scanned"`
	Categories map[backends.Category]int64 `json:"categories"`
	Skipped    skipped                     `json:"skipped"`
	Stopped    string                      `json:"stopped,omitempty"` // why the scan ended early
	Elapsed    millis                      `json:"elapsed"`
	Exit       int                         `json:"exit"`
}

func newReport(o scanOptions, s *server) *report {
	return &report{options: o, total: totals{
		Type: "summary", Server: s.String(), Extended: s.extended, Categories: map[backends.Category]int64{},
	}}
}

// severity lists the exit statuses, the worst first.
var severity = []int{exitFound, exitFailed, exitEncrypted, exitPartial, exitOK}

// worse returns the worse of two exit statuses.
func worse(a, b int) int {
	for _, s := range severity {
		if a == s || b == s {
			return s
		}
	}
	return exitFailed
}

// add counts an outcome, and returns what to print for it.
func (r *report) add(o outcome) string {
	status := o.exit()
	r.exit = worse(r.exit, status)
	r.total.Files++
	r.total.Bytes += o.Size
	r.total.Categories[o.Category]++
	if status == exitFailed {
		r.total.NotScanned++
	}
	switch {
	case r.options.quiet && status == exitOK, r.options.infected && status != exitFound:
		return ""
	case r.options.json:
		return jsonLine(o)
	}
	return o.text()
}

// finish adds what is known only at the end.
func (r *report) finish(s skipped, elapsed time.Duration, stopped error) {
	r.total.Skipped, r.total.Elapsed = s, millis(elapsed.Seconds())
	if stopped != nil {
		r.total.Stopped = stopped.Error()
		r.exit = worse(r.exit, exitFailed)
	}
	r.total.Exit = r.exit
}

// summary returns the summary to print.
func (r *report) summary() string {
	switch {
	case r.options.quiet:
		return ""
	case r.options.json:
		return jsonLine(r.total)
	}
	return r.total.text()
}

func (t *totals) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s, %s s, by %s", plural(t.Files, "file"), size.Human(t.Bytes), seconds(float64(t.Elapsed)), printable(t.Server))
	separator := ": "
	for _, c := range backends.Categories() {
		if n := t.Categories[c]; n > 0 {
			fmt.Fprintf(&b, "%s%d %s", separator, n, c)
			separator = ", "
		}
	}
	b.WriteString("\n")
	if t.NotScanned > 0 {
		fmt.Fprintf(&b, "not scanned: %s\n", plural(t.NotScanned, "file"))
	}
	if s := t.Skipped; s.total() > 0 {
		fmt.Fprintf(&b, "skipped: %s, %s, %s\n", plural(s.Links, "link"), plural(s.Special, "special file"), plural(s.Mounts, "mount"))
	}
	return b.String()
}

// text formats an outcome: the verdict and a table of the engines.
func (o *outcome) text() string {
	var b strings.Builder
	b.WriteString(printable(o.File) + ": " + o.verdict() + "\n")
	if len(o.Engines) == 0 {
		return b.String()
	}
	t := newTable("ENGINE", "CATEGORY", "ACTION", "CODE", "TIME", "NAME", "MESSAGE")
	for _, a := range o.Engines {
		category, action, code := string(a.Category), string(a.Action), ""
		if a.Failure != "" {
			category += ", " + string(a.Failure)
		}
		if a.Code != backends.NoCode {
			code = fmt.Sprint(a.Code)
		}
		if a.Cancelled { // there is no result
			category, action = "", ""
		}
		t.add(a.Engine, category, action, code, seconds(float64(a.Elapsed)), a.names(), a.remark())
	}
	t.write(&b, "  ")
	return b.String()
}

// verdict returns "ok", "virus (quarantine): NAME", "encrypted (tempfail by ENGINE): NAME" or
// "not scanned (CATEGORY): REASON".
func (o *outcome) verdict() string {
	if o.Error != "" && o.exit() == exitFailed {
		return fmt.Sprintf("not scanned (%s): %s", o.Category, printable(o.Error))
	}
	text := string(o.Category)
	if o.Category != backends.OK || o.exit() != exitOK {
		by := ""
		if o.ActionBy != "" {
			by = " by " + printable(o.ActionBy)
		}
		text += fmt.Sprintf(" (%s%s)", o.Action, by)
	}
	if o.Name != "" {
		text += ": " + printable(o.Name)
	}
	if o.Error != "" {
		text += ": " + printable(o.Error)
	}
	return text
}

func (a *answer) names() string {
	text := strings.Join(a.Names, ", ")
	if more := a.NameCount - len(a.Names); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// remark returns the engine's message, and what is special about its result.
func (a *answer) remark() string {
	var parts []string
	switch {
	case a.Cancelled:
		parts = append(parts, "cancelled, the verdict was already certain")
	case a.Message != "":
		parts = append(parts, a.Message)
	}
	for _, p := range a.Passed {
		parts = append(parts, fmt.Sprintf("(%s passes by the rule '%s')", p.Name, p.Rule))
	}
	if !a.Counts && !a.Cancelled {
		parts = append(parts, "(does not count: optional)")
	}
	return strings.Join(parts, " ")
}

// jsonLine encodes a value as one line of JSON that is safe to print on a terminal. Invalid
// UTF-8 becomes U+FFFD.
func jsonLine(v any) string {
	b, err := json.Marshal(v)
	if err != nil { // no type here can fail
		return fmt.Sprintf("{\"error\":%q}\n", err)
	}
	return escapeJSON(string(b)) + "\n"
}
