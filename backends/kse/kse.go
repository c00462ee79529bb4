// Package kse scans with Kaspersky Scan Engine in HTTP mode, kavhttpd, over TCP or a Unix
// socket.
//
// The dialogue in KAV protocol 1, on a new connection for each scan:
//
//	-> POST /scanmemory HTTP/1.0                  or /scanfile with a path as the body
//	-> X-KAV-ProtocolVersion: 1
//	-> X-KAV-Timeout: 58000                       milliseconds
//	-> Content-Length: 68, empty line, object
//	<- HTTP/1.0 200 OK, Content-Length: 24, empty line, DETECT EICAR-Test-File
//
// and of protocol 3, with the object in base64:
//
//	-> POST /api/v3.0/scanmemory HTTP/1.1         or /api/v3.0/scanfile
//	-> {"timeout": "58000", "object": "WDVPIVAlQEFQ..."}
//	<- {"object": "memory", "scanResult": "DETECT", "detectionName": "EICAR-Test-File"}
//
// The answers have the same texts in both, see the table in answer.go:
//
//	CLEAN                                 ok
//	CLEAN AND CONTAINS OFFICE MACRO       suspicious
//	DETECT, DISINFECTED, DELETED NAME,..  by name, virus if unknown
//	NON_SCANNED (PASSWORD PROTECTED)      encrypted
//	NON_SCANNED (CORRUPTED), (SKIPPED)    partial
//	NON_SCANNED (CANCELED), HTTP 408      interrupted
//	NON_SCANNED (ACCESS DENIED)           swerr
//	SERVER_ERROR, any other HTTP status   swerr
//	anything else                         swerr
//
// Protocol 3 also reports each part of an archive. Findings and failures in the parts
// both count: a locked member does not hide a failure to scan another. The engine has no
// codes, so the code is the HTTP status, if the status is the reason.
//
// An answer is complete only if its length was announced or, in protocol 1, if it ends
// with a line break: "CLEAN" may be the beginning of something else. An answer that begins
// before the whole object was sent counts only if it found something.
//
// An answer does not identify its request (at most it says "memory"), so each scan uses a
// new connection. With protocol 3, the key keepalive keeps connections, for sites that
// have measured the gain.
package kse

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"polyclam/backends"
	"polyclam/backends/internal/file"
	"polyclam/backends/internal/wire"
)

// Abilities says what the engine can report. It has not been tried with a real engine.
var Abilities = backends.Abilities{
	Virus: true, Suspicious: true, Encrypted: true, Partial: true,
	Names: true, Version: true, DatabaseAge: true,
	Source: "Kaspersky's manual of Scan Engine 1.0 to 2.1; other projects that drive it (rspamd, MailScanner, Nextcloud)",
	Tested: "recorded bytes (of the manual), composed bytes",
}

// A Backend scans with one Kaspersky Scan Engine. It is safe for concurrent use.
type Backend struct {
	address  string
	config   Config
	client   *wire.Client
	protocol int
}

var _ backends.Versioner = (*Backend)(nil)

// ReadsPaths implements [backends.PathReader].
func (b *Backend) ReadsPaths() bool { return b.config.Transport == transportFile }

// Scan implements [backends.Backend].
func (b *Backend) Scan(ctx context.Context, o backends.Object) (backends.Result, error) {
	q, object, err := b.newRequest(ctx, o)
	if err != nil {
		return backends.Result{}, b.wrap(err)
	}
	return b.client.Scan(ctx, q, func(r *wire.Response, a *backends.Answer) { b.judge(r, object, a) })
}

// Version implements [backends.Versioner]. A missing date of the database is not an error.
func (b *Backend) Version(ctx context.Context) (backends.Version, error) {
	text, err := b.ask(ctx, "/version")
	if err != nil {
		return backends.Version{}, err
	}
	number := sdkVersion.FindString(text)
	if number == "" {
		return backends.Version{}, b.wrap(fmt.Errorf("no version in %.200q", text))
	}
	v := backends.Version{Engine: "Kaspersky Scan Engine, KAV SDK " + number}
	v.Text = v.Engine
	text, err = b.ask(ctx, "/basesdate")
	if err != nil {
		return v, nil
	}
	if v.Database = basesDate.FindString(text); v.Database != "" {
		v.Text += "/" + v.Database
		v.DatabaseTime, _ = time.ParseInLocation("2.1.2006 15:04 MST", v.Database, time.UTC)
	}
	return v, nil
}

