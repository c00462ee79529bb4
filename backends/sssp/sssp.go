// Package sssp scans with Sophos' SAVDI daemon, savdid, over its own protocol
// SSSP 1.0, the "Sophos Simple Scanning Protocol".
//
// The dialogue. Lines end in CRLF, and an empty line ends a block:
//
//	<- OK SSSP/1.0
//	-> SSSP/1.0                                  <- ACC 5B992B5C/1
//	-> OPTIONS, "savigrp: GrpArchiveUnpack 1"    <- ACC 5B992B5C/2, DONE OK 0000 ...
//	-> SCANDATA 68                               <- ACC 5B992B5C/3
//	-> (68 bytes)                                <- VIRUS EICAR-AV-Test
//	-> QUERY SERVER                              <- OK 0203
//	                                             <- DONE OK 0203 Virus found during virus scan
//	                                             <- ACC 5B992B5C/4, "version: ...", ...
//	-> BYE                                       when it was idle for a while
//
// With transport "file" the request is SCANFILE and a percent-encoded path.
//
// The lines of an answer carry no number. So QUERY SERVER follows the object immediately,
// and each answer lies between two ACC lines with the right numbers. A late answer to an
// earlier request, including OPTIONS, is never mistaken for it. Without sessions, BYE
// serves the same purpose.
//
// An answer is a block that ends with a DONE line. All lines count, each code once:
//
//	VIRUS NAME PATH, any code 0203   virus (by the name), code 515
//	FAIL 0212, a locked member       encrypted, code 530, no name
//	FAIL 020F 0211 021A 0225 0231    partial, the code in decimal
//	REJ 4, object over maxscandata   partial
//	FAIL 060F                        interrupted
//	DONE OK 0000 and nothing else    ok, code 0
//	any other code, REJ 1 2 3 5      swerr
//	any other line                   swerr, ends the answer
//	(no greeting)                    cannot-execute: all threads of savdid are busy
//
// The codes are documented in Sophos' savierr.h, see codes.go; texts never count. The code
// of a result is the hexadecimal number that savdid prints, as an integer: 0x0212 is 530.
//
// savdid reads the data only after it has accepted the request, and reads anything after
// a refusal as commands. So nothing is sent before its ACC, and the connection is closed
// after every unexpected line.
package sssp

import (
	"context"
	"fmt"

	"polyclam/backends"
	"polyclam/backends/internal/engineconn"
	"polyclam/backends/internal/file"
)

// Abilities says what savdid can report. It has not been tried with a real savdid.
var Abilities = backends.Abilities{
	Virus: true, Encrypted: true, Partial: true,
	Names: true, Version: true,
	Source: "other projects that drive savdid (moodle, rspamd, Samba, fuglu); codes from Sophos' savierr.h",
	Tested: "composed bytes",
}

// A Backend scans with one savdid. It is safe for concurrent use.
type Backend struct {
	client  *engineconn.Client
	file    bool // SCANFILE, else SCANDATA
	options []string
	fence   string // the request after each scan, see readBound
}

var _ backends.Versioner = (*Backend)(nil)

// ReadsPaths implements [backends.PathReader].
func (b *Backend) ReadsPaths() bool { return b.file }

// ReturnsInTime implements [backends.Deadlined].
func (b *Backend) ReturnsInTime() bool { return true }

// Scan implements [backends.Backend]. Every VIRUS line is a finding.
func (b *Backend) Scan(ctx context.Context, o backends.Object) (backends.Result, error) {
	if !b.file {
		return b.client.Scan(ctx, func(conn *engineconn.Conn, a *backends.Answer) error { return b.scanData(conn, a, o) })
	}
	path, err := file.Path(o)
	if err != nil {
		return backends.Result{}, fmt.Errorf("sssp: %w", err)
	}
	return b.client.Scan(ctx, func(conn *engineconn.Conn, a *backends.Answer) error { return b.scanFile(conn, a, path) })
}

// Close implements io.Closer: it sends BYE on idle connections. Scans in progress finish,
// and each later one uses a new connection.
func (b *Backend) Close() error { return b.client.Close() }
