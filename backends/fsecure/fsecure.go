// Package fsecure scans with fsavd, the daemon of F-Secure Anti-Virus for Linux.
// (WithSecure's Atlant and Internet Gatekeeper speak ICAP.)
//
// The dialogue, with tab-separated fields. Connections are kept, and each serves one scan
// at a time:
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
// "OK Scan ok." ends the answer, and every line counts:
//
//	INFECTED, also with ARCHIVE_, MIME_     by name, virus if unknown; code 1
//	SUSPECTED, RISKWARE, also with these    suspicious, code 1
//	SCAN_FAILURE path code text             swerr, code is the number; see below
//	CLEAN path, OK Scan ok. alone           ok, code 0
//	OPEN_ARCHIVE, CLOSE_ARCHIVE, PING       ignored; PING may arrive at any time
//	ERROR, any other word, another path     swerr
//
// The words are documented by the projects that drive fsavd. The texts of SCAN_FAILURE
// are not, so they are failures unless the site lists a text, see encrypted_texts and
// partial_texts.
//
// In some versions, lines about members name only the member. Such lines, and an answer
// that does not name the path at all, count only on a new connection, and a connection
// scans each path only once. So a late answer never counts.
//
// The daemon's user must be able to read the file and enter every directory above it.
package fsecure

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"polyclam/backends"
	"polyclam/backends/internal/ascii"
	"polyclam/backends/internal/engineconn"
	"polyclam/backends/internal/texts"
)

// Abilities says what the engine can report.
var Abilities = backends.Abilities{
	Virus: true, Suspicious: true,
	Names: true, Version: true, DatabaseAge: true,
	Source: "parsers of Samba, baruwa and exim (PEER); texts of SCAN_FAILURE not used (keys encrypted_texts, partial_texts)",
	Tested: "composed bytes",
}

// A Backend scans with one fsavd. It keeps as many connections as there were concurrent
// scans, until they have been idle for a while. It is safe for concurrent use.
type Backend struct {
	client   *engineconn.Client
	settings []string // commands, sent on each new connection
	texts    texts.Keys
}

var _ backends.Versioner = (*Backend)(nil)

// ReadsPaths implements [backends.PathReader].
func (*Backend) ReadsPaths() bool { return true }

// Scan implements [backends.Backend]. The daemon reads the file itself.
func (b *Backend) Scan(ctx context.Context, o backends.Object) (backends.Result, error) {
	return b.client.ScanPath(ctx, o, b.ask)
}

// Version implements [backends.Versioner]. The daemon reports only the version of its
// databases, a date and a number, in its greeting.
func (b *Backend) Version(ctx context.Context) (backends.Version, error) {
	var database string
	// The greeting is sent only on a new connection, before the answer to the first
	// setting.
	err := b.client.DoOnce(ctx, nil, func(conn *engineconn.Conn) (err error) {
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

// Close implements io.Closer: it closes idle connections. Scans in progress finish.
func (b *Backend) Close() error { return b.client.Close() }

// configure prepares a new connection for scans.
func (b *Backend) configure(conn *engineconn.Conn) (database string, err error) {
	for _, command := range b.settings {
		name := strings.ReplaceAll(command, "\t", " ")
		conn.SetStep(name)
		conn.WriteUnchecked(command + "\n") // the greeting or a PING may already be there
		version, err := readOK(conn, name)
		if err != nil {
			return "", err
		}
		if version != "" {
			database = version
		}
	}
	return database, nil
}

// readOK reads the answer to a setting. The greeting may precede it.
func readOK(conn *engineconn.Conn, command string) (database string, err error) {
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
		case word == "DBVERSION" && ascii.IsPrintable(rest):
			database = rest
		default:
			return "", fmt.Errorf("%s: unexpected answer %.200q", command, text)
		}
	}
}

// ask scans a file.
func (b *Backend) ask(conn *engineconn.Conn, a *backends.Answer, path string) error {
	if err := conn.Command("SCAN\t" + path + "\n"); err != nil {
		return err
	}
	for named := false; ; {
		text, err := conn.Line()
		if err != nil {
			return err
		}
		kind, err := parse(text, path, b.texts, a)
		switch {
		case err != nil:
			return conn.Stray(err)
		case kind == lineNames:
			named = true
		case kind == lineMember && !named && conn.Reused():
			return conn.Stray(fmt.Errorf("answer %.200q does not name the file", text))
		case kind == lineFinal:
			return finish(conn, a, named)
		}
	}
}

// finish handles the end of an answer.
func finish(conn *engineconn.Conn, a *backends.Answer, named bool) error {
	if !named && conn.Reused() {
		return conn.Stray(errors.New("an answer that does not name the file"))
	}
	if noise := conn.Pending(); isPing(noise) {
		conn.Reader().Discard(len(noise))
		conn.NoReuse()
	}
	if !named {
		conn.NoReuse()
	}
	if a.Category() == "" {
		a.Add(backends.OK, 0, "")
	}
	return nil
}

// isPing reports whether pending consists of PINGs, the last of which may be incomplete.
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
