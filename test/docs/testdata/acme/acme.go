// Package acme scans with Acme AV, a daemon on a Unix or TCP socket.
//
// The dialogue, on a connection for each scan, because an answer does not say which
// object it is about:
//
//	-> SCAN 68<LF>
//	-> (68 bytes)
//	<- CLEAN<LF>
//
// The answers:
//
//	CLEAN            ok
//	FOUND NAME       by the name, virus if unknown
//	LOCKED           encrypted
//	ERROR TEXT       swerr
//	anything else    swerr
package acme

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"polyclam/backends"
	"polyclam/backends/internal/engineconn"
)

// Abilities is what Acme AV can report.
var Abilities = backends.Abilities{
	Virus: true, Suspicious: true, Encrypted: true,
	Names:  true,
	Source: "Acme's manual, chapter 7",
	Tested: "composed bytes",
}

// Config holds the keys of an [[engine]] table with backend = "acme".
type Config struct {
	// ConnectTimeout bounds the making of a connection.
	ConnectTimeout time.Duration `toml:"connect_timeout"`
}

// NewConfig returns the defaults.
func NewConfig() backends.Config { return &Config{ConnectTimeout: 5 * time.Second} }

// Open implements [backends.Config]. It dials nothing: the daemon may start later.
func (c *Config) Open(address string) (backends.Backend, error) {
	client, err := engineconn.New("acme", "unix:/run/acme.sock", address, c.ConnectTimeout)
	if err != nil {
		return nil, err
	}
	client.Open()
	return &Backend{client}, nil
}

// Backend is one Acme AV. It is safe for concurrent use.
type Backend struct {
	client *engineconn.Client
}

// Scan implements [backends.Backend].
func (b *Backend) Scan(ctx context.Context, o backends.Object) (backends.Result, error) {
	return b.client.Scan(ctx, func(conn *engineconn.Conn, a *backends.Answer) error {
		err := conn.Send(func(w io.Writer) error {
			if _, err := fmt.Fprintf(w, "SCAN %d\n", o.Size()); err != nil {
				return err
			}
			return engineconn.Object(w, o, 0, o.Size())
		})
		if err != nil {
			return err
		}
		line, err := conn.Line()
		if err != nil {
			return err
		}
		return add(a, line)
	})
}

// add is the answer table. A line that is not in it is an error, never a pass.
func add(a *backends.Answer, line string) error {
	word, text, _ := strings.Cut(line, " ")
	switch {
	case line == "CLEAN":
		a.Add(backends.OK, 0, "")
	case word == "FOUND" && text != "":
		a.Found(backends.Virus, 1, text, "")
	case line == "LOCKED":
		a.Add(backends.Encrypted, 2, "")
	case word == "ERROR":
		a.Add(backends.SWErr, 3, text)
	default:
		return fmt.Errorf("unexpected answer %.200q", line)
	}
	return nil
}
