// Package kav scans with the daemons of old Kaspersky products: kavdaemon (AVP 3 and
// 4), and aveserver (5.0 and 5.5).
//
// The dialogue with kavdaemon, on a new connection for each scan:
//
//	-> <0>23 Nov 13:40:09:/path<NUL>
//	<- two bytes: the code in the low four bits of the first; 1 if a report follows
//	<- the length of the report, four bytes in the byte order of the machine
//	<- the report, with lines such as "... infected: NAME", "... suspicion: NAME"
//
// Its codes:
//
//	0 nothing found                     ok
//	1 not completed                     interrupted
//	2 modified or damaged, 4 virus      by name, virus if unknown
//	3 suspicious                        suspicious
//	5 disinfected, 6 deleted            virus
//	7 the daemon is damaged             swerr
//	8 corrupt objects                   partial
//	9 to 15, or any higher bit          swerr
//
// The names in the report count too. With code 0, any line except such a name or "ok" is
// swerr. The codes are documented by exim.
//
// The dialogue with aveserver, on a new connection for each scan:
//
//	<- 2xx greeting                     lines "2xx-..." may precede it
//	-> SCAN bPQRSTUW /path
//	<- 322-NAME /path                   for each hit, or "322 NAME /path"
//	<- 2xx done
//	-> quit
//	<- 2xx
//
// Its answers: 322 is by name, virus if unknown; 2xx alone is ok; 5xx and anything else
// is swerr. "2xx done" does not name a file, so a clean answer counts only if nothing but
// the answer to "quit" follows. These forms are documented by exim and e2guardian.
//
// Either daemon's user must be able to read the file and enter every directory above it.
// (rspamd's Kaspersky module and the Scan Engine use other protocols.)
package kav

import (
	"context"

	"polyclam/backends"
	"polyclam/backends/internal/engineconn"
)

// Abilities says what the engine can report.
var Abilities = backends.Abilities{
	Virus: true, Suspicious: true, Encrypted: false, Partial: true,
	Names: true, Version: false, DatabaseAge: false,
	Source: "clients in exim and e2guardian (PEER)",
	Tested: "composed bytes",
}

// A Backend scans with one of the daemons. It is safe for concurrent use.
type Backend struct {
	client *engineconn.Client
	ask    func(conn *engineconn.Conn, a *backends.Answer, path string) error
}

var _ backends.Backend = (*Backend)(nil)

// ReadsPaths implements [backends.PathReader].
func (*Backend) ReadsPaths() bool { return true }

// Scan implements [backends.Backend]. The daemon reads the file itself.
func (b *Backend) Scan(ctx context.Context, o backends.Object) (backends.Result, error) {
	return b.client.ScanPath(ctx, o, b.ask)
}
