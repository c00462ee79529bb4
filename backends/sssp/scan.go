package sssp

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"polyclam/backends"
)

// scanData sends the content and reads the answer. Nothing is sent of a content that
// is larger than the server takes.
func (c *conn) scanData(content backends.Content, buffers *sync.Pool) (backends.Result, error) {
	size := content.Size()
	if err := c.permits(requestData); err != nil {
		return backends.Result{}, err
	}
	if c.maxData > 0 && size > c.maxData {
		return backends.Result{Category: backends.Partial, Code: backends.NoCode,
			Detail: fmt.Sprintf("the content has %d bytes, maxscandata of savdid is %d", size, c.maxData)}, nil
	}
	if err := c.request(requestData, strconv.FormatInt(size, 10)); err != nil {
		return rejected(err)
	}
	sent := make(chan error, 1)
	go func() { sent <- c.sendContent(content, size, buffers) }()
	a, err := readAnswer(requestData, c.line)
	early, contentErr := c.settle(sent, err != nil)
	if contentErr != nil {
		return backends.Result{}, contentErr
	}
	return c.conclude(a, err, early)
}

// scanFile has savdid read the file.
func (c *conn) scanFile(path string) (backends.Result, error) {
	if err := c.permits(requestFile); err != nil {
		return backends.Result{}, err
	}
	if err := c.request(requestFile, escapePath(path)); err != nil {
		return rejected(err)
	}
	a, err := readAnswer(requestFile, c.line)
	return c.conclude(a, err, false)
}

// request sends a request and waits until it is accepted.
func (c *conn) request(name, argument string) error {
	if err := c.send(name + " " + argument + "\r\n"); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return c.accepted(name)
}

// settle waits until the content is sent, and reports whether the answer came
// before that. That is seen for sure only of content that does not fit into the
// buffers between here and there.
func (c *conn) settle(sent <-chan error, failed bool) (early bool, contentErr error) {
	if failed {
		c.close()
	}
	// The last bytes may have been answered before the goroutine that sent them
	// runs again.
	timer := time.NewTimer(time.Second)
	defer timer.Stop()
	var err error
	select {
	case err = <-sent:
	case <-timer.C:
		early = true
		c.close()
		err = <-sent
	}
	var failure *backends.Failure
	if errors.As(err, &failure) {
		return early, err
	}
	return early || err != nil, nil
}

// conclude gives what the answer amounts to. What was found stands, whatever came
// behind it; but an answer to a part of the content is no answer.
func (c *conn) conclude(a answer, err error, early bool) (backends.Result, error) {
	var r *rejection
	if errors.As(err, &r) {
		c.spoiled = true
		return r.amounts()
	}
	if err != nil && !(errors.Is(err, errTooLong) && a.virus != "") {
		return backends.Result{}, err
	}
	result, err := a.amounts()
	c.spoiled = c.spoiled || early || err != nil || a.odd
	if early && err == nil && strength(result.Category) < strength(backends.Suspicious) {
		return backends.Result{}, fmt.Errorf("%s: answered before it had the whole content: %.200q", requestData, result.Detail)
	}
	return result, err
}

// rejected maps an error before the content was sent.
func rejected(err error) (backends.Result, error) {
	var r *rejection
	if errors.As(err, &r) {
		return r.amounts()
	}
	return backends.Result{}, err
}

// escapePath percent-encodes everything but RFC 3986's unreserved characters, the
// slash too, as the Moodle client does. savdid decodes all of it.
func escapePath(path string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(path) {
		ch := path[i]
		switch {
		case ch >= 'a' && ch <= 'z', ch >= 'A' && ch <= 'Z', ch >= '0' && ch <= '9', strings.IndexByte("-._~", ch) >= 0:
			b.WriteByte(ch)
		default:
			b.Write([]byte{'%', hex[ch>>4], hex[ch&15]})
		}
	}
	return b.String()
}
