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

	idFact = "/id=" // before the id of the request, in the detail

	maxText    = 90   // bytes before ERROR
	maxEngine  = 32   // bytes of an engine's name
	maxMatches = 1024 // lines for one object of ALLMATCHSCAN
)

// Line returns the reply for one verdict. The action selects the last word, the category
// the text before it. The object is "stream", "fd[10]" or the path as the client sent it.
// Only EscapeObjects changes it, except that an empty one becomes "stream", because every
// line has an identifier. Whatever the verdict contains, the line is one record of at most
// MaxLine bytes (MaxPathLine for a path), which the client reads as the action says.
//
// A path alone may be longer than that. Then the line is sent anyway, as clamd does, or,
// for a client with UnknownIsClean, the connection is closed. An OK line is never cut.
//
// A verdict with an unknown action or category is a failure.
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

// AllMatchLines is Line for ALLMATCHSCAN. It returns a line for each of the winner's names,
// 1024 at most, and keeps repetitions, as clamd 1.4.6 does. A reply that closes the
// connection is the only one.
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

// matchName is the name of one of several matches. A name keeps its namespace, even next to
// a virus.
func (p Profile) matchName(v policy.Verdict, raw string) string {
	if encryptedName.MatchString(raw) && v.Category != backends.Virus {
		return p.name(backends.Encrypted, raw, v.Detail)
	}
	if limitsName.MatchString(raw) {
		return token(raw)
	}
	return p.name(v.Category, raw, raw+" "+v.Detail)
}

// Error returns the reply for an object without a verdict, in the listener's error style.
// text is polyclam's own reason; it is sanitised.
func (p Profile) Error(object, text string) Reply {
	return p.complete().failed(p.object(object), text, "")
}

// ClamdError is [Profile.Error] for an error in clamd's words, which clients know. In style
// error they are sent byte for byte. words is a constant that includes the last word, such
// as "Access denied. ERROR"; it must not come from an engine or a client. The object may be
// empty, like the path of "SCAN ".
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

// ProtocolError returns the reply to a command that is wrong or late, in clamd's words,
// such as "UNKNOWN COMMAND", "COMMAND READ TIMED OUT" or "No file descriptor received.
// ERROR". clamd sends them without an identifier, and so does style error, byte for byte.
// In the other styles, and for a client that would treat them as clean, they are sent like
// any other error: the client may be waiting for a verdict.
func (p Profile) ProtocolError(words string) Reply {
	p = p.complete()
	if p.ErrorStyle != StyleError || p.UnknownIsClean {
		return p.failed(objectStream, strings.TrimSuffix(words, " "+wordError), "")
	}
	return Reply{Text: words}
}

// SizeLimit returns the reply to a stream over the limit. In style error it is clamd's, byte
// for byte, without an identifier: the Python and Java libraries compare it.
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

// Reserve returns a copy of p whose lines leave n bytes free for the "12: " of an IDSESSION,
// which clients count too.
func (p Profile) Reserve(n int) Profile {
	p = p.complete()
	p.MaxLine = max(p.MaxLine-n, 1)
	p.MaxPathLine = max(p.MaxPathLine-n, 1)
	return p
}

// object returns an object's name as lines show it.
func (p Profile) object(name string) string {
	if p.EscapeObjects {
		name = protocol.EscapeObject(name)
	}
	return orElse(name, objectStream)
}

// defined returns v, or a failure if the action or the category of v is unknown.
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

// found returns a FOUND line. If that is too long, the detail is left out, and then the end
// of the name.
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

// failed returns an error in the profile's style.
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
	if detail != "" && p.ID != "" && len(text)+1+len(detail)+len(idFact)+len(p.ID) <= room {
		detail = strings.TrimSuffix(detail, ")") + idFact + p.ID + ")"
	}
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

// room is how many bytes fit between "object: " and " WORD".
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

// detail is the addition of the extended forms. It looks like clamd's
// ExtendedDetectionInfo: attached to the name, without a space or a colon.
func (p Profile) detail(v policy.Verdict) string {
	if p.Form == Plain {
		return ""
	}
	return "(" + facts(v) + ")"
}

// facts is the triple (code, category, action) and the engine. The site chooses an engine's
// name, so it may contain words that have a meaning in replies.
func facts(v policy.Verdict) string {
	s := fmt.Sprintf("code=%d/category=%s/action=%s", v.Code, v.Category, v.Action)
	if e := engine(v.Engine); e != "" {
		s += "/engine=" + e
	}
	return s
}

func engine(name string) string { return head(wordBreaker.Replace(token(name)), maxEngine) }

// tempfailText is the text before ERROR. If an engine failed and another found something,
// the text has both: the failure is the reason for the tempfail.
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

// objectOf describes an object by the category of a finding.
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
