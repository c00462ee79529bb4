package backends

import "context"

type tagKey struct{}

// WithTag returns a context for a scan with the client's own id, such as the queue id of a
// mail. A backend whose engine can log it hands it on.
func WithTag(ctx context.Context, tag string) context.Context {
	return context.WithValue(ctx, tagKey{}, tag)
}

// Tag returns the id of WithTag, or "".
func Tag(ctx context.Context) string {
	tag, _ := ctx.Value(tagKey{}).(string)
	return tag
}
