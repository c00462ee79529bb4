// Package inspect is polyclam's own small engine. It needs no daemon, knows the
// EICAR test file and lists of hashes, and tells what is encrypted in containers
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
// Hashes and EICAR are looked for in the content as a whole, not within
// containers: unpacking is the work of the real engines.
//
// The answers:
//
//	code 0  ok         nothing found, or no opinion: broken, unknown, not a container
//	code 1  virus      EICAR or a listed hash
//	code 2  encrypted  Heuristics.Encrypted.X; Detail says which member of which
//	                   containers, and how
//	code 3  partial    Heuristics.Limits.Exceeded.MaxBytes, MaxDepth, MaxMembers, MaxTime
//
// X is libclamav's where it has one: Zip, RAR, 7Zip, PDF, OLE2 (Office documents of
// all ages), EGG; and else ODF, PGP, SMIME, Mail (other multipart/encrypted), ALZ,
// ARJ, ACE, LUKS, BitLocker, DMG, KeePass, Age, AESCrypt, OpenSSL. A PDF that opens
// with an empty password is not encrypted; what is only signed is not either.
//
// It looks into ZIP, RAR, 7z, tar, gzip, bzip2, mails with their attachments
// (base64, quoted-printable, uuencode, winmail.dat) and compound files such as
// Outlook's messages, and into what is in these, however deep. A program in a
// container is looked into as a self-extracting archive only if it is stored or in
// a mail, not compressed. Inspect only ever adds to what other engines find.
//
// Its memory for one scan is bounded by max_bytes and a few MiB; only members of a
// container that are containers themselves, and the dictionaries to unpack them,
// take any of max_bytes. What unpacks RAR and 7z cannot be interrupted: when the
// time is over it is left alone, see guard.
package inspect

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"polyclam/backends"
	"polyclam/backends/inspect/internal/walk"
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
func (b *Backend) Scan(ctx context.Context, c backends.Content) (backends.Result, error) {
	if ctx.Err() != nil {
		return backends.Result{}, fmt.Errorf("inspect: %w", context.Cause(ctx))
	}
	name, err := b.known(ctx, c)
	if err != nil {
		return backends.Result{}, fmt.Errorf("inspect: %w", err)
	}
	if name != "" {
		// Whatever a list calls it: the site has put it there to be stopped.
		return result(codeVirus, backends.Finding{Name: name, Category: backends.Virus}, ""), nil
	}
	if !b.config.Encrypted {
		return backends.Clean(codeClean), nil
	}
	r, err := b.Look(ctx, c)
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

// known returns the name of the content if it is known malware.
func (b *Backend) known(ctx context.Context, c backends.Content) (string, error) {
	if size := c.Size(); size >= eicarMin && size <= eicarMax {
		data := make([]byte, size)
		if err := walk.ReadFull(c, data, 0); err != nil {
			return "", err
		}
		if isEICAR(data) {
			return "Eicar-Test-Signature", nil
		}
	}
	return b.lists.Load().find(ctx, c)
}

// Look searches for what is encrypted.
func (b *Backend) Look(ctx context.Context, c backends.Content) (backends.Result, error) {
	limited, cancel := context.WithTimeoutCause(ctx, b.config.MaxTime, walk.ErrMaxTime)
	defer cancel()
	w := walk.New(b.config.limits(), detectors, b.slots, b.takeScratch())
	seen := w.Look(limited, w.Section(limited, c, c.Size()))
	b.scratch.Put(w.Release())
	switch {
	case seen != nil:
		return result(codeEncrypted, backends.Finding{Name: seen.Name, Category: backends.Encrypted}, seen.Detail), nil
	case ctx.Err() != nil:
		return backends.Result{}, context.Cause(ctx)
	}
	missed, err := w.Result()
	if err != nil {
		return backends.Result{}, err
	}
	if missed != nil {
		return result(codePartial, backends.Finding{Name: missed.Name, Category: backends.Partial}, missed.Detail), nil
	}
	return backends.Clean(codeClean), nil
}

func (b *Backend) takeScratch() *walk.Scratch {
	if s, ok := b.scratch.Get().(*walk.Scratch); ok {
		return s
	}
	return new(walk.Scratch)
}

func result(code int, f backends.Finding, detail string) backends.Result {
	return backends.Result{Category: f.Category, Code: code, Findings: []backends.Finding{f}, Detail: detail}
}

// The test file is 68 bytes at the very start; up to 128 bytes in total it may
// be followed by white space, says eicar.org: blank, TAB, LF, CR, CTRL-Z.
const (
	eicarMin = 68
	eicarMax = 128
)

func isEICAR(data []byte) bool {
	// In two halves, so that no scanner stumbles over this program.
	rest, ok := bytes.CutPrefix(data, []byte(`X5O!P%@AP[4\PZX54(P^)7CC)7}$`))
	if !ok || len(data) > eicarMax {
		return false
	}
	rest, ok = bytes.CutPrefix(rest, []byte(`EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*`))
	return ok && len(bytes.Trim(rest, " \t\n\r\x1a")) == 0
}
