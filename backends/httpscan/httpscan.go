// Package httpscan scans with services that take a content over HTTP and answer with
// a status, a JSON body or both: the REST front ends of ClamAV and their like.
//
// The dialogue, on one connection per scan:
//
//	-> POST /v2/scan HTTP/1.1, Content-Type: multipart/form-data; boundary=..., Content-Length: 243
//	-> (one part with the object; or, with request "raw", the object alone)
//	<- HTTP/1.1 406 Not Acceptable, Content-Length: 74
//	<- [{"Status":"FOUND","Description":"Eicar-Test-Signature","FileName":"object"}]
//
// The answer is mapped in two steps, both by tables: by the status, or, where the
// table says "body", by a word in the body. What is in neither table is a failure.
// Names come out of the body by a path of JSON keys or a regular expression; a virus
// is what its name says, see [backends.NameCategory]. The tables of known services are
// in flavours.go. The code of a result is the HTTP status.
//
// What these services say although they have not scanned, and what is done about it:
//
//   - 200 with an empty list or an empty body, when clamd went away (clamav-rest):
//     an ok needs the word OK in the body.
//   - 413 whenever clamd cannot be reached (clamav-rest): for an object that is too
//     small to be too large for any clamd it is a failure.
//   - an answer before the whole object was sent, with any status: counts only if
//     something was found, or if the object is refused for its size.
//   - half an answer: only one whose length was announced is believed that nothing
//     bad was found.
//   - an answer to an earlier request: an answer has no id, so there is a connection
//     for each scan. The key keepalive keeps connections, for sites that measured the
//     gain and trust the service.
//   - an answer that contradicts itself, such as OK beside the name of a virus, several
//     answers, or a 406 without the word FOUND (any proxy can send one): never ok. What
//     was found counts beside the failure.
//   - a redirect: never followed.
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

// Abilities is what the services whose tables are built in can tell.
var Abilities = backends.Abilities{
	Virus: true, Suspicious: true, Encrypted: true, Partial: true,
	Names: true, Version: true, DatabaseAge: true,
	Source: "the source of ajilach/clamav-rest and benzino77/clamav-rest-api",
	Tested: "composed bytes, after their source",
}

// Backend is one service. It is safe for concurrent use.
type Backend struct {
	address string
	service service
	client  *wire.Client
}

var _ backends.Versioner = (*Backend)(nil)

// service is a flavour with what the configuration says in its place.
type service struct {
	method, path   string
	request        string
	field          string
	fileName       string // of an object that has none
	fileNameHeader string // a further field with the name; empty: none
	contentType    string // of the object

	statuses  map[int]string // category, or "body"
	answer    extractor      // of the word that says what a body means
	answers   map[string]string
	must      map[string]string // what has to be in a JSON body that says so
	name      extractor
	strict    bool      // a clean answer has nothing at name
	why       extractor // of the reason for a failure, which may be [tooLargeText]
	tooLarge  int64     // an object below is not too large for the service, whatever it says
	version   string
	versionAt extractor
}

// Scan implements [backends.Backend].
func (b *Backend) Scan(ctx context.Context, o backends.Object) (backends.Result, error) {
	return b.client.Scan(ctx, b.service.question(o), func(r *wire.Response, a *backends.Answer) {
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

// parseVersion splits what clamd says of itself, as both services pass it on: in one
// string, or (clamav-rest) in three, {"Clamav": "1.4.2", "Signature": "27500",
// "Signature_date": "Mon Nov 23 08:00:00 2026"}.
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
	// clamd writes ctime(3) in the time zone of its machine.
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

// Close implements io.Closer: it closes the kept connections. Scans under way
// finish, and later ones have a connection each.
func (b *Backend) Close() error { return b.client.Close() }

func (b *Backend) wrap(err error) error { return fmt.Errorf("httpscan %s: %w", b.address, err) }

// question is the request of a scan. What comes from a client in its head is the name
// of the file, escaped.
func (s *service) question(o backends.Object) *wire.Request {
	q := &wire.Request{Method: s.method, Target: s.path}
	body := wire.Of(o)
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
