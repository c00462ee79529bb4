package ops

import (
	"encoding/json"
	"fmt"
	"net/http"
	"runtime/debug"
	"unicode/utf16"
)

// httpHandler returns the handler of the HTTP listener.
func (s *Server) httpHandler(metrics http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/livez", s.livez)
	mux.HandleFunc("/readyz", s.readyz)
	slots := newLimiter(httpLimits.requests)
	for pattern, h := range map[string]http.Handler{
		"/metrics":     metrics,
		"/status.json": http.HandlerFunc(s.status),
		"/{$}":         http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.page.Load().ServeHTTP(w, r) }),
	} {
		mux.Handle(pattern, s.authorized(slots.limit(h)))
	}
	mux.Handle("/", s.authorized(http.NotFoundHandler()))
	return s.safe(readOnly(mux))
}

// safe sets the headers that every answer needs, and logs a panic of h.
func (s *Server) safe(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler {
					panic(p)
				}
				s.log.Error().Interface("panic", p).Str("path", r.URL.Path).Bytes("stack", debug.Stack()).Msg("panic")
				panic(http.ErrAbortHandler) // closes the connection
			}
		}()
		header := w.Header()
		header.Set("Server", ServerName)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("X-Frame-Options", "DENY")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cache-Control", "no-store")
		header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.ServeHTTP(w, r)
	})
}

// ServerName is the value of the header Server in every answer.
const ServerName = "polyclamd"

// readOnly refuses every method but GET and HEAD.
func readOnly(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// writeJSON writes v as JSON in ASCII, with a line break at its end. So no text from outside
// can steer the terminal of someone who prints it, or reverse what it shows.
func writeJSON(w http.ResponseWriter, code int, v any) {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		http.Error(w, "the answer cannot be written as JSON", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	w.Write(append(ascii(text), '\n'))
}

// ascii returns JSON with every character beyond printable ASCII escaped. Those are in
// strings only.
func ascii(text []byte) []byte {
	var out []byte
	for _, r := range string(text) {
		switch {
		case r < 0x7f:
			out = append(out, byte(r))
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	return out
}
