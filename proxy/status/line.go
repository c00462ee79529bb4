package status

import (
	"fmt"
	"strings"

	"polyclam/backends"
	"polyclam/protocol"
	"polyclam/proxy/policy"
)

const (
	objectStream = "stream"

	wordOK    = "OK"
	wordFound = "FOUND"
	wordError = "ERROR"

	// maxText is the most that may stand before ERROR; maxEngine the most of an
	// engine's name in a line.
	maxText   = 90
	maxEngine = 32
	// maxMatches bounds the lines of one object's ALLMATCHSCAN.
	maxMatches = 1024
)

// Line is what the client is told of one verdict: the action picks the last
// word, the category the text before it. The object is "stream", "fd[10]" or the
// path as the client asked for it; it is never altered but as EscapeObjects says
// (an empty one is "stream": no line goes without an identifier). Whatever
// is in the verdict, the line is one record of at most MaxLine bytes (MaxPathLine
// for a path) that the client reads as the action says.
//
// The path alone can be too long. The whole line is sent then, as clamd does; for
// a client with UnknownIsClean the connection is closed instead. An OK line is
// always whole.
//
// A verdict with an action or a category that does not exist is told as a
// failure.
func (p Profile) Line(object string, v policy.Verdict) Reply {
	p = p.complete()
	v = defined(v)
	object = p.object(object)
	switch v.Action {
	case policy.OK:
		return p.okLine(object, v)
	case policy.Quarantine:
		return p.found(object, p.verdictName(v), p.detail(v))
	}
	return p.failed(object, tempfailText(v), p.detail(v))
}

// AllMatchLines is Line for ALLMATCHSCAN: a line for each of the winner's names,
// repetitions kept as the engine gave them, as clamd 1.4.6 does. At most 1024
// names are told. A reply that closes the connection comes alone.
func (p Profile) AllMatchLines(object string, v policy.Verdict) []Reply {
	p = p.complete()
	v = defined(v)
	if v.Action != policy.Quarantine || v.Category.IsFailure() || len(v.Names) < 2 {
		return []Reply{p.Line(object, v)}
	}
	object = p.object(object)
	var replies []Reply
	for _, n := range v.Names[:min(len(v.Names), maxMatches)] {
		r := p.found(object, p.matchName(v, n), p.detail(v))
		if r.Close {
			return []Reply{r}
		}
		replies = append(replies, r)
	}
	return replies
}

// matchName is the name of one of several matches. What stands in a namespace
// of its own keeps it, also beside a virus.
func (p Profile) matchName(v policy.Verdict, raw string) string {
	if encryptedName.MatchString(raw) && v.Category != backends.Virus {
		return p.name(backends.Encrypted, raw, v.Detail)
	}
	if limitsName.MatchString(raw) {
		return token(raw)
	}
	return p.name(v.Category, raw, raw+" "+v.Detail)
}

// Error is what the client is told when there is no verdict, for a reason of
// ours that text says: in the listener's error style, with the text sanitised.
func (p Profile) Error(object, text string) Reply {
	return p.complete().failed(p.object(object), text, "")
}

// ClamdError is [Profile.Error] for an error in clamd's own words, which clients
// know: in style error they are sent byte for byte. The words are a constant of
// ours with its last word, such as "Access denied. ERROR" or "File path check
// failure: No such file or directory. ERROR"; nothing of them comes from an
// engine or a client. The object may be empty, as the path of "SCAN " is.
func (p Profile) ClamdError(object, words string) Reply {
	p = p.complete()
	words = strings.TrimSuffix(words, " "+wordError)
	if p.ErrorStyle != StyleError {
		return p.failed(p.object(object), words, "")
	}
	if object != "" {
		object = p.object(object)
	}
	line := object + ": " + words + " " + wordError
	if p.UnknownIsClean && len(line)+len("\n") > p.budget(object) {
		return Reply{Close: true}
	}
	return Reply{Text: line}
}

// ProtocolError is what the client is told when its command itself is wrong or
// came too late, in clamd's own words, such as "UNKNOWN COMMAND", "COMMAND READ
// TIMED OUT" or "No file descriptor received. ERROR". clamd sends them without
// an identifier, and in style error so do we, byte for byte. In the other
// styles, and for a client that would take them for clean content, they are an
// error like any other: the client may have been waiting for a verdict.
func (p Profile) ProtocolError(words string) Reply {
	p = p.complete()
	if p.ErrorStyle != StyleError || p.UnknownIsClean {
		return p.failed(objectStream, strings.TrimSuffix(words, " "+wordError), "")
	}
	return Reply{Text: words}
}

// SizeLimit is what the client is told of a stream over the limit: in style
// error clamd's own bytes, without an identifier, which the Python and Java
// libraries compare with. It is worded here for a stream, whatever was asked.
func (p Profile) SizeLimit() Reply {
	p = p.complete()
	switch p.ErrorStyle {
	case StyleClose:
		return Reply{Close: true}
	case StyleLimits, StyleFound:
		return p.found(objectStream, nameStreamLimit, "")
	}
	const words = "INSTREAM size limit exceeded. ERROR"
	if p.LimitIsClean {
		return p.failed(objectStream, strings.TrimSuffix(words, " "+wordError), "")
	}
	if p.UnknownIsClean {
		return Reply{Text: objectStream + ": " + words}
	}
	return Reply{Text: words}
}

