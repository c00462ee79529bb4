package backendtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"polyclam/backends"
)

// The markers that [Marked] looks for, so that one set of contents drives the
// fakes of all protocols.
const (
	MarkSuspicious = "X-FAKE-SUSPICIOUS"
	MarkEncrypted  = "X-FAKE-ENCRYPTED"
	MarkPartial    = "X-FAKE-PARTIAL"
	MarkError      = "X-FAKE-ERROR"
)

// Marked is the category that a fake engine is to give to data: Virus where
// EICAR is anywhere in it, else what the first marker of the list above says,
// Encrypted for [EncryptedZip], and OK for everything else.
func Marked(data []byte) backends.Category {
	switch {
	case bytes.Contains(data, EICAR()):
		return backends.Virus
	case bytes.Contains(data, []byte(MarkSuspicious)):
		return backends.Suspicious
	case bytes.Contains(data, []byte(MarkEncrypted)), bytes.Equal(data, EncryptedZip()):
		return backends.Encrypted
	case bytes.Contains(data, []byte(MarkPartial)):
		return backends.Partial
	case bytes.Contains(data, []byte(MarkError)):
		return backends.SWErr
	}
	return backends.OK
}

// Engine is a backend that answers as [Marked] says, with names as clamd would
// give them.
func Engine() backends.Backend { return backends.Func(scanMarked) }

func scanMarked(ctx context.Context, o backends.Object) (backends.Result, error) {
	if ctx.Err() != nil {
		return backends.Result{}, context.Cause(ctx)
	}
	data := make([]byte, o.Size())
	if n, err := o.ReadAt(data, 0); n != len(data) {
		return backends.Result{}, fmt.Errorf("read %d of %d bytes: %w", n, len(data), err)
	}
	switch Marked(data) {
	case backends.OK:
		return backends.Clean(0), nil
	case backends.Virus:
		return backends.Found(1, "Eicar-Test-Signature"), nil
	case backends.Suspicious:
		return backends.Found(1, "Heuristics.OLE2.ContainsMacros"), nil
	case backends.Encrypted:
		return backends.Found(1, "Heuristics.Encrypted.Zip"), nil
	case backends.Partial:
		return backends.Found(1, "Heuristics.Limits.Exceeded.MaxFiles"), nil
	}
	return backends.Result{}, errors.New("fake engine: asked to fail")
}
