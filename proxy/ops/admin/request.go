package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"polyclam/proxy/printable"
)

const (
	maxBody = 64 << 10 // bytes of a request
	maxName = 256      // bytes of a name in a message
)

// A refusal is the error of a command that was not done.
type refusal struct {
	status int
	text   string
	force  bool // the same command with "force" would be done
}

// Error implements error.
func (e *refusal) Error() string { return e.text }

func badRequest(format string, args ...any) error {
	return &refusal{status: http.StatusBadRequest, text: fmt.Sprintf(format, args...)}
}

// command returns a handler that decodes the body of a request, and encodes what do
// returns.
func command[T any](do func(*http.Request, T) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var o T
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			writeError(w, unreadable(err))
			return
		}
		if err := decode(body, &o); err != nil {
			writeError(w, err)
			return
		}
		answer, err := do(r, o)
		if err != nil {
			writeError(w, err)
			return
		}
		writeJSON(w, http.StatusOK, answer)
	}
}

// unreadable words the error of a body that did not arrive.
func unreadable(err error) error {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return &refusal{status: http.StatusRequestEntityTooLarge, text: fmt.Sprintf("the request is larger than %d bytes", large.Limit)}
	}
	return badRequest("the request did not arrive completely")
}

// decode reads one JSON object whose keys are those of o, a pointer to a struct. Nothing may
// follow it. An empty body is an empty object.
func decode(body []byte, o any) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(o); err != nil {
		return badRequest("the request is wrong: %s", jsonFault(err))
	}
	if _, err := d.Token(); err != io.EOF {
		return badRequest("the request is wrong: something follows its JSON object")
	}
	return nil
}

// jsonFault words an error of encoding/json.
func jsonFault(err error) string {
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &kind) && kind.Field != "":
		return fmt.Sprintf("%q has a value of the wrong type", shown(kind.Field))
	case errors.As(err, &kind):
		return "it must be a JSON object"
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return "unknown key " + shown(name)
	}
	return "it is not valid JSON"
}

// shown shortens a text from a request, and escapes it for a message.
func shown(s string) string { return printable.Escape(s, maxName) }

// errorBody is the answer to a command that was not done.
type errorBody struct {
	Error string `json:"error"`
	Force bool   `json:"force,omitempty"`
}

func writeError(w http.ResponseWriter, err error) {
	refused := &refusal{status: http.StatusInternalServerError, text: err.Error()}
	errors.As(err, &refused)
	writeJSON(w, refused.status, errorBody{refused.text, refused.force})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		status, text = http.StatusInternalServerError, []byte(`{"error":"the answer cannot be written as JSON"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write(append(text, '\n')) // a client that has gone needs no answer
}
