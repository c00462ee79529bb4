package wire

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"

	"polyclam/backends/internal/engineconn"
)

const (
	maxHead    = 64 << 10
	maxInterim = 5 // answers such as 100 Continue before the final one
)

// IsBusy reports whether an HTTP or ICAP status means that the engine is overloaded (RFC
// 6585, RFC 9110, RFC 3507).
func IsBusy(status int) bool {
	return status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable
}

// A Response is one answer.
type Response struct {
	Status   int
	Location string
	Body     []byte
	// Measured means that the length of the body was announced, so that it is known to
	// be complete. Otherwise it ends with the connection.
	Measured bool

	last bool   // the engine closes the connection
	more []byte // the beginning of any bytes after the answer
}

var errTooLong = errors.New("the answer is too long")

// receive reads the answer to a request.
func receive(conn *engineconn.Conn, method string, maxBody int64) (*Response, error) {
	// A body in one-byte chunks takes six times its length.
	bounded := &io.LimitedReader{R: conn.Reader(), N: maxHead + 6*maxBody}
	r, err := read(bufio.NewReader(bounded), method, maxBody)
	switch {
	case err == nil:
		return r, nil
	case bounded.N <= 0:
		return nil, errTooLong
	case errors.Is(err, errTooLong):
		return nil, err
	}
	if lost := conn.Broken(err); lost != err {
		return nil, lost
	}
	return nil, fmt.Errorf("not an answer in HTTP: %s", Clip(err.Error(), 200)) // it quotes the answer
}

func read(r *bufio.Reader, method string, maxBody int64) (*Response, error) {
	for range maxInterim {
		res, err := http.ReadResponse(r, &http.Request{Method: method})
		switch {
		case err != nil:
			return nil, err
		case res.StatusCode == http.StatusSwitchingProtocols:
			return nil, errors.New("the server switches protocols")
		case res.StatusCode >= 200:
			return body(r, res, maxBody)
		case res.StatusCode < 100:
			return nil, fmt.Errorf("status %d", res.StatusCode)
		}
	}
	return nil, errors.New("too many interim answers")
}

// body reads the rest of an answer.
func body(r *bufio.Reader, res *http.Response, maxBody int64) (*Response, error) {
	data, err := io.ReadAll(io.LimitReader(res.Body, maxBody+1))
	switch {
	case err != nil:
		return nil, err
	case int64(len(data)) > maxBody:
		return nil, fmt.Errorf("%w: more than %d bytes: %.100q", errTooLong, maxBody, data)
	}
	more, _ := r.Peek(min(r.Buffered(), 100))
	return &Response{
		Status:   res.StatusCode,
		Location: res.Header.Get("Location"),
		Body:     data,
		Measured: res.ContentLength >= 0 || len(res.TransferEncoding) > 0,
		last:     res.Close,
		more:     more,
	}, nil
}
