// Package fsecure scans with fsavd, the daemon of F-Secure Anti-Virus for Linux.
// (WithSecure's Atlant and Internet Gatekeeper speak ICAP.)
//
// The dialogue, its fields separated by tabs. The connection is kept for the next
// scan, one at a time on each:
//
//	<- DBVERSION 2017-07-08_08                         not from old daemons
//	-> PROTOCOL 9                                      not to old daemons, see key protocol
//	<- OK ...
//	-> CONFIGURE ARCHIVE 1                             one for each of the settings
//	<- OK ...
//	-> SCAN /path
//	<- ARCHIVE_INFECTED /path/member NAME FSE 0 0 0 0
//	<- OK Scan ok.
//
// The strongest line is the answer, once "OK" has come; a virus stands without it:
//
//	INFECTED, and with ARCHIVE_, MIME_      by the name, virus if unknown; code 1
//	SUSPECTED, RISKWARE, and with those     suspicious, code 1
//	SCAN_FAILURE path code text             by the table of texts; code is the number
//	CLEAN path, OK alone                    ok, code 0
//	OPEN_ARCHIVE, CLOSE_ARCHIVE, PING       nothing; PING may come at any time
//	ERROR, any other word, another path     swerr
//
// The lines of members name only the member, in some versions. An answer that does
// not name the path counts on a new connection only, where it cannot be a late one
// to an earlier question.
//
// The daemon's user must be able to read the file and to enter every directory
// above it.
package fsecure

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"polyclam/backends"
	"polyclam/backends/internal/line"
)

// Abilities are what the engine can tell.
var Abilities = backends.Abilities{
	Virus: true, Suspicious: true, Encrypted: true, Partial: true,
	Names: true, Version: true, DatabaseAge: true,
	Source: "parsers of Samba, baruwa and exim (PEER); texts of SCAN_FAILURE BELIEVED",
	Tested: "composed bytes",
}

// Backend is one fsavd. It keeps as many connections as scans were under way at
// once, until they have been idle for a while. Safe for concurrent use.
type Backend struct {
	client   *line.Client
	settings []string // commands, sent on each new connection
}

var _ backends.Versioner = (*Backend)(nil)

// ReadsPaths implements [backends.PathReader].
func (*Backend) ReadsPaths() bool { return true }

// Scan implements [backends.Backend]. The daemon reads the file itself.
func (b *Backend) Scan(ctx context.Context, c backends.Content) (backends.Result, error) {
	path, err := line.Path(c)
	if err != nil {
		return backends.Result{}, fmt.Errorf("fsecure: %w", err)
	}
	return b.client.Scan(ctx, func(conn *line.Conn, t *line.Tally) error { return ask(conn, t, path) })
}

// Version implements [backends.Versioner]. The daemon tells the version of its
// databases only, a date with a number behind it, in its greeting.
func (b *Backend) Version(ctx context.Context) (backends.Version, error) {
	var database string
	// The greeting comes on a new connection only, before the answer to the first
	// of the settings: this client keeps none.
	fresh := b.client.Unkept(nil)
	err := fresh.Do(ctx, func(conn *line.Conn) (err error) {
		database, err = b.configure(conn)
		return err
	})
	if err != nil {
		return backends.Version{}, err
	}
	if database == "" {
		return backends.Version{}, errors.New("fsecure: no version in the greeting")
	}
	v := backends.Version{Text: "F-Secure fsavd/" + database, Engine: "F-Secure fsavd", Database: database}
	if t, err := time.Parse("2006-01-02", database[:min(10, len(database))]); err == nil {
		v.DatabaseTime = t
	}
	return v, nil
}

// Close implements io.Closer: it ends the kept connections. Scans under way finish.
func (b *Backend) Close() error { return b.client.Close() }

// configure makes a new connection ready for scans.
func (b *Backend) configure(conn *line.Conn) (database string, err error) {
	for _, command := range b.settings {
		if err := conn.Command(command + "\n"); err != nil {
			return "", err
		}
		version, err := readOK(conn, strings.ReplaceAll(command, "\t", " "))
		if err != nil {
			return "", err
		}
		if version != "" {
			database = version
		}
	}
	return database, nil
}

// readOK reads the answer to a setting. The greeting may stand before it.
func readOK(conn *line.Conn, command string) (database string, err error) {
	for {
		text, err := conn.Line()
		if err != nil {
			return "", fmt.Errorf("%s: %w", command, err)
		}
		word, rest, _ := strings.Cut(text, "\t")
		switch {
		case word == "OK":
			return database, nil
		case word == "PING" && rest == "":
		case word == "DBVERSION" && line.IsPrintable(rest):
			database = rest
		default:
			return "", fmt.Errorf("%s: unexpected answer %.200q", command, text)
		}
	}
}

// ask scans a file.
func ask(conn *line.Conn, t *line.Tally, path string) error {
	if err := conn.Command("SCAN\t" + path + "\n"); err != nil {
		return err
	}
	named := false
	for {
		text, err := conn.Line()
		if err != nil {
			return err
		}
		kind, err := parse(text, path, t)
		switch {
		case err != nil:
			return err
		case kind == lineFinal:
			return finish(conn, t, named)
		case kind == lineNames:
			named = true
		}
	}
}

// finish sees to what is behind the final OK.
func finish(conn *line.Conn, t *line.Tally, named bool) error {
	if !named && conn.Reused() {
		// Ask again on a new one.
		return fmt.Errorf("%w, but an OK that may be a late one", backends.ErrNoReply)
	}
	if !named || isPing(conn.Pending()) {
		conn.Spoil()
	}
	if t.Category() == "" {
		t.Add(backends.OK, 0, "")
	}
	return nil
}

// isPing reports whether pending is the noise of an idle daemon, or the beginning
// of it.
func isPing(pending []byte) bool {
	if len(pending) == 0 {
		return false
	}
	for _, part := range bytes.SplitAfter(pending, []byte("\n")) {
		if !strings.HasPrefix("PING\n", string(part)) && !strings.HasPrefix("PING\r\n", string(part)) {
			return false
		}
	}
	return true
}
