// Package savapi scans with Avira's SAVAPI service, over TCP or a Unix socket.
//
// The dialogue, on a new connection for each scan, because answers do not name their
// object and a late one could be mistaken for another:
//
//	<- 100 SAVAPI:4.0
//	-> SET PRODUCT 10776
//	<- 100 PRODUCT:10776
//	-> SET ARCHIVE_SCAN 1                              one for each of the settings
//	<- 100 ARCHIVE_SCAN:1
//	-> SCAN /path
//	<- 310 outer --> inner <<< NAME ; virus ; text     or just: 310 NAME ; virus ; text
//	->                                                 an empty line, as rspamd sends; optional
//	<- 319 ...
//	-> QUIT
//
// An answer must end with a final line. Every line counts, findings even without it:
//
//	310, 420 NAME ; type ; text    suspicious by type (heuristic, PUA and others), else by name
//	422                            suspicious: an office document with macros
//	401, 421, 423, 450, 499        swerr unless the site lists the text
//	430                            ignored with a web address, otherwise like 499
//	319                            final: virus, unless there was a 310
//	200, 210                       final: ok
//	220                            final: interrupted
//	350 to 359                     final: swerr
//	any other code                 final: swerr
//
// The codes are documented by Avira's clients; 310, 319, 200 and 210 also by rspamd. The
// texts of 350 to 359 and 499 are not: they are failures unless the site lists them, see
// encrypted_texts and partial_texts, and harmless_texts for information. SAVAPI sends
// information only if a setting such as NOTIFY_OFFICE asks for it. The types are not
// documented, so at most they turn a virus into suspicious. If an alert names a file, it
// must be the requested one.
//
// SET PRODUCT refuses a product id without a licence. The service's user must be able to
// read the file and enter every directory above it.
package savapi

import (
	"context"
	"fmt"
	"strings"

	"polyclam/backends"
	"polyclam/backends/internal/ascii"
	"polyclam/backends/internal/engineconn"
	"polyclam/backends/internal/texts"
)

// Abilities says what the engine can report.
var Abilities = backends.Abilities{
	Virus: true, Suspicious: true,
	Names: true, Version: true, DatabaseAge: false,
	Source: "clients of rspamd and others (PEER); types and GET VDF BELIEVED; texts of 350 not used (keys encrypted_texts, partial_texts)",
	Tested: "composed bytes",
}

// A Backend scans with one SAVAPI service. It is safe for concurrent use.
type Backend struct {
	client   *engineconn.Client
	settings []setting // of each connection
	texts    texts.Keys
	harmless []string
}

type setting struct{ key, value string }

var _ backends.Versioner = (*Backend)(nil)

// ReadsPaths implements [backends.PathReader].
func (*Backend) ReadsPaths() bool { return true }

// Scan implements [backends.Backend]. The service reads the file itself.
func (b *Backend) Scan(ctx context.Context, o backends.Object) (backends.Result, error) {
	return b.client.ScanPath(ctx, o, b.ask)
}

// Version implements [backends.Versioner].
func (b *Backend) Version(ctx context.Context) (backends.Version, error) {
	var engine, vdf string
	err := b.client.Do(ctx, func(conn *engineconn.Conn) (err error) {
		if engine, err = command(conn, "GET", "SAVAPI", ""); err != nil {
			return err
		}
		vdf, err = command(conn, "GET", "VDF", "")
		return err
	})
	if err != nil {
		return backends.Version{}, err
	}
	v := backends.Version{Engine: "Avira SAVAPI " + engine, Database: vdf}
	v.Text = v.Engine + "/" + vdf
	return v, nil
}

// hello prepares a new connection for a scan.
func (b *Backend) hello(conn *engineconn.Conn) error {
	text, err := conn.Line()
	if err != nil {
		return fmt.Errorf("greeting: %w", err)
	}
	if code, rest := ascii.Status(text, " "); code != codeInfo || !strings.HasPrefix(rest, "SAVAPI:") {
		return fmt.Errorf("greeting: %w", refused(text))
	}
	for _, s := range b.settings {
		got, err := command(conn, "SET", s.key, s.value)
		if err != nil {
			return err
		}
		if got != s.value {
			return fmt.Errorf("SET %s %s: the service answered %.100q", s.key, s.value, got)
		}
	}
	return nil
}

// command sends SET or GET and returns the value in the answer, "100 KEY:VALUE".
func command(conn *engineconn.Conn, verb, key, value string) (string, error) {
	name := strings.TrimSpace(verb + " " + key + " " + value)
	if err := conn.Command(name + "\n"); err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	text, err := conn.Line()
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	code, rest := ascii.Status(text, " ")
	got, ok := strings.CutPrefix(rest, key+":")
	if code != codeInfo || !ok || !ascii.IsPrintable(got) {
		return "", fmt.Errorf("%s: %w", name, refused(text))
	}
	return got, nil
}

// ask scans a file.
func (b *Backend) ask(conn *engineconn.Conn, a *backends.Answer, path string) error {
	if err := conn.Command("SCAN " + path + "\n"); err != nil {
		return err
	}
	r := reading{Answer: a, texts: b.texts, harmless: b.harmless, path: path}
	for {
		text, err := conn.Line()
		if err != nil {
			return err
		}
		code, rest := ascii.Status(text, " ")
		if code == 0 {
			return fmt.Errorf("unexpected answer %.200q", text)
		}
		final, err := r.add(code, rest)
		if final || err != nil {
			return err
		}
		if code == codeAlert {
			conn.WriteUnchecked("\n")
		}
	}
}

// refused returns the error for an answer other than the one to a setting.
func refused(text string) error {
	code, _ := ascii.Status(text, " ")
	if code == 0 || code < 200 {
		return fmt.Errorf("unexpected answer %.200q", text)
	}
	return &backends.Failure{Category: backends.SWErr, Code: code, Text: fmt.Sprintf("%.300s (is the product id licensed? see key product)", text)}
}
