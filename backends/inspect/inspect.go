// Package inspect is polyclam's own small engine. It needs no daemon, knows the
// EICAR test file and lists of hashes, and reports what is encrypted in containers
// that other engines pass in silence.
//
// The hash lists are text, one entry a line; blank lines and lines that begin
// with # do not count:
//
//	MD5:SIZE:NAME             ClamAV's .hdb
//	SHA1:SIZE:NAME            ClamAV's .hsb; SIZE may be *, and a functionality
//	SHA256:*:NAME:73          level may follow, which is not used
//	SHA256  NAME              as sha256sum prints it
//	SHA256                    alone
//
// Hashes and EICAR are looked for in the object as a whole, not within
// containers: unpacking is the work of the real engines.
//
// The answers:
//
//	code 0  ok         nothing found, or no opinion: not a container, or only like one
//	code 1  virus      EICAR or a listed hash
//	code 2  encrypted  Heuristics.Encrypted.X; Detail says which member of which
//	                   containers, and how
//	code 3  partial    Heuristics.Limits.Exceeded.MaxBytes, MaxDepth, MaxMembers, MaxTime:
//	                   a budget ran out
//	                   and Method, CutOff, Split, Broken after the same beginning: a
//	                   container is known, but something in it could not be looked into
//
// X is libclamav's where it has one: Zip, RAR, 7Zip, PDF, OLE2 (Office documents of
// all ages), EGG; and else ODF, EPUB, IWork, Access, PGP, SMIME, Mail (other
// multipart/encrypted), RPMSG, ALZ, ARJ, ACE, LUKS, BitLocker, DMG, KeePass,
// PasswordSafe, Age, AESCrypt, OpenSSL. What is only signed is not encrypted.
//
// Inspect only ever adds to what other engines find. It looks into ZIP, RAR, 7z,
// tar, cpio, ar, ISO and UDF, cab, LHA, gzip, bzip2, xz, LZMA, zstd, LZ4, .Z, mails and mailboxes with their attachments (base64,
// quoted-printable, uuencode, winmail.dat), signed S/MIME, compound files such as
// Outlook's messages, files that are inserted into Office documents and RTF or
// attached to a PDF, and into what is in these, however deep. ARJ, ACE, ALZ and EGG
// archives are looked into only where their members are stored.
//
// Programs open an archive after something else in a file: after a program, a picture,
// another archive. That is looked for in the first megabyte of the object itself and of
// what is attached to a mail, but not of a text there, and for ZIP at the end as well. In
// other containers it is looked for only in programs that are not compressed, and for ZIP
// in the last KiB of a stored member. A compressed text is searched only for what begins
// in its first 1,024 bytes.
//
// # What may be argued about
//
//   - A PDF that opens with the empty user password is not encrypted: its owner only
//     forbids printing and the like. If only the owner's password is empty, it is:
//     poppler and qpdf open it, pdf.js and most engines do not. Detail says so.
//   - A workbook that Excel opens with its built-in password (VelvetSweatshop) is
//     encrypted, because most engines do not look into it. Detail says so, but
//     not of newer workbooks (.xlsx), whose keys take too long to make.
//   - An EPUB with rights management (LCP and others) is encrypted: without a
//     licence it cannot be looked into. One that only hides its fonts is not.
//   - Data of the oldest OpenPGP kind, without a session key, is known only by its
//     size, and so only where it is not compressed.
//   - PPMd in RAR 3 is partial: it takes up to 256 MiB, and any part of a stream may
//     ask for that. So is what only a hostile archive has: filters that run over the
//     same bytes again and again.
//
// # Memory and time
//
// The memory of one scan is bounded by max_bytes and a few MiB; only members of a
// container that are containers themselves, what is attached to a mail and no text, and
// the dictionaries to unpack them, take any of max_bytes. Dictionaries are given back with the member. No number in
// a file makes inspect, or a library, allocate more than has been paid for, or
// run on without an end. What unpacks RAR, 7z and LZMA may go on for a moment when
// the time is over: it is left alone then, see walk.Guard.
//
// How a detector is written is in internal/walk.
package inspect

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"polyclam/backends"
	"polyclam/backends/inspect/internal/walk"
	"polyclam/backends/testfile"
)