// The answers to /version and /basesdate, as a line or in JSON: "KAV SDK version:
// 8.8.0.80", "database version: 9.02.2014 15:03 GMT".
var (
	sdkVersion = regexp.MustCompile(`[0-9]{1,5}(?:\.[0-9]{1,5}){1,4}`)
	basesDate  = regexp.MustCompile(`[0-9]{1,2}\.[0-9]{1,2}\.[0-9]{4} [0-9]{1,2}:[0-9]{2} (?:GMT|UTC)`)
)

// Close implements io.Closer: it closes idle connections. Scans in progress finish, and
// each later one uses a new connection.
func (b *Backend) Close() error { return b.client.Close() }

// ask requests information. Its errors name the engine.
func (b *Backend) ask(ctx context.Context, what string) (string, error) {
	q := &wire.Request{Method: http.MethodGet, Target: b.config.prefix() + what}
	if b.protocol == 1 {
		q.HTTP10 = true
		q.Fields = []wire.Field{{Name: "X-KAV-ProtocolVersion", Value: "1"}}
	}
	r, err := b.client.Do(ctx, q)
	if err != nil {
		return "", err
	}
	if r.Status != http.StatusOK {
		return "", b.wrap(failedStatus(r))
	}
	return string(r.Body), nil
}

// newRequest returns the request for a scan, and the object that the answer must name.
func (b *Backend) newRequest(ctx context.Context, o backends.Object) (*wire.Request, string, error) {
	q := &wire.Request{Method: http.MethodPost, Target: b.config.prefix() + "/scanmemory"}
	body, object := wire.BodyOf(o), "memory"
	if b.config.Transport == transportFile {
		path, err := file.PlainPath(o)
		if err != nil {
			return nil, "", err
		}
		q.Target = b.config.prefix() + "/scanfile"
		body, object = wire.Body{Before: path}, path
	}
	timeout := strconv.FormatInt(b.config.timeout(ctx).Milliseconds(), 10)
	q.Body = &body
	if b.protocol == 1 {
		q.HTTP10 = true
		q.Fields = []wire.Field{{Name: "X-KAV-ProtocolVersion", Value: "1"}, {Name: "X-KAV-Timeout", Value: timeout}}
		return q, object, nil
	}
	q.Fields = []wire.Field{{Name: "Content-Type", Value: "application/octet-stream"}}
	// A plain path needs no escape in JSON, see [file.PlainPath].
	body.Before = `{"timeout": "` + timeout + `", "object": "` + body.Before
	body.After = `"}`
	body.Base64 = body.Object != nil
	return q, object, nil
}

// judge adds an answer. A text that may be truncated proves nothing. It is complete if
// its length was announced or, in protocol 1, if it ends with a line break.
func (b *Backend) judge(r *wire.Response, object string, a *backends.Answer) {
	if r.Status != http.StatusOK {
		a.Fail(failedStatus(r))
		return
	}
	ended := b.protocol == 1 && strings.HasSuffix(string(r.Body), "\n")
	if !r.Measured && !ended {
		a.Fail(fmt.Errorf("an answer that may be cut off: %.200q", r.Body))
	}
	if b.protocol == 1 {
		addText(a, string(r.Body))
	} else {
		addJSON(a, r.Body, object)
	}
}

// failedStatus returns the failure for an HTTP status.
func failedStatus(r *wire.Response) *backends.Failure {
	f := &backends.Failure{Category: backends.SWErr, Code: r.Status, Text: fmt.Sprintf("HTTP status %d: %s", r.Status, wire.Clip(string(r.Body), wire.MaxDetail))}
	switch r.Status {
	case http.StatusRequestTimeout:
		f.Category = backends.Interrupted
	case http.StatusUnauthorized, http.StatusForbidden:
		f.Text += " (" + hintToken + ")"
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		f.Text += " (" + hintProtocol + ")"
	}
	return f
}

// Hints for the administrator.
const (
	hintToken    = `the engine requires an API token: headers = { Authorization = "Bearer ..." }`
	hintProtocol = `does the engine speak this protocol? see protocol and api`
)

var errNoAnswer = errors.New("not an answer of Kaspersky Scan Engine")

func (b *Backend) wrap(err error) error { return fmt.Errorf("kse %s: %w", b.address, err) }
