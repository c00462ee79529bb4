// Package drwebd scans with Dr.Web's old daemon, drwebd, over TCP or a Unix socket.
//
// The dialogue, on a new connection for each request. Numbers are 32-bit big-endian:
//
//	-> 1 <flags> 0 <size> <object>            transport "stream"
//	-> 1 <flags> <length> <path> 0            transport "path"
//	<- <rc> <n>, n times: <length> "/path infected with NAME\0"
//	-> 2                  <- <version>
//	-> 3                  <- <n>, n times: <length> <name of a virus base> <records>
//	-> 4                  <- <length> <name of the daemon>
//
// rc is a bit mask, see the table in answer.go. All set bits count:
//
//	0x20 known virus, 0x80 modification, names     virus
//	0x40 unknown virus; adware and the like        suspicious
//	0x01 0x02 0x04 0x08 0x10 0x8000 0x200000       swerr
//	0x200 timeout                                  interrupted
//	0x400 0x800 0x1000 0x2000 0x4000 0x40000       partial
//	0, 0x100000 clean, 0x10000 evaluation key      ok
//	0x20000 spam                                   ignored; swerr if there is no other bit
//	any other bit                                  swerr
//
// The code of a result is rc. The bits are documented by drwebd's clients. A text is only
// the name of a finding, and with transport "path" it must be about the requested path.
// drwebd does not report encryption: it skips encrypted parts like others, 0x1000.
package drwebd

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"strconv"
	"strings"

	"polyclam/backends"
	"polyclam/backends/internal/engineconn"
)

// Abilities says what drwebd can report. It has not been tried with a real drwebd.
var Abilities = backends.Abilities{
	Virus: true, Suspicious: true, Partial: true,
	Names: true, Version: true,
	Source: "other projects that drive drwebd (exim, amavis, havp with the bits of drweb-clients 4.33, avsmtpd, fuglu)",
	Tested: "composed bytes",
}

// The commands.
const (
	cmdScan    = 1
	cmdVersion = 2
	cmdBases   = 3
	cmdID      = 4
)

// The flags of a scan.
const (
	flagNames      = 0x1 // RETURN_VIRUSES
	flagHeuristics = 0x8 // HEURISTIC_ON
	flagMail       = 0x80000
)

// A Backend scans with one drwebd. It is safe for concurrent use.
type Backend struct {
	client *engineconn.Client
	path   bool // the daemon reads the file itself
	flags  uint32
}

var _ backends.Versioner = (*Backend)(nil)

// ReadsPaths implements [backends.PathReader].
func (b *Backend) ReadsPaths() bool { return b.path }

// maxSize is the largest size in the protocol, because daemons read it as a signed
// number.
const maxSize = 1<<31 - 1

// Scan implements [backends.Backend].
func (b *Backend) Scan(ctx context.Context, o backends.Object) (backends.Result, error) {
	if b.path {
		return b.client.ScanPath(ctx, o, b.askPath)
	}
	size := o.Size()
	if size > maxSize {
		var a backends.Answer
		a.Refuse(backends.NoCode, fmt.Sprintf("the object has %d bytes, but the protocol of drwebd allows only %d", size, int64(maxSize)))
		return a.Result()
	}
	return b.client.Scan(ctx, func(conn *engineconn.Conn, a *backends.Answer) error {
		err := conn.Send(func(w io.Writer) error {
			if _, err := io.WriteString(w, numbers(cmdScan, b.flags, 0, uint32(size))); err != nil {
				return err
			}
			return engineconn.Object(w, o, 0, size)
		})
		if err != nil {
			return err
		}
		return readAnswer(conn, a, "")
	})
}

func (b *Backend) askPath(conn *engineconn.Conn, a *backends.Answer, path string) error {
	if err := conn.Command(numbers(cmdScan, b.flags, uint32(len(path))) + path + numbers(0)); err != nil {
		return err
	}
	return readAnswer(conn, a, path)
}

// Version implements [backends.Versioner]. It needs only the daemon's name. drwebd does
// not report when the virus bases were made.
func (b *Backend) Version(ctx context.Context) (backends.Version, error) {
	var v backends.Version
	id, err := b.identity(ctx)
	if err != nil {
		number, err2 := b.number(ctx)
		if err2 != nil {
			return v, err
		}
		id = "Dr.Web daemon " + strconv.FormatUint(uint64(number), 10)
	}
	v.Engine, v.Text = id, id
	if bases, err := b.bases(ctx); err == nil {
		v.Database = bases
		v.Text += "/" + bases
	}
	return v, nil
}

// ask sends a request without an object.
func (b *Backend) ask(ctx context.Context, command uint32, read func(*engineconn.Conn) error) error {
	return b.client.Do(ctx, func(conn *engineconn.Conn) error {
		if err := conn.Command(numbers(command)); err != nil {
			return err
		}
		return read(conn)
	})
}

// identity requests the daemon's name.
func (b *Backend) identity(ctx context.Context) (id string, err error) {
	err = b.ask(ctx, cmdID, func(conn *engineconn.Conn) error {
		id, err = readText(conn, maxText)
		return err
	})
	if id = strings.TrimSpace(id); err == nil && (id == "" || len(id) > 200) {
		err = fmt.Errorf("no name in %.200q", id)
	}
	return id, err
}

// number requests the version number.
func (b *Backend) number(ctx context.Context) (number uint32, err error) {
	err = b.ask(ctx, cmdVersion, func(conn *engineconn.Conn) error {
		number, err = readNumber(conn)
		return err
	})
	return number, err
}

// bases requests the virus bases, and returns text such as "7 bases, 123456 records".
func (b *Backend) bases(ctx context.Context) (text string, err error) {
	err = b.ask(ctx, cmdBases, func(conn *engineconn.Conn) error {
		n, err := readNumber(conn)
		if err != nil {
			return err
		}
		if n > maxBases {
			return fmt.Errorf("%d virus bases", n)
		}
		records := uint64(0)
		for range n {
			if _, err := readText(conn, maxText); err != nil {
				return err
			}
			count, err := readNumber(conn)
			if err != nil {
				return err
			}
			records += uint64(count)
		}
		text = fmt.Sprintf("%d bases, %d records", n, records)
		return nil
	})
	return text, err
}

// numbers encodes 32-bit words.
func numbers(words ...uint32) string {
	var b []byte
	for _, w := range words {
		b = binary.BigEndian.AppendUint32(b, w)
	}
	return string(b)
}

func readNumber(conn *engineconn.Conn) (uint32, error) {
	var b [4]byte
	err := conn.Fill(b[:])
	return binary.BigEndian.Uint32(b[:]), err
}

// readText reads a length, at most limit, and text of that length, without a trailing
// NUL.
func readText(conn *engineconn.Conn, limit uint32) (string, error) {
	n, err := readNumber(conn)
	if err != nil {
		return "", err
	}
	if n > limit {
		return "", fmt.Errorf("a text of %d bytes, want at most %d", n, limit)
	}
	b := make([]byte, n) // at most limit
	if err := conn.Fill(b); err != nil {
		return "", err
	}
	text, _, _ := strings.Cut(string(b), "\x00")
	return text, nil
}
