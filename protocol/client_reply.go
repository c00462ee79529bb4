package protocol

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// The last words of status lines.
const (
	wordOK    = "OK"
	wordFound = "FOUND"
	wordError = "ERROR"
	wordEnd   = "END" // the last line of an extended reply
)

// ObjectStream is the object of a reply to INSTREAM.
const ObjectStream = "stream"

// objectDescriptor means "fd[N]", the object of a reply to FILDES. N is the number
// that the descriptor has in the server.
const objectDescriptor = "fd[]"

// Reply is one status line. Only OK and Found prove that the object was scanned. Err is
// nil if and only if one of them is true.
type Reply struct {
	ID     int    // number of the request in a session, otherwise 0
	Object string // as the server wrote it; empty if the reply names none, such as "UNKNOWN COMMAND"
	// Text is the part between the object and the last word: a signature name, the reason
	// of an error, or the annotation of polyclam's OK. In a line without a last word it is
	// everything after the object. It is untrusted: escape it before showing it.
	Text string
	Word string // OK, FOUND, ERROR; empty in a line such as "/p: Excluded"

	// Hash and Size are set if the server adds them to the name (ExtendedDetectionInfo),
	// as in "Name(44d88612fea8a8f36de82e1278abb02f:68)".
	Hash string
	Size int64

	// Early is set if the reply began before the whole request was sent. Then trust only a
	// virus or the size limit for streams, but no other limit and no encrypted part.
	Early bool
}

// OK reports whether the server found nothing.
func (r Reply) OK() bool { return r.Word == wordOK }

// Found reports whether the server found something. Text is its name.
func (r Reply) Found() bool { return r.Word == wordFound }

// Err returns nil for OK and FOUND, and otherwise a *[ReplyError].
func (r Reply) Err() error {
	if r.OK() || r.Found() {
		return nil
	}
	return &ReplyError{r}
}

// String returns the line without number and terminator.
func (r Reply) String() string {
	var b strings.Builder
	if r.Object != "" {
		b.WriteString(r.Object + ": ")
	}
	b.WriteString(r.Text)
	if r.Hash != "" {
		b.WriteString("(" + r.Hash + ":" + strconv.FormatInt(r.Size, 10) + ")")
	}
	if r.Text != "" && r.Word != "" {
		b.WriteByte(' ')
	}
	b.WriteString(r.Word)
	return b.String()
}

// ParseReply parses the status line, without number and terminator, that answers a
// request about object: [ObjectStream], or the path that was sent. Paths and reasons may
// contain ": ", so the line is not split there: the object is cut off its start.
// The server may write a path without trailing or doubled slashes, as clamd 1.4.6 does.
// If the path is a directory, the reply may be about a file below it; where its name ends
// is a guess.
//
// A malformed line, or one about another object, is an error that wraps [ErrReplySyntax].
// clamd up to 1.4.4 resolves symbolic links in paths before it answers: send the real
// path.
func ParseReply(line, object string) (Reply, error) {
	r := Reply{}
	if isTerse(line) {
		r.Text, r.Word = cutWord(line)
		return r, nil
	}
	found, rest, ok := cutObject(line, object)
	if !ok {
		return Reply{}, fmt.Errorf("%w: %s is not about %s", ErrReplySyntax, excerpt(line), excerpt(object))
	}
	r.Object = found
	r.Text, r.Word = cutWord(rest)
	if !r.wellFormed() {
		return Reply{}, fmt.Errorf("%w: %s", ErrReplySyntax, excerpt(line))
	}
	if r.Found() {
		r.cutHash()
	}
	return r, nil
}

