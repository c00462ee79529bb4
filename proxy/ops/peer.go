package ops

import (
	"fmt"
	"net/http"
	"os/user"
	"strconv"

	"polyclam/proxy/allow"
	"polyclam/proxy/ops/admin"
)

// byUser puts the user at the other end of the connection into the context of each request.
// Only here is the user looked up: a directory server that hangs must not hold up accept.
func byUser(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r.WithContext(admin.ByUser(r.Context(), userOf(connOf(r.Context())))))
	})
}

// userOf describes the process at the other end of a Unix socket for the log:
// "uid=0 (root), pid=4711".
func userOf(c *conn) string {
	if c == nil {
		return "unknown"
	}
	uc, ok := allow.Unix(c.Conn)
	if !ok {
		return "unknown"
	}
	cred, err := allow.Credentials(uc)
	if err != nil {
		return "unknown"
	}
	name := ""
	if u, err := user.LookupId(strconv.Itoa(int(cred.Uid))); err == nil {
		name = fmt.Sprintf(" (%s)", u.Username)
	}
	return fmt.Sprintf("uid=%d%s, pid=%d", cred.Uid, name, cred.Pid)
}
