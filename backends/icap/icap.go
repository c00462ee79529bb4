// Package icap scans with servers that speak ICAP, RFC 3507: c-icap, squidclamav, ESET,
// Kaspersky, Symantec, Trellix and Skyhigh, Trend, Sophos, F-Secure, OPSWAT, Dr.Web.
//
// The dialogue, on one connection per scan:
//
//	-> OPTIONS icap://host/service ICAP/1.0            first, and again after Options-TTL
//	<- ICAP/1.0 200 OK, Methods, Preview, ISTag, ...
//	-> RESPMOD icap://host/service ICAP/1.0, Allow: 204, Encapsulated: req-hdr=0, res-hdr=.., res-body=..
//	-> headers of HTTP, then the object in chunks
//	<- ICAP/1.0 204 Unmodified                         clean
//	<- ICAP/1.0 200 OK, X-Infection-Found: ..., and a page instead of the object
//
// The answer table; fields.go and statuses.go have the details:
//
//	204                                            ok
//	204 to a preview that is not the whole object  partial
//	X-Infection-Found and other header fields,
//	of ICAP, HTTP or a trailer                     by name and type: virus if unknown
//	X-Response-Info with 204 or the object itself  blocked: suspicious; passed, allowed:
//	                                               no effect; swerr if unknown
//	X-Response-Desc with 204 or the object itself  an error text is swerr
//	X-Error-Code, also with 204 and 500            by code; swerr if unknown
//	200 with HTTP 403, or 3xx                      virus, "blocked-by-icap"
//	200 with HTTP 400, 401, 407, 5xx               a failure with a hint; Trend's 500 by its code
//	200 with another HTTP status                   swerr, unless a field gives the reason
//	200 with the object itself                     partial (echo_is), ok if a field says clean
//	200 with another object                        suspicious, "modified-by-icap": a page
//	                                               or a changed object
//	200 with the beginning of the object           swerr
//	408                                            interrupted
//	401, 407, 503                                  cannot-execute
//	413                                            partial
//	404, 500, 539, every other status              swerr
//	(closed without an answer)                     cannot-execute
//
// Findings and failures both count: a 500 is a failure, whatever its description says.
// The keys statuses, http_statuses and error_codes change the tables.
//
// No product documents an HTTP status other than 403 and redirects as a block: 400, 401,
// 407 and 5xx mean that the request or the server is at fault. One wrong API key must not
// turn every mail into a virus.
//
// Servers can let an object pass unscanned in these ways:
//
//   - c-icap 0.5.10 returns objects over virus_scan.MaxObjectSize unchanged: partial.
//     With a server that supports 204, such as c-icap, echo_is = "ok" does not change
//     that, because an echo that began too early cannot always be recognised.
//   - An answer that begins before the whole object was sent may only say virus or
//     suspicious; 413 and an echo of the object are partial. Anything else is a failure.
//   - An answer may belong to an earlier request, because it has no id. So each scan uses
//     a new connection. The key keepalive keeps connections, for sites that have measured
//     the gain and trust the server.
//   - Some servers do not scan all types of objects, and answer 204 for the rest. The
//     health checks detect a server that scans nothing.
package icap

import (
	"context"
	"fmt"
	"sync"
	"time"

	"polyclam/backends"
	"polyclam/backends/internal/engineconn"
)

// Abilities says what an ICAP scanner can report.
var Abilities = backends.Abilities{
	Virus: true, Suspicious: true, Encrypted: true, Partial: true, Names: true, Version: true,
	Source: "c-icap 0.5.10 with virus_scan tried; other products from RFC 3507 and other clients (rspamd, fuglu)",
	Tested: "real engine (c-icap with clamd); composed bytes for other products",
}

// A Backend scans with one service of one ICAP server. It is safe for concurrent use.
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
	known   bool      // options are set
	expires time.Time // when to ask for them again
}

var _ backends.Versioner = (*Backend)(nil)

// ReturnsInTime implements [backends.Deadlined].
func (b *Backend) ReturnsInTime() bool { return true }

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

// Version implements [backends.Versioner] with an OPTIONS request. The database is the
// ISTag, which changes with the signatures.
func (b *Backend) Version(ctx context.Context) (backends.Version, error) {
	o, err := b.askOptions(ctx)
	if err != nil {
		return backends.Version{}, err
	}
	return backends.Version{Text: o.service, Engine: o.service, Database: o.istag}, nil
}

// Close implements io.Closer: it closes idle connections. Scans in progress finish, and
// each later one uses a new connection.
func (b *Backend) Close() error { return b.conns.Close() }