// cutID cuts the number off a reply in a session, such as "3: stream: OK".
func cutID(line string) (id int, rest string, ok bool) {
	digits, rest, ok := strings.Cut(line, ": ")
	if !ok || len(digits) > 9 || !isDigits(digits) || digits[0] == '0' {
		return 0, line, false
	}
	id, err := strconv.Atoi(digits)
	return id, rest, err == nil
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// cutWord splits the rest of a line after the object into text and last word.
func cutWord(rest string) (text, word string) {
	if rest == wordOK {
		return "", wordOK
	}
	if i := strings.LastIndexByte(rest, ' '); i > 0 {
		switch word := rest[i+1:]; word {
		case wordOK, wordFound, wordError:
			return rest[:i], word
		}
	}
	return rest, ""
}

// wellFormed reports whether a reply that names its object is one that clamd or polyclam
// can send.
func (r *Reply) wellFormed() bool {
	for i := range len(r.Text) {
		if r.Text[i] < 0x20 || r.Text[i] == 0x7f {
			return false
		}
	}
	switch r.Word {
	case wordOK:
		return r.Text == "" || annotation.MatchString(r.Text)
	case wordFound, wordError:
		return r.Text != "" && strings.TrimSpace(r.Text) == r.Text
	}
	// clamd/scanner.c of 1.4 has these lines without a last word.
	return r.Text == "Excluded" || r.Text == "Excluded (another filesystem)" || r.Text == "Empty file"
}

// annotation is the text that polyclam's annotated form puts before OK, such as
// "code=2/category=encrypted/action=ok".
var annotation = regexp.MustCompile(`^[a-z_]+=[\w.+@~-]+(/[a-z_]+=[\w.+@~-]+)*$`)

// cutHash cuts "(hash:size)" off the name.
func (r *Reply) cutHash() {
	rest, ok := strings.CutSuffix(r.Text, ")")
	if !ok {
		return
	}
	i := strings.LastIndexByte(rest, '(')
	if i <= 0 {
		return
	}
	hash, size, ok := strings.Cut(rest[i+1:], ":")
	if !ok || !isHash(hash) || !isDigits(size) || len(size) > 1 && size[0] == '0' {
		return
	}
	n, err := strconv.ParseInt(size, 10, 64)
	if err != nil {
		return
	}
	r.Text, r.Hash, r.Size = rest[:i], hash, n
}

// isHash reports whether s is an MD5, SHA-1 or SHA-256 in lower case.
func isHash(s string) bool {
	for i := range len(s) {
		if strings.IndexByte("0123456789abcdef", s[i]) < 0 {
			return false
		}
	}
	return len(s) == 32 || len(s) == 40 || len(s) == 64
}

// cutObject cuts the requested object off the start of a line.
func cutObject(line, object string) (found, rest string, ok bool) {
	switch object {
	case ObjectStream:
		rest, ok = strings.CutPrefix(line, ObjectStream+": ")
		return ObjectStream, rest, ok
	case objectDescriptor:
		found, rest, ok = strings.Cut(line, ": ")
		n, isFD := strings.CutPrefix(found, "fd[")
		n, closed := strings.CutSuffix(n, "]")
		return found, rest, ok && isFD && closed && isDigits(n)
	case "":
		return "", "", false
	}
	for _, form := range pathForms(object) {
		if strings.HasPrefix(line, form) && strings.HasPrefix(line[len(form):], ": ") {
			return form, line[len(form)+2:], true
		}
	}
	for _, form := range pathForms(object) {
		if strings.HasPrefix(line, strings.TrimRight(form, "/")+"/") {
			return cutBelow(line)
		}
	}
	return "", "", false
}

// pathForms lists the ways clamd may write a path: as sent, without trailing slashes, and
// without doubled ones.
func pathForms(path string) []string {
	forms := []string{path}
	if path == "" || path[len(path)-1] != '/' && !strings.Contains(path, "//") {
		return forms
	}
	single := path
	for strings.Contains(single, "//") {
		single = strings.ReplaceAll(single, "//", "/")
	}
	for _, form := range []string{strings.TrimRight(path, "/"), single, strings.TrimRight(single, "/")} {
		if form != "" && form != forms[len(forms)-1] {
			forms = append(forms, form)
		}
	}
	return forms
}

// cutBelow cuts a line about a file below a directory. The name of the file is not
// known: the cut is at the last ": ", or before a reason that is known to contain one.
func cutBelow(line string) (found, rest string, ok bool) {
	i := -1
	if strings.HasSuffix(line, " "+wordError) {
		for _, reason := range []string{": File path check failure: ", ": lstat() failed: "} {
			i = max(i, strings.LastIndex(line, reason))
		}
	}
	if i < 0 {
		i = strings.LastIndex(line, ": ")
	}
	if i < 0 {
		return "", "", false
	}
	return line[:i], line[i+2:], true
}

// excerpt quotes a line for an error message.
func excerpt(s string) string {
	const most = 120
	if len(s) > most {
		return strconv.Quote(s[:most]) + "..."
	}
	return strconv.Quote(s)
}
