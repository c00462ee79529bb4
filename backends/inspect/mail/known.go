package mail

import (
	"bytes"
	"strings"

	"polyclam/backends/inspect/internal/walk"
)

// isMail reports whether s is a mail message. If the header begins with unknown fields,
// it reads more.
func isMail(w *walk.Walk, s *walk.Section) bool {
	mail, more := looksLikeMail(s.Head, s.Depth)
	if mail || !more || s.ReaderAt == nil || s.Size <= int64(len(s.Head)) {
		return mail
	}
	const most = 64 << 10
	b := w.Buffer(min(most, s.Size))
	if walk.ReadFull(s, b, 0) != nil {
		return false
	}
	mail, more = looksLikeMail(b, s.Depth)
	return mail || more && s.Size > most
}

// knownFields are fields that messages have and other text rarely does.
var knownFields = []string{
	"from", "to", "cc", "bcc", "subject", "date", "received", "return-path", "message-id", "mime-version",
	"content-type", "content-transfer-encoding", "content-disposition", "content-id", "delivered-to", "reply-to",
	"sender", "dkim-signature", "authentication-results", "received-spf", "references", "in-reply-to", "x-mailer",
	"user-agent", "list-id", "resent-from", "x-originating-ip", "thread-index", "x-spam-status",
}

// looksLikeMail requires a header at the very beginning with known fields: one, or two
// where a mistake would cost unpacking. more reports that the header continues after head.
func looksLikeMail(head []byte, depth int) (mail, more bool) {
	known, lines := 0, 0
	more = true
	for rest := head; len(rest) > 0; lines++ {
		line, after, whole := bytes.Cut(rest, []byte("\n"))
		rest = after
		line = bytes.TrimSuffix(line, []byte("\r"))
		if !whole {
			more = more && (lines > 0 || fieldName(line) != "")
			break
		}
		if len(line) == 0 {
			more = false
			break
		}
		if line[0] == ' ' || line[0] == '\t' {
			if lines == 0 {
				return false, false
			}
			continue
		}
		if lines == 0 && (bytes.HasPrefix(line, []byte("From ")) || bytes.HasPrefix(line, []byte(">From "))) {
			continue // the envelope line of an mbox
		}
		name := fieldName(line)
		if name == "" {
			more = false
			break
		}
		for _, f := range knownFields {
			if strings.EqualFold(f, name) {
				known++
				break
			}
		}
	}
	return known >= 2 || known == 1 && (depth == 0 || isEntity(head)), more
}

// fieldName returns the name of the field that a line begins, or "".
func fieldName(line []byte) string {
	name, _, ok := bytes.Cut(line, []byte(":"))
	name = bytes.TrimRight(name, " \t")
	if !ok || bytes.ContainsAny(name, " \t\x00<>()[]{}\"") {
		return ""
	}
	return string(name)
}

// isEntity reports whether head begins with the field Content-Type. The signed part inside
// a signature often has no other field.
func isEntity(head []byte) bool {
	const field = "content-type:"
	return len(head) > len(field) && strings.EqualFold(string(head[:len(field)]), field)
}
