// Package fprot scans with the two daemons of F-PROT Antivirus for Unix, which have
// different protocols: fpscand of version 6 and f-protd of version 4.
//
// The dialogue with fpscand, on a connection that is kept for the next scan:
//
//	-> SCAN --archive=2 ... FILE /path                transport "path"
//	-> SCAN --archive=2 ... STREAM name SIZE n        transport "stream", followed by n bytes
//	<- 1 <contains infected objects: NAME> /path->member
//	-> QUIT
//
// The answer is one line about exactly the requested object. The number is a sum of bits,
// all of which count:
//
//	1 infected, 128 disinfected    by name, virus if unknown
//	2 suspicious                   suspicious
//	4 interrupted by the user      interrupted
//	16 I/O, 32 internal error      swerr
//	64 an object was not scanned   encrypted
//	8 skipped by a restriction     partial
//	0, with the word "clean"       ok
//	any other line or object       swerr
//
// Bit 64 means encrypted, unsupported or corrupt; fpscand does not say which. The bits
// are documented; the texts do not count. fpscand unpacks a message as mail only if it
// begins with headers. A connection scans each path only once, and each stream has a
// unique name, so that path and name identify the answer.
//
// The dialogue with f-protd, on a new connection for each scan. f-protd uses the first
// free port from 10200, so the backend tries several:
//
//	-> GET /path?-dumb%20-archive%20-packed%20-remote-dtd HTTP/1.0
//	<- HTTP/1.0 200 Ok, "Server: fprotd...", <fprot-results version="1.0">
//	   <detected><name>NAME</name></detected><summary code="11">infected</summary>
//
// Its codes are documented in man f-protd. All summaries count:
//
//	11 infected, 13 disinfected       by name, virus if unknown
//	4 valid but encrypted             encrypted
//	0 not scanned, 1 I/O, 2 memory    swerr
//	5 interrupted                     interrupted
//	3 unknown type or corrupt         partial
//	7 innocent, 9 clean               ok
//	anything else                     swerr
//
// A detection counts with any code, and an <error> is a failure. If an answer names a
// file, it must be the requested one.
package fprot

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"polyclam/backends"
	"polyclam/backends/internal/engineconn"
)

// Abilities says what the engine can report.
var Abilities = backends.Abilities{
	Virus: true, Suspicious: true, Encrypted: true, Partial: true,
	Names: true, Version: true, DatabaseAge: true,
	Source: "exit codes of fpscan and man f-protd (DOC), parsers of MIMEDefang, amavis, exim and baruwa (PEER)",
	Tested: "composed bytes",
}

// A Backend scans with one fpscand. It keeps as many connections as there were concurrent
// scans, until they have been idle for a while. It is safe for concurrent use.
type Backend struct {
	client  *engineconn.Client
	request string // "SCAN" with its options
	stream  bool
	scans   atomic.Uint64
}

var _ backends.Versioner = (*Backend)(nil)

// ReadsPaths implements [backends.PathReader].
func (b *Backend) ReadsPaths() bool { return !b.stream }

// Scan implements [backends.Backend].
func (b *Backend) Scan(ctx context.Context, o backends.Object) (backends.Result, error) {
	if b.stream {
		return b.client.Scan(ctx, func(conn *engineconn.Conn, a *backends.Answer) error { return b.askStream(conn, a, o) })
	}
	return b.client.ScanPath(ctx, o, func(conn *engineconn.Conn, a *backends.Answer, path string) error {
		if err := conn.Command(b.request + " FILE " + path + "\n"); err != nil {
			return err
		}
		return readAnswer(conn, a, path)
	})
}

// askStream sends the object with a unique name, so that the answer to another request is
// never mistaken for this one.
func (b *Backend) askStream(conn *engineconn.Conn, a *backends.Answer, o backends.Object) error {
	name := fmt.Sprintf("stream-%d", b.scans.Add(1))
	err := conn.Send(func(w io.Writer) error {
		if _, err := io.WriteString(w, fmt.Sprintf("%s STREAM %s SIZE %d\n", b.request, name, o.Size())); err != nil {
			return err
		}
		return engineconn.Object(w, o, 0, o.Size())
	})
	if err != nil {
		return err
	}
	return readAnswer(conn, a, name)
}

// helpPattern matches the answer to HELP, as in baruwa's client.
var helpPattern = regexp.MustCompile(`^FPSCAND:(\S{1,32})\s+ENGINE:(\S{1,32})\s+PROTOCOL:(\S{1,32})\s+SIGNATURE:(\S{1,32})\s+UPTIME:\S{1,32}$`)

// Version implements [backends.Versioner].
func (b *Backend) Version(ctx context.Context) (backends.Version, error) {
	var text string
	err := b.client.Do(ctx, func(conn *engineconn.Conn) (err error) {
		conn.NoReuse() // a second line follows
		if err = conn.Command("HELP\n"); err != nil {
			return err
		}
		text, err = conn.Line()
		return err
	})
	if err != nil {
		return backends.Version{}, err
	}
	m := helpPattern.FindStringSubmatch(text)
	if m == nil {
		return backends.Version{}, fmt.Errorf("fprot: HELP: unexpected answer %.200q", text)
	}
	v := backends.Version{Engine: "F-PROT " + m[1] + " engine " + m[2], Database: m[4]}
	v.Text = v.Engine + "/" + v.Database
	if t, err := time.Parse("200601021504", m[4]); err == nil {
		v.DatabaseTime = t
	}
	return v, nil
}

// Close implements io.Closer: it closes idle connections. Scans in progress finish.
func (b *Backend) Close() error { return b.client.Close() }

// bits is the table of fpscand's status bits.
var bits = []struct {
	mask     int
	category backends.Category
}{
	{1 | 128, backends.Virus},
	{2, backends.Suspicious},
	{4, backends.Interrupted},
	{16, backends.SWErr},
	{32, backends.SWErr},
	{64, backends.Encrypted},
	{8, backends.Partial},
}

func readAnswer(conn *engineconn.Conn, a *backends.Answer, object string) error {
	text, err := conn.Line()
	if err != nil {
		return err
	}
	if err := parse(text, object, a); err != nil {
		return conn.Stray(err)
	}
	return nil
}

// answerPattern matches the number and everything after "<".
var answerPattern = regexp.MustCompile(`^(\d{1,3}) <(.*)$`)

// parse adds the answer about object. The name of a member may follow, which the sender
// of the object chose.
func parse(text, object string, a *backends.Answer) error {
	m := answerPattern.FindStringSubmatch(text)
	if m == nil {
		return fmt.Errorf("unexpected answer %.200q", text)
	}
	status, member, ok := strings.Cut(m[2], "> "+object)
	if !ok || member != "" && !strings.HasPrefix(member, "->") {
		return fmt.Errorf("unexpected answer %.200q, which is not about %q", text, object)
	}
	code, _ := strconv.Atoi(m[1]) // three digits
	word, name, _ := strings.Cut(status, ": ")
	switch {
	case code > 255, code == 0 && status != "clean":
		return fmt.Errorf("unexpected answer %.200q", text)
	case code == 0:
		a.Add(backends.OK, code, "")
	}
	named := false
	for _, bit := range bits {
		switch {
		case code&bit.mask == 0:
		case bit.category != backends.Virus && bit.category != backends.Suspicious:
			a.Add(bit.category, code, text)
		case !named:
			named = true
			a.Found(bit.category, code, strings.TrimSpace(name), word)
		}
	}
	return nil
}
