package sssp

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"polyclam/backends"
	"polyclam/backends/internal/engineconn"
)

// The requests.
const (
	requestVersion = "SSSP/1.0"
	requestServer  = "QUERY SERVER"
	requestEngine  = "QUERY ENGINE"
	requestOptions = "OPTIONS"
	requestData    = "SCANDATA"
	requestFile    = "SCANFILE"
	requestBye     = "BYE"
)

const greeting = "OK SSSP/1.0"

// session is the state that savdid keeps for a connection.
type session struct {
	id     string
	number uint64 // of the last accepted request
}

// next checks the token of an ACC, "<session>/<number>". The session stays the same, and
// the number increases by one with each request.
func (s *session) next(token string) bool {
	id, digits, _ := strings.Cut(token, "/")
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil || digits != strconv.FormatUint(n, 10) || !isHex(id) {
		return false
	}
	if s.id != "" && (id != s.id || n != s.number+1) {
		return false
	}
	s.id, s.number = id, n
	return true
}

func isHex(s string) bool {
	return s != "" && len(s) <= 64 && strings.Trim(s, "0123456789ABCDEFabcdef") == ""
}

// accepted waits for the ACC of a request. Any other line is an error.
func accepted(conn *engineconn.Conn, request string) error {
	line, err := conn.Line()
	if err != nil {
		return fmt.Errorf("%s: %w", request, err)
	}
	if r, ok := parseRejection(request, line); ok {
		conn.NoReuse()
		return r
	}
	token, ok := strings.CutPrefix(line, "ACC ")
	if !ok || !conn.State.(*session).next(token) {
		return conn.Stray(unexpected(request, line))
	}
	return nil
}

// hello prepares a new connection for scans. A savdid whose threads are all busy accepts
// the connection and sends nothing, or closes it.
func (b *Backend) hello(conn *engineconn.Conn) error {
	conn.State = &session{}
	conn.SetStep("greeting (" + hintFull + ")")
	line, err := conn.Line()
	switch {
	case errors.Is(err, backends.ErrNoReply):
		return fmt.Errorf("greeting: %w (%s)", err, hintFull)
	case err != nil:
		return fmt.Errorf("greeting: %w", err)
	case line != greeting:
		return fmt.Errorf("greeting %.200q, want %q: is it a savdid, and the channel of type SSSP?", line, greeting)
	}
	if err := conn.Command(requestVersion + "\r\n"); err != nil {
		return fmt.Errorf("%s: %w", requestVersion, err)
	}
	if err := accepted(conn, requestVersion); err != nil {
		return failure(err)
	}
	if len(b.options) == 0 {
		return nil
	}
	return failure(setOptions(conn, b.options))
}

// failure turns a rejection into a failure of the engine.
func failure(err error) error {
	var r *rejection
	if !errors.As(err, &r) {
		return err
	}
	return &backends.Failure{Category: backends.SWErr, Code: r.code, Text: r.Error()}
}

// setOptions sends the OPTIONS block in one piece.
func setOptions(conn *engineconn.Conn, options []string) error {
	if err := conn.Command(requestOptions + "\r\n" + strings.Join(options, "\r\n") + "\r\n\r\n"); err != nil {
		return fmt.Errorf("%s: %w", requestOptions, err)
	}
	if err := accepted(conn, requestOptions); err != nil {
		return err
	}
	var a backends.Answer
	if err := readAnswer(requestOptions, conn.Line, &a); err != nil {
		return fmt.Errorf("%s: %w", requestOptions, err)
	}
	if r, err := a.Result(); err != nil || r.Category != backends.OK {
		return fmt.Errorf("%s: %w", requestOptions, errors.Join(err, errors.New(hintOptions)))
	}
	return nil
}

// maxSettings limits the lines of an answer to QUERY.
const maxSettings = 1000

// readSettings reads "key: value" lines up to the empty one, and calls learn for each.
func readSettings(conn *engineconn.Conn, request string, learn func(key, value string)) error {
	for range maxSettings {
		line, err := conn.Line()
		if err != nil {
			return fmt.Errorf("%s: %w", request, err)
		}
		if line == "" {
			return nil
		}
		if key, value, ok := strings.Cut(line, ": "); ok {
			learn(key, value)
		}
	}
	return fmt.Errorf("%s: more than %d lines", request, maxSettings)
}