// Reserve returns a copy of p whose lines leave n bytes free, for the "12: " of a
// session. Clients count it too.
func (p Profile) Reserve(n int) Profile {
	p = p.complete()
	p.MaxLine = max(p.MaxLine-n, 1)
	p.MaxPathLine = max(p.MaxPathLine-n, 1)
	return p
}

// object returns the name of an object as a line has it.
func (p Profile) object(name string) string {
	if p.EscapeObjects {
		name = protocol.EscapeObject(name)
	}
	return orElse(name, objectStream)
}

// defined makes a failure of a verdict that says nothing that exists, or that
// wants a stop without a reason.
func defined(v policy.Verdict) policy.Verdict {
	if !v.Action.Valid() || !v.Category.Valid() {
		v.Category = backends.SWErr
		if v.Action != policy.Quarantine {
			v.Action = policy.Tempfail
		}
	}
	return v
}

func (p Profile) okLine(object string, v policy.Verdict) Reply {
	plain := object + ": " + wordOK
	if p.Form != Annotated || v.Category == backends.OK {
		return Reply{Text: plain}
	}
	line := object + ": " + facts(v) + " " + wordOK
	if len(line)+1 > p.budget(object) {
		return Reply{Text: plain}
	}
	return Reply{Text: line}
}

// found makes a FOUND line. The detail goes first when the line is too long,
// then the end of the name.
func (p Profile) found(object, name, detail string) Reply {
	room := p.room(object, wordFound)
	switch {
	case room < 1 && isPath(object):
		return p.overlong(object, name, wordFound)
	case len(name)+len(detail) <= room:
		name += detail
	default:
		name = head(name, max(room, 1))
	}
	return Reply{Text: object + ": " + name + " " + wordFound}
}

// failed says in the profile's style that there is no answer.
func (p Profile) failed(object, text, detail string) Reply {
	switch p.ErrorStyle {
	case StyleClose:
		return Reply{Close: true}
	case StyleLimits:
		return p.found(object, nameLimitsFailed, detail)
	case StyleFound:
		return p.found(object, nameScanFailed, detail)
	}
	room := p.room(object, wordError)
	if room < 1 && isPath(object) {
		return p.overlong(object, errorText(text, maxText), wordError)
	}
	text = errorText(text, min(max(room, 1), maxText))
	if detail != "" && len(text)+1+len(detail) <= room {
		text += " " + detail
	}
	return Reply{Text: object + ": " + text + " " + wordError}
}

func (p Profile) overlong(object, text, word string) Reply {
	if p.UnknownIsClean {
		return Reply{Close: true}
	}
	return Reply{Text: object + ": " + text + " " + word}
}

// room is how many bytes may stand between "object: " and " WORD".
func (p Profile) room(object, word string) int {
	return p.budget(object) - len(object) - len(": ") - len(" ") - len(word) - len("\n")
}

func (p Profile) budget(object string) int {
	if isPath(object) {
		return p.MaxPathLine
	}
	return p.MaxLine
}

func isPath(object string) bool {
	return object != objectStream && !(strings.HasPrefix(object, "fd[") && strings.HasSuffix(object, "]"))
}

// detail is what the forms beyond plain add, in the shape of clamd's
// ExtendedDetectionInfo: glued to the name, without a blank or a colon.
func (p Profile) detail(v policy.Verdict) string {
	if p.Form == Plain {
		return ""
	}
	return "(" + facts(v) + ")"
}

// facts is the triple and the engine. An engine's name is the site's choice
// and can hold the words of replies.
func facts(v policy.Verdict) string {
	s := fmt.Sprintf("code=%d/category=%s/action=%s", v.Code, v.Category, v.Action)
	if e := engine(v.Engine); e != "" {
		s += "/engine=" + e
	}
	return s
}

func engine(name string) string { return head(breakWords(token(name)), maxEngine) }

// tempfailText is the text before ERROR. A failure beside a finding names both: the
// client is put off because of the failure.
func tempfailText(v policy.Verdict) string {
	if v.Cause.Valid() && v.Cause.IsFailure() && !v.Category.IsFailure() {
		return objectOf(v.Category) + ", " + failedEngine(v.ActionBy)
	}
	switch v.Category {
	case backends.Virus:
		return "Virus scan result deferred by policy"
	case backends.Suspicious:
		return "Suspicious content deferred by policy"
	case backends.Encrypted:
		return "Encrypted content cannot be scanned"
	case backends.Partial:
		return "Content could not be scanned completely"
	}
	if engine(v.Engine) == "" {
		return "Scan failed"
	}
	return failedEngine(v.Engine)
}

// objectOf is what the object is, by the category of a finding.
func objectOf(c backends.Category) string {
	switch c {
	case backends.Virus:
		return "Virus content"
	case backends.Suspicious:
		return "Suspicious content"
	case backends.Encrypted:
		return "Encrypted content"
	}
	return "Content not scanned completely"
}

func failedEngine(name string) string {
	return orElse(engine(name), "an engine's") + " scan failed"
}
