package protocol

import (
	"fmt"
	"strconv"
	"strings"
)

// The last words of a line.
const (
	wordOK    = "OK"
	wordFound = "FOUND"
	wordError = "ERROR"
	wordEnd   = "END" // of an extended reply, a line of its own
)

// Objects to ask ParseReply for, beside paths.
const (
	// ObjectStream is the object of a reply to INSTREAM.
	ObjectStream = "stream"
	// ObjectDescriptor stands for "fd[N]", the object of a reply to FILDES,
	// whatever the number: it is that of the descriptor inside the server.
	ObjectDescriptor = "fd[]"
)

// Reply is one status line. It says that nothing was found only if OK reports
// true, and that something was found only if Found does; Err is nil for these
// two and for nothing else.
type Reply struct {
	ID     int    // number of the request in a session; 0 outside of one
	Object string // as the server wrote it; empty in a reply that names none, as "UNKNOWN COMMAND"
	// Text is what stands between the object and the last word: the signature's
	// name, the reason of an error, the annotation of polyclam's OK; the whole
	// line if it has no last word. It is the server's own: escape before showing.
	Text string
	Word string // OK, FOUND, ERROR; empty in a line without any, as "/p: Excluded"

	// Hash and Size are what ExtendedDetectionInfo puts behind the name,
	// "Name(44d88612fea8a8f36de82e1278abb02f:68)".
	Hash string
	Size int64

	// Early is set if the reply began before the whole request was sent. Only a virus
	// or the size limit of streams can be believed then, no other limit, and not that a
	// part is encrypted.
	Early bool
}

// OK reports whether the server says that it found nothing.
func (r Reply) OK() bool { return r.Word == wordOK }

// Found reports whether the server found something: Text is its name.
func (r Reply) Found() bool { return r.Word == wordFound }

// Err returns nil if the server came to an answer, OK or FOUND, and otherwise a
// *ReplyError.
func (r Reply) Err() error {
	if r.OK() || r.Found() {
		return nil
	}
	return &ReplyError{r}
}

// String returns the line without id and terminator.
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

// ParseReply parses a status line, without terminator and without the number of
// a session (see [CutID]), that answers a request about object: [ObjectStream],
// [ObjectDescriptor], or the path asked for. A path may hold ": " and so may the
// reason behind it, hence the line is not split at a colon, the object is taken
// off its front. It may be written without its trailing or doubled slashes, as
// clamd 1.4.6 does; files below a path that is a directory are taken as well, with
// a guess at where their names end (Object tells which it was).
//
// What is not in the grammar is an error that wraps [ErrReplySyntax], and so is
// the reply about another object: clamd up to 1.4.4 names a path that leads
// through linked directories by its real path, so ask for the real one.
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

// CutID takes the number off a reply in a session, "3: stream: OK".
func CutID(line string) (id int, rest string, ok bool) {
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

// cutWord splits what stands behind the object into text and last word.
func cutWord(rest string) (text, word string) {
	if rest == wordOK {
		return "", wordOK
	}
	text, word, ok := cutLast(rest, " ")
	if ok && text != "" && (word == wordOK || word == wordFound || word == wordError) {
		return text, word
	}
	return rest, ""
}

// wellFormed reports whether a reply that names its object is in the grammar.
func (r *Reply) wellFormed() bool {
	for i := range len(r.Text) {
		if r.Text[i] < 0x20 || r.Text[i] == 0x7f {
			return false
		}
	}
	switch r.Word {
	case wordOK:
		return r.Text == "" || isAnnotation(r.Text)
	case wordFound, wordError:
		return r.Text != "" && strings.TrimSpace(r.Text) == r.Text
	}
	// clamd/scanner.c of 1.4 has these lines without a last word.
	return r.Text == "Excluded" || r.Text == "Excluded (another filesystem)" || r.Text == "Empty file"
}

// isAnnotation reports whether text is what polyclam's annotated form puts in
// front of OK: "code=2/category=encrypted/action=ok".
func isAnnotation(text string) bool {
	for text != "" {
		pair, rest, more := strings.Cut(text, "/")
		key, value, ok := strings.Cut(pair, "=")
		if !ok || !isWord(key, 'a', 'z') || !isBare(value) || more && rest == "" {
			return false
		}
		text = rest
	}
	return true
}

// cutHash takes "(hash:size)" off the name.
func (r *Reply) cutHash() {
	rest, ok := strings.CutSuffix(r.Text, ")")
	if !ok {
		return
	}
	name, detail, ok := cutLast(rest, "(")
	if !ok || name == "" {
		return
	}
	hash, size, ok := strings.Cut(detail, ":")
	if !ok || !isHash(hash) || !isDigits(size) || len(size) > 1 && size[0] == '0' {
		return
	}
	n, err := strconv.ParseInt(size, 10, 64)
	if err != nil {
		return
	}
	r.Text, r.Hash, r.Size = name, hash, n
}

// isHash reports whether s is an MD5, SHA-1 or SHA-256 in lower case.
func isHash(s string) bool {
	for i := range len(s) {
		if strings.IndexByte(hexDigits, s[i]) < 0 {
			return false
		}
	}
	return len(s) == 32 || len(s) == 40 || len(s) == 64
}

// cutObject takes the object asked for off the front of a line.
func cutObject(line, object string) (found, rest string, ok bool) {
	switch object {
	case ObjectStream:
		rest, ok = strings.CutPrefix(line, ObjectStream+": ")
		return ObjectStream, rest, ok
	case ObjectDescriptor:
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

// pathForms lists how clamd may write a path: as sent, without trailing slashes,
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

// cutBelow cuts a line about a file below a directory. Its name is not known:
// the cut is at the last ": ", or before a reason that is known to hold one.
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
