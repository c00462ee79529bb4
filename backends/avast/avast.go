// Package avast scans with the daemon of Avast Business Antivirus (Core) for Linux,
// over its scan.sock, see avast-protocol(5).
//
// The dialogue. Connections are kept, and each serves one scan at a time:
//
//	<- 220 DAEMON
//	-> SCAN /path
//	<- 210 SCAN DATA
//	<- SCAN /path<TAB>[+]0.0
//	<- SCAN /path|>member<TAB>[L]1.0<TAB>0 NAME
//	<- SCAN /path|>member<TAB>[E]1.0<TAB>Error 42056 Archive\ is\ password\ protected
//	<- 200 SCAN OK
//	-> QUIT
//
// Spaces and backslashes within a field are escaped with a backslash. Each line must be
// about exactly the requested path or a member of it. There must be at least one, and
// "200 SCAN OK" ends the answer. Every line counts:
//
//	[+]                                            ok, code 0
//	[L] NAME                                       by name, virus if unknown; code 1
//	[E] number "Archive is password protected"     encrypted; code is the number
//	[E] number "The file is a decompression bomb"  partial
//	[E] anything else                              swerr
//	451, 466, 501 and any other number             swerr, with this code
//	any other line, another path                   swerr
//
// These forms and the two texts are documented by the projects that drive avast. The
// meaning of the error numbers is uncertain, so they do not count. A site can list more
// texts, see encrypted_texts and partial_texts.
//
// A connection scans each path only once, so that the path identifies the answer.
//
// The daemon's user must be able to read the file and enter every directory above it;
// otherwise the answer is "Error 13".
package avast

import (
	"context"
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
	Virus: true, Suspicious: false, Encrypted: true, Partial: true,
	Names: true, Version: true, DatabaseAge: true,
	Source: "parsers of rspamd, exim and baruwa (PEER); two texts of errors (PEER); their numbers BELIEVED and not used",
	Tested: "composed bytes",
}

// A Backend scans with one avast daemon. It keeps as many connections as there were
// concurrent scans, until they have been idle for a while. It is safe for concurrent use.
type Backend struct {
	client *engineconn.Client
	texts  texts.Keys
}

var _ backends.Versioner = (*Backend)(nil)

// ReadsPaths implements [backends.PathReader].
func (*Backend) ReadsPaths() bool { return true }

// Scan implements [backends.Backend]. The daemon reads the file itself.
func (b *Backend) Scan(ctx context.Context, o backends.Object) (backends.Result, error) {
	return b.client.ScanPath(ctx, o, func(conn *engineconn.Conn, a *backends.Answer, path string) error {
		return ask(conn, "SCAN", path, func(text string) error { return parse(text, path, b.texts, a) })
	})
}

// Version implements [backends.Versioner]. The daemon reports only the version of its
// virus definitions, a date and a number: 19051006.
func (b *Backend) Version(ctx context.Context) (backends.Version, error) {
	var vps string
	err := b.client.Do(ctx, func(conn *engineconn.Conn) error {
		vps = ""
		return ask(conn, "VPS", "", func(text string) error {
			version, ok := strings.CutPrefix(text, "VPS ")
			if !ok || vps != "" || !isNumber(version, 16) {
				return unexpected(text)
			}
			vps = version
			return nil
		})
	})
	if err == nil && vps == "" {
		err = fmt.Errorf("avast: VPS: no version in the answer")
	}
	if err != nil {
		return backends.Version{}, err
	}
	v := backends.Version{Text: "Avast/" + vps, Engine: "Avast", Database: vps}
	if t, err := time.Parse("060102", vps[:min(6, len(vps))]); err == nil {
		v.DatabaseTime = t
	}
	return v, nil
}

// Close implements io.Closer: it closes idle connections. Scans in progress finish.
func (b *Backend) Close() error { return b.client.Close() }

func greeting(conn *engineconn.Conn) error {
	text, err := conn.Line()
	if err != nil {
		return fmt.Errorf("greeting: %w", err)
	}
	if code, _ := ascii.Status(text, " "); code != 220 {
		return fmt.Errorf("greeting: %w", refused(text))
	}
	return nil
}

// ask sends a command and calls each for every line between 210 and 200.
func ask(conn *engineconn.Conn, verb, argument string, each func(text string) error) error {
	if err := conn.Command(strings.TrimSuffix(verb+" "+argument, " ") + "\r\n"); err != nil {
		return err
	}
	text, err := conn.Line()
	if err != nil {
		return err
	}
	if text != "210 "+verb+" DATA" {
		return conn.Stray(refused(text))
	}
	for {
		text, err := conn.Line()
		switch {
		case err != nil:
			return err
		case text == "200 "+verb+" OK":
			return nil
		}
		if code, _ := ascii.Status(text, " "); code != 0 {
			return conn.Stray(refused(text))
		}
		if err := each(text); err != nil {
			return conn.Stray(err)
		}
	}
}
