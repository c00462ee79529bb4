// Package inspect is polyclam's own small engine. It needs no daemon, recognises the
// EICAR test file and listed hashes, and reports encrypted parts of containers, which
// other engines silently skip.
//
// Hash lists are text files with one entry per line; blank lines and lines that begin
// with # are ignored:
//
//	MD5:SIZE:NAME             ClamAV's .hdb
//	SHA1:SIZE:NAME            ClamAV's .hsb; SIZE may be *, and functionality
//	SHA256:*:NAME:73          levels may follow, which are ignored
//	SHA256  NAME              as sha256sum prints it
//	SHA256                    alone
//
// Hashes and EICAR are matched against the whole object, not inside containers:
// unpacking is the job of the real engines.
//
// The results:
//
//	code 0  ok         nothing found, or no opinion: not a container
//	code 1  virus      EICAR or a listed hash
//	code 2  encrypted  Heuristics.Encrypted.X; Detail names the member, its containers
//	                   and the encryption
//	code 3  partial    Heuristics.Limits.Exceeded.MaxBytes, MaxDepth, MaxMembers, MaxTime:
//	                   a budget ran out; or Method, CutOff, Split, Broken after the same
//	                   prefix: part of a recognised container could not be inspected
//
// X is libclamav's name where it has one: Zip, RAR, 7Zip, PDF, OLE2 (Office documents of
// all versions), EGG. The others are ODF, EPUB, IWork, Access, PGP, SMIME, Mail (other
// multipart/encrypted), RPMSG, ALZ, ARJ, ACE, LUKS, BitLocker, DMG, KeePass,
// PasswordSafe, Age, AESCrypt, OpenSSL. Signed data does not count as encrypted.
//
// Inspect only adds to the findings of other engines. It unpacks, at any depth: ZIP, RAR,
// 7z, tar, cpio, ar, ISO and UDF, cab, LHA, gzip, bzip2, xz, LZMA, zstd, LZ4, .Z, mails and
// mailboxes with their attachments (base64, quoted-printable, uuencode, winmail.dat),
// signed S/MIME, compound files such as Outlook messages, and files embedded in Office
// documents, RTF or PDF. Of ARJ, ACE, ALZ and EGG archives it inspects stored members only.
//
// Many programs open an archive that follows something else in a file: a program, a
// picture, another archive. Inspect searches the first megabyte of the object and of mail
// attachments other than text for archives, and for ZIP also the end. In other containers
// it searches only uncompressed programs, and for ZIP the last KiB of stored members. In
// compressed text it searches only the first 1,024 bytes.
//
// # Debatable decisions
//
//   - A PDF that opens with an empty user password is not encrypted: its owner only
//     forbids printing and the like. If only the owner password is empty, it is
//     encrypted: poppler and qpdf open it, pdf.js and most engines do not. Detail says
//     so.
//   - A workbook that Excel opens with its built-in password (VelvetSweatshop) is
//     encrypted, because most engines cannot open it. Detail says so, except for newer
//     workbooks (.xlsx), whose keys take too long to derive.
//   - An EPUB with rights management (LCP and others) is encrypted, because it cannot be
//     inspected without a licence. One with obfuscated fonts is not.
//   - OpenPGP data of the oldest kind, without a session key, is recognised only by its
//     size, and therefore only where it is not compressed.
//   - PPMd in RAR 3 is partial: it needs up to 256 MiB, and any part of a stream may
//     request that. So are filters that process the same bytes repeatedly, because only
//     hostile archives have them.
//
// # Memory and time
//
// One scan takes at most max_bytes of memory plus a few MiB. Only members that are
// containers themselves, mail attachments other than text, and dictionaries are kept in
// memory; dictionaries are released with their member. No number in a file can make
// inspect or a library allocate more than has been paid for, or run forever. A library
// call that unpacks RAR, 7z or LZMA may outlive the scan for a moment, see walk.Guard.
//
// To write a detector, see package internal/walk.
package inspect

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"polyclam/backends"
	"polyclam/backends/inspect/internal/walk"
	"polyclam/backends/internal/ended"
	"polyclam/backends/testfile"
)

// Result codes.
const (
	codeClean     = 0
	codeVirus     = 1
	codeEncrypted = 2
	codePartial   = 3
)

// A Backend is the engine, see [Config.Open]. It is safe for concurrent use.
type Backend struct {
	config  Config // immutable
	lists   atomic.Pointer[hashLists]
	scratch sync.Pool   // of *scratch
	slots   *walk.Slots // for unpacking libraries
}

// Scan implements [backends.Backend].
func (b *Backend) Scan(ctx context.Context, o backends.Object) (backends.Result, error) {
	if ctx.Err() != nil {
		return backends.Result{}, fmt.Errorf("inspect: %w", ended.Context(ctx))
	}
	name, err := b.known(ctx, o)
	if err != nil {
		return backends.Result{}, fmt.Errorf("inspect: %w", err)
	}
	if name != "" {
		// Always a virus, whatever its name: the site lists objects to block them.
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

// Reload implements [backends.Reloader]. It rereads the hash lists, and keeps the old
// ones if any is bad.
func (b *Backend) Reload(ctx context.Context) error {
	if ctx.Err() != nil {
		return fmt.Errorf("inspect: %w", ended.Context(ctx))
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

// known returns the name of the object if it is known malware, or "".
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

// Look searches the object for encrypted parts.
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
		return backends.Result{}, ended.Context(ctx)
	}
	missed, err := w.Result()
	switch {
	case missed != nil: // even if something is encrypted
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

// According to eicar.org, the EICAR test file starts with 68 fixed bytes, and may
// continue with white space (blank, TAB, LF, CR, CTRL-Z) up to 128 bytes in total.
const (
	eicarMin = 68
	eicarMax = 128
)

var eicar = testfile.EICAR()

func isEICAR(data []byte) bool {
	rest, ok := bytes.CutPrefix(data, eicar)
	return ok && len(data) <= eicarMax && len(bytes.Trim(rest, " \t\n\r\x1a")) == 0
}
