// Package admin serves the commands that steer a running server, for the polyclam tool. It
// belongs on a Unix socket that only the administrator can open.
package admin

import (
	"context"
	"net/http"

	"github.com/rs/zerolog"

	"polyclam/proxy"
)

// Controls are the commands for the program around the server.
type Controls interface {
	// Reload reloads the configuration, and returns a line for each change. The error
	// says why it was refused.
	Reload(ctx context.Context) (changes []string, err error)
	// SetLogLevel changes the level of the log until the daemon ends or a reload changes
	// the configured one, and returns the level before.
	SetLogLevel(level string) (before string, err error)
}

// Handler serves the commands. It logs each one with the user that ByUser put into the
// context of its request.
func Handler(s *proxy.Server, c Controls, log zerolog.Logger) http.Handler {
	return http.NotFoundHandler()
}

type userKey struct{}

// ByUser returns a context for the requests of a connection, with the credentials of the
// process at its other end, as text for the log: "uid=0 (root), pid=4711".
func ByUser(ctx context.Context, user string) context.Context {
	return context.WithValue(ctx, userKey{}, user)
}

// userOf returns what ByUser has put into ctx.
func userOf(ctx context.Context) string {
	user, _ := ctx.Value(userKey{}).(string)
	return user
}
