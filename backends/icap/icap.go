// Package icap scans with whatever speaks ICAP, RFC 3507: c-icap, squidclamav, ESET,
// Kaspersky, Symantec, Trellix and Skyhigh, Trend, Sophos, F-Secure, OPSWAT, Dr.Web.
//
// The dialogue, on one connection per scan:
//
//	-> OPTIONS icap://host/service ICAP/1.0            at first, and after Options-TTL
//	<- ICAP/1.0 200 OK, Methods, Preview, ISTag, ...
//	-> RESPMOD icap://host/service ICAP/1.0, Allow: 204, Encapsulated: req-hdr=0, res-hdr=.., res-body=..
//	-> headers of HTTP, then the object in chunks
//	<- ICAP/1.0 204 Unmodified                         clean
//	<- ICAP/1.0 200 OK, X-Infection-Found: ..., and a page instead of the object
//
// The answers; the tables in fields.go and statuses.go are what the code does:
//
//	204                                            ok
//	204 to a preview that is not the whole object  partial
//	X-Infection-Found and other header fields,
//	of ICAP, HTTP or a trailer                     by name and type: virus if unknown
//	X-Response-Info with 204 or the object itself  passed, allowed: nothing; blocked:
//	                                               suspicious; swerr if unknown
//	X-Response-Desc with 204 or the object itself  an error text is swerr
//	X-Error-Code, also with 204 and 500            encrypted, partial, suspicious: swerr if unknown
//	200 with HTTP 403, or 3xx                      virus, "blocked-by-icap"
//	200 with HTTP 400, 401, 407, 5xx               a failure, with a hint; Trend's 500 by its code
//	200 with another HTTP status                   swerr, unless a field says why
//	200 with the object itself                     partial (echo_is), ok if a field says clean
//	200 with another object                        suspicious, "modified-by-icap": a page or
//	                                               an object that was changed
//	200 with the beginning of the object           swerr
//	408                                            interrupted
//	401, 407, 503                                  cannot-execute
//	413                                            partial
//	404, 500, 539, every other status              swerr
//	(closed without an answer)                     cannot-execute
//
// What the fields found and what failed count side by side: a 500 is a failure whatever
// a description beside it says. The keys statuses, http_statuses and error_codes change
// the tables.
//
// HTTP statuses other than 403 and redirects are not documented by any product as the
// way it blocks: 400, 401, 407 and 5xx say that the request or the server is at fault.
// One wrong API key must not turn every mail into a virus.
//
// What is called clean without having been scanned, and what is done about it:
//
//   - c-icap 0.5.10 sends objects over virus_scan.MaxObjectSize back as they are: this is
//     partial. Where the server can say 204, as c-icap can, echo_is = "ok" does not
//     change that: an early echo looks like one in time if the rest of the object was
//     already on its way when it began.
//   - an answer that begins before the whole object was sent may only say virus or
//     suspicious; 413 and the object's own echo are partial. What else it says is a
//     failure.
//   - an answer to an earlier request: an answer has no id, so there is a connection for
//     each scan. The key keepalive keeps connections, for sites that measured the gain
//     and trust the server.
//   - an object whose type a server does not look at gets the same 204 as a clean one.
//     This is what the health checks are for.
package icap

import (
	"context"
	"fmt"
	"sync"
	"time"

	"polyclam/backends"
	"polyclam/backends/internal/engineconn"
)

// Abilities is what a scanner over ICAP can tell.
var Abilities = backends.Abilities{
	Virus: true, Suspicious: true, Encrypted: true, Partial: true, Names: true, Version: true,
	Source: "c-icap 0.5.10 with virus_scan tried; other products from RFC 3507 and other clients (rspamd, fuglu)",
	Tested: "real engine (c-icap with clamd); composed bytes for other products",
}

// Backend is one service of one ICAP server. Safe for concurrent use.
type Backend struct {
	address string // as configured
	host    string // host and port
	uri     string
	fields  string // of every request
	config  Config
	conns   engineconn.Client
	now     func() time.Time

	statuses, pages map[int]row
	errorCodes      map[string]backends.Category

	mu      sync.Mutex
	options options
	known   bool      // there are options
	expires time.Time // when to ask for them again
}

var _ backends.Versioner = (*Backend)(nil)

// Scan implements [backends.Backend].
func (b *Backend) Scan(ctx context.Context, obj backends.Object) (backends.Result, error) {
	o, err := b.current(ctx)
	if err != nil {
		return backends.Result{}, err
	}
	q, err := b.newRequest(o, obj)
	if err != nil {
		return backends.Result{}, fmt.Errorf("icap %s: %w", b.address, err)
	}
	return b.conns.Scan(ctx, func(conn *engineconn.Conn, a *backends.Answer) error { return b.talk(conn, q, a) })
}

// Version implements [backends.Versioner] by asking for OPTIONS. The database is the
// ISTag, which changes with the signatures.
func (b *Backend) Version(ctx context.Context) (backends.Version, error) {
	o, err := b.askOptions(ctx)
	if err != nil {
		return backends.Version{}, err
	}
	return backends.Version{Text: o.service, Engine: o.service, Database: o.istag}, nil
}

// Close implements io.Closer: it ends the kept connections. Scans under way finish,
// and later ones use connections of their own.
func (b *Backend) Close() error { return b.conns.Close() }
