package ops

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
)

// authorized refuses requests without the token.
func (s *Server) authorized(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.mayRead(r) {
			w.Header().Add("WWW-Authenticate", `Bearer realm="polyclam"`)
			w.Header().Add("WWW-Authenticate", `Basic realm="polyclam", charset="UTF-8"`)
			http.Error(w, "send the token of [http] token_file: Authorization: Bearer TOKEN, or as the password of any user", http.StatusUnauthorized)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// mayRead reports whether a request has the token, if one is needed. Browsers cannot send a
// bearer token, so it may be a password as well.
func (s *Server) mayRead(r *http.Request) bool {
	token := s.config.Load().Token
	if token == "" {
		return true
	}
	given, ok := bearer(r.Header.Get("Authorization"))
	if !ok {
		_, given, ok = r.BasicAuth()
	}
	return ok && equal(given, token)
}

// bearer returns the token in the value of the header Authorization.
func bearer(value string) (token string, ok bool) {
	scheme, token, ok := strings.Cut(value, " ")
	return strings.Trim(token, " "), ok && strings.EqualFold(scheme, "Bearer")
}

// equal compares in a time that depends neither on what is equal nor on the lengths.
func equal(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}
