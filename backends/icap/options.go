package icap

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"polyclam/backends"
	"polyclam/backends/internal/engineconn"
)

// options describe a service, according to its answer to OPTIONS.
type options struct {
	methods        []string // empty: unknown
	service        string   // its name
	istag          string   // changes with the signatures
	preview        int64    // bytes to send first; -1: none
	allow204       bool     // supports 204
	maxConnections int      // 0: unknown
	ttl            time.Duration
}

// Limits on a server's options.
const (
	defaultTTL = time.Hour // RFC 3507 4.10.2: without Options-TTL they do not expire
	minTTL     = 10 * time.Second
	maxTTL     = 24 * time.Hour
	maxPreview = 1 << 20
	maxText    = 256
)

// parseOptions parses the fields of an answer to OPTIONS. Invalid values are ignored.
func parseOptions(h *head) options {
	o := options{
		methods:  h.list("methods"),
		service:  cut(h.get("service"), maxText),
		istag:    cut(strings.Trim(h.get("istag"), `"`), maxText),
		preview:  -1,
		allow204: containsFold(h.list("allow"), "204"),
		ttl:      defaultTTL,
	}
	if o.service == "" {
		o.service = cut(h.get("server"), maxText)
	}
	if n, err := strconv.ParseInt(h.get("preview"), 10, 64); err == nil && n >= 0 {
		o.preview = min(n, maxPreview)
	}
	if n, err := strconv.Atoi(h.get("max-connections")); err == nil && n > 0 {
		o.maxConnections = n
	}
	if n, err := strconv.ParseInt(h.get("options-ttl"), 10, 32); err == nil && n >= 0 {
		o.ttl = min(max(time.Duration(n)*time.Second, minTTL), maxTTL)
	}
	return o
}

// current returns the options, and requests them if they are unknown or expired. While
// one scan requests them again, the others use the known ones.
func (b *Backend) current(ctx context.Context) (options, error) {
	now := b.now()
	b.mu.Lock()
	o, due := b.options, !now.Before(b.expires)
	if due && b.known {
		b.expires = now.Add(minTTL)
	}
	b.mu.Unlock()
	if !due {
		return o, nil
	}
	return b.askOptions(ctx)
}

// forget makes the next scan request the options again.
func (b *Backend) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expires = time.Time{}
}

// askOptions requests the options and stores them.
func (b *Backend) askOptions(ctx context.Context) (options, error) {
	var o options
	err := b.conns.Do(ctx, func(c *engineconn.Conn) (err error) {
		o, err = b.optionsOn(c)
		return err
	})
	if err != nil {
		b.forget()
		return options{}, err
	}
	b.mu.Lock()
	b.options, b.known, b.expires = o, true, b.now().Add(o.ttl)
	b.mu.Unlock()
	return o, nil
}

func (b *Backend) optionsOn(c *engineconn.Conn) (options, error) {
	err := c.Command("OPTIONS " + b.uri + " ICAP/1.0\r\nHost: " + b.host + "\r\n" + b.fields + "\r\n")
	if err != nil {
		return options{}, err
	}
	c.SetStep("OPTIONS")
	h, status, err := readStatus(c)
	if err != nil {
		return options{}, err
	}
	if status != http.StatusOK || hasBody(&h) || !persists(&h) {
		c.NoReuse()
	}
	return b.offered(&h, status)
}

// offered interprets the status of an answer to OPTIONS. A server without OPTIONS may be
// able to scan, so its answer to a scan decides.
func (b *Backend) offered(h *head, status int) (options, error) {
	switch status {
	case http.StatusOK, http.StatusNoContent:
		return parseOptions(h), nil
	case http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return options{preview: -1, ttl: minTTL}, nil
	}
	r := b.statuses[status]
	return options{}, &backends.Failure{Category: r.category, Code: status, Text: explain("OPTIONS answered "+h.start, r.hint)}
}

// method returns the method for scans.
func (b *Backend) method(o options) (string, error) {
	switch {
	case b.config.Method == methodRespmod:
		return "RESPMOD", nil
	case b.config.Method == methodReqmod:
		return "REQMOD", nil
	case len(o.methods) == 0, containsFold(o.methods, "RESPMOD"):
		return "RESPMOD", nil
	case containsFold(o.methods, "REQMOD"):
		return "REQMOD", nil
	}
	return "", &backends.Failure{Category: backends.SWErr, Code: backends.NoCode,
		Text: fmt.Sprintf("the service offers neither RESPMOD nor REQMOD but %.100q", o.methods)}
}

// MaxConnections returns how many connections the server accepts from one client, or 0 if
// unknown. It may refuse more concurrent scans.
func (b *Backend) MaxConnections() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.options.maxConnections
}

// cut limits the length of a text.
func cut(s string, n int) string { return s[:min(len(s), n)] }

// explain adds a hint to a text.
func explain(text, hint string) string {
	text = cut(text, maxDetail)
	if hint != "" {
		text += " (" + hint + ")"
	}
	return text
}