// The codes of the results.
const (
	codeClean     = 0
	codeVirus     = 1
	codeEncrypted = 2
	codePartial   = 3
)

// Backend is the engine, made by [Config.Open].
type Backend struct {
	config  Config // not changed
	lists   atomic.Pointer[hashLists]
	scratch sync.Pool   // of *scratch
	slots   *walk.Slots // see guard
}

// Scan implements [backends.Backend].
func (b *Backend) Scan(ctx context.Context, o backends.Object) (backends.Result, error) {
	if ctx.Err() != nil {
		return backends.Result{}, fmt.Errorf("inspect: %w", context.Cause(ctx))
	}
	name, err := b.known(ctx, o)
	if err != nil {
		return backends.Result{}, fmt.Errorf("inspect: %w", err)
	}
	if name != "" {
		// Whatever a list calls it: the site has put it there to be stopped.
		var a backends.Answer
		a.Named(backends.Virus, codeVirus, name, "")
		return a.Result()
	}
	if !b.config.Encrypted {
		return backends.Clean(codeClean), nil
	}
	r, err := b.Look(ctx, o)
	if err != nil {
		return backends.Result{}, fmt.Errorf("inspect: %w", err)
	}
	return r, nil
}

// Reload implements [backends.Reloader]: it reads the hash lists again. If one
// is bad the old ones stay.
func (b *Backend) Reload(ctx context.Context) error {
	if ctx.Err() != nil {
		return fmt.Errorf("inspect: %w", context.Cause(ctx))
	}
	if err := b.load(); err != nil {
		return fmt.Errorf("inspect: %w", err)
	}
	return nil
}

func (b *Backend) load() error {
	l, err := readHashLists(b.config.Hashes)
	if err != nil {
		return err
	}
	b.lists.Store(l)
	return nil
}

// known returns the name of the object if it is known malware.
func (b *Backend) known(ctx context.Context, o backends.Object) (string, error) {
	if size := o.Size(); size >= eicarMin && size <= eicarMax {
		data := make([]byte, size)
		if err := walk.ReadFull(o, data, 0); err != nil {
			return "", err
		}
		if isEICAR(data) {
			return "Eicar-Test-Signature", nil
		}
	}
	return b.lists.Load().find(ctx, o)
}

// Look searches for what is encrypted.
func (b *Backend) Look(ctx context.Context, o backends.Object) (backends.Result, error) {
	limited, cancel := context.WithTimeoutCause(ctx, b.config.MaxTime, walk.ErrMaxTime)
	defer cancel()
	w := walk.New(b.config.limits(), detectors, b.slots, b.takeScratch())
	seen := w.Look(limited, w.Section(limited, o, o.Size()))
	b.scratch.Put(w.Release())
	var a backends.Answer
	if seen != nil {
		a.Named(backends.Encrypted, codeEncrypted, seen.Name, seen.Detail)
	} else if ctx.Err() != nil {
		return backends.Result{}, context.Cause(ctx)
	}
	missed, err := w.Result()
	switch {
	case missed != nil: // before something encrypted was seen, too
		a.Named(backends.Partial, codePartial, missed.Name, missed.Detail)
	case err != nil:
		a.Fail(err)
	case seen == nil:
		a.Add(backends.OK, codeClean, "")
	}
	return a.Result()
}

func (b *Backend) takeScratch() *walk.Scratch {
	if s, ok := b.scratch.Get().(*walk.Scratch); ok {
		return s
	}
	return new(walk.Scratch)
}

// The test file is 68 bytes at the very start; up to 128 bytes in total it may
// be followed by white space, says eicar.org: blank, TAB, LF, CR, CTRL-Z.
const (
	eicarMin = 68
	eicarMax = 128
)

var eicar = testfile.EICAR()

func isEICAR(data []byte) bool {
	rest, ok := bytes.CutPrefix(data, eicar)
	return ok && len(data) <= eicarMax && len(bytes.Trim(rest, " \t\n\r\x1a")) == 0
}
