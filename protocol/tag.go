package protocol

import "context"

// maxTag is the most bytes of an id that XTAG accepts.
const maxTag = 128

// ValidTag reports whether XTAG accepts the id: 1 to 128 bytes of printable ASCII without
// spaces. The queue ids of all mail servers are like that, and so are most Message-IDs.
func ValidTag(tag string) bool {
	if tag == "" || len(tag) > maxTag {
		return false
	}
	for i := range len(tag) {
		if tag[i] <= ' ' || tag[i] >= 0x7f {
			return false
		}
	}
	return true
}

type tagKey struct{}

// WithTag returns a context in which the requests of a [Client] hand over the caller's own
// id, such as the queue id of a mail, so that it is in the server's log. An id that is not
// valid is not sent. A [ClientSession] sends none.
//
// Only polyclam has the command for it. To any other server the request fails with an error
// that wraps [ErrUnknownCommand]: ask again without an id.
func WithTag(ctx context.Context, tag string) context.Context {
	return context.WithValue(ctx, tagKey{}, tag)
}

// tagOf returns the command that hands over the id of ctx, or "" if there is none.
func tagOf(ctx context.Context) string {
	tag, _ := ctx.Value(tagKey{}).(string)
	if !ValidTag(tag) {
		return ""
	}
	return "z" + string(VerbXTag) + " " + tag + "\x00"
}
