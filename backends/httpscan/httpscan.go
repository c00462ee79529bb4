// Package httpscan scans with services that receive an object over HTTP and answer with a
// status, a JSON body or both: REST front ends of ClamAV and similar services.
//
// The dialogue, on a new connection for each scan:
//
//	-> POST /v2/scan HTTP/1.1, Content-Type: multipart/form-data; boundary=..., Content-Length: 243
//	-> (one part with the object; with request "raw", only the object)
//	<- HTTP/1.1 406 Not Acceptable, Content-Length: 74
//	<- [{"Status":"FOUND","Description":"Eicar-Test-Signature","FileName":"object"}]
//
// Two tables map the answer: by its status or, if that table says "body", by a word in
// the body. Anything in neither table is a failure. A path of JSON keys or a regular
// expression extracts names from the body; a virus has the category of its name, see
// [backends.NameCategory]. flavours.go has the tables of known services. The code of a
// result is the HTTP status.
//
// These services can answer without scanning:
//
//   - 200 with an empty list or an empty body when clamd has died (clamav-rest). So OK
//     requires the word OK in the body.
//   - 413 whenever clamd cannot be reached (clamav-rest). For an object that is not too
//     large for any clamd this is a failure.
//   - An answer before the whole object was sent counts only if something was found, or if
//     the object is refused for its size.
//   - An answer may be truncated. Only one with an announced length can be clean.
//   - An answer may belong to an earlier request, because it has no id. So each scan uses
//     a new connection. The key keepalive keeps connections, for sites that have measured
//     the gain and trust the service.
//   - An answer may contradict itself, such as OK with the name of a virus, several
//     answers, or a 406 without the word FOUND (any proxy can send one). It is never OK; a
//     finding counts together with the failure.
//   - Redirects are never followed.
package httpscan

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"polyclam/backends"
	"polyclam/backends/internal/wire"
)

// Abilities says what the services with built-in tables can report.
var Abilities = backends.Abilities{
	Virus: true, Suspicious: true, Encrypted: true, Partial: true,
	Names: true, Version: true, DatabaseAge: true,
	Source: "the source of ajilach/clamav-rest and benzino77/clamav-rest-api",
	Tested: "composed bytes, after their source",
}

// A Backend scans with one service. It is safe for concurrent use.
type Backend struct {
	address string
	service service
	client  *wire.Client
}

var _ backends.Versioner = (*Backend)(nil)

// service is a flavour with the configured changes.
type service struct {
	method, path   string
	request        string
	field          string
	fileName       string // of an object without a name
	fileNameHeader string // an additional field with the name; may be empty
	contentType    string // of the object

	statuses  map[int]string // category, or "body"
	answer    extractor      // of the word in a body
	answers   map[string]string
	must      map[string]string // other values required in a JSON body
	name      extractor
	strict    bool      // a clean answer must not have a value at name
	why       extractor // of the reason for a failure, see [tooLargeText]
	tooLarge  int64     // size below which no object is too large for the service
	version   string
	versionAt extractor
}

// Scan implements [backends.Backend].
func (b *Backend) Scan(ctx context.Context, o backends.Object) (backends.Result, error) {
	return b.client.Scan(ctx, b.service.newRequest(o), func(r *wire.Response, a *backends.Answer) {
		b.service.judge(r, o.Size(), a)
	})
}

// Version implements [backends.Versioner].
func (b *Backend) Version(ctx context.Context) (backends.Version, error) {
	if b.service.version == "" {
		return backends.Version{}, b.wrap(errors.ErrUnsupported)
	}
	r, err := b.client.Do(ctx, &wire.Request{Method: http.MethodGet, Target: b.service.version})
	if err != nil {
		return backends.Version{}, err
	}
	if r.Status != http.StatusOK {
		return backends.Version{}, b.wrap(failedStatus(r, backends.SWErr))
	}
	text := strings.TrimSpace(string(r.Body))
	if !b.service.versionAt.none() {
		word, _ := b.service.versionAt.word(r.Body)
		text = strings.TrimSpace(word)
	}
	if text == "" || len(text) > 200 {
		return backends.Version{}, b.wrap(fmt.Errorf("no version in %.200q", r.Body))
	}
	return parseVersion(text, r.Body), nil
}

// parseVersion parses clamd's version, which both services pass on: in one string, or
// (clamav-rest) in three, {"Clamav": "1.4.2", "Signature": "27500", "Signature_date":
// "Mon Nov 23 08:00:00 2026"}.
func parseVersion(text string, body []byte) backends.Version {
	v := backends.Version{Text: text}
	engine, rest, _ := strings.Cut(text, "/")
	database, date, _ := strings.Cut(rest, "/")
	if value, err := wire.JSON(body); err == nil && rest == "" {
		database, date = textAt(value, "Signature"), textAt(value, "Signature_date")
		if _, ok := wire.Lookup(value, "Clamav"); ok {
			engine = "ClamAV " + engine
			v.Text = strings.TrimRight(engine+"/"+database+"/"+date, "/")
		}
	}
	v.Engine, v.Database = engine, database
	// clamd uses ctime(3) and its machine's time zone.
	if t, err := time.ParseInLocation(time.ANSIC, strings.TrimSpace(date), time.Local); err == nil {
		v.DatabaseTime = t
	}
	return v
}

func textAt(value any, path string) string {
	at, _ := wire.Lookup(value, path)
	text, _ := wire.Scalar(at)
	return wire.Clip(text, 100)
}

// Close implements io.Closer: it closes idle connections. Scans in progress finish, and
// each later one uses a new connection.
func (b *Backend) Close() error { return b.client.Close() }

func (b *Backend) wrap(err error) error { return fmt.Errorf("httpscan %s: %w", b.address, err) }

// newRequest returns the request for a scan. The only client-supplied text in its head is
// the escaped file name.
func (s *service) newRequest(o backends.Object) *wire.Request {
	q := &wire.Request{Method: s.method, Target: s.path}
	body := wire.BodyOf(o)
	q.Body = &body
	name := wire.FileName(o, s.fileName)
	if s.fileNameHeader != "" {
		q.Fields = append(q.Fields, wire.NameField(s.fileNameHeader, name))
	}
	if s.request == requestRaw {
		q.Fields = append(q.Fields, wire.Field{Name: "Content-Type", Value: s.contentType})
		return q
	}
	boundary := newBoundary()
	q.Fields = append(q.Fields, wire.Field{Name: "Content-Type", Value: "multipart/form-data; boundary=" + boundary})
	body.Before = "--" + boundary + "\r\n" +
		`Content-Disposition: form-data; name="` + s.field + `"; filename="` + wire.FormName(name) + `"` + "\r\n" +
		"Content-Type: " + s.contentType + "\r\n\r\n"
	body.After = "\r\n--" + boundary + "--\r\n"
	return q
}
