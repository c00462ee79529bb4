package backendtest

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"testing"

	"polyclam/backends"
	"polyclam/backends/testfile"
)

// The markers that [Marked] looks for, so that the same objects work with the fakes of
// all protocols.
const (
	MarkSuspicious = "X-FAKE-SUSPICIOUS"
	MarkEncrypted  = "X-FAKE-ENCRYPTED"
	MarkPartial    = "X-FAKE-PARTIAL"
	MarkError      = "X-FAKE-ERROR"
)

// encodedEICAR is the first line of the attachment of [testfile.MailedEICAR].
var encodedEICAR = []byte(base64.StdEncoding.EncodeToString(testfile.EICAR())[:76])

// Marked returns the category that a fake engine reports for data: Virus if it contains
// EICAR, also packed or in a mail of package testfile, else the category of the first marker above that it contains, Encrypted for
// [testfile.Encrypted], and OK for everything else.
func Marked(data []byte) backends.Category {
	switch {
	case bytes.Contains(data, testfile.EICAR()), bytes.Contains(data, encodedEICAR), bytes.Equal(data, testfile.PackedEICAR()):
		return backends.Virus
	case bytes.Contains(data, []byte(MarkSuspicious)):
		return backends.Suspicious
	case bytes.Contains(data, []byte(MarkEncrypted)), bytes.Equal(data, testfile.Encrypted()):
		return backends.Encrypted
	case bytes.Contains(data, []byte(MarkPartial)):
		return backends.Partial
	case bytes.Contains(data, []byte(MarkError)):
		return backends.SWErr
	}
	return backends.OK
}

// Engine returns a backend that answers by [Marked], with clamd's names.
func Engine() backends.Backend { return backends.Func(scanMarked) }

func scanMarked(ctx context.Context, o backends.Object) (backends.Result, error) {
	if ctx.Err() != nil {
		return backends.Result{}, plain{context.Cause(ctx)}
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

// CheckMarked scans an object for each marker with a backend whose fake answers by
// [Marked]. changes maps categories that the engine cannot report to what it reports
// instead.
func CheckMarked(t *testing.T, b backends.Backend, changes map[backends.Category]backends.Category) {
	t.Helper()
	for mark, want := range map[string]backends.Category{
		"nothing": backends.OK, string(testfile.EICAR()): backends.Virus, MarkSuspicious: backends.Suspicious,
		MarkEncrypted: backends.Encrypted, MarkPartial: backends.Partial, MarkError: backends.SWErr,
	} {
		if c, ok := changes[want]; ok {
			want = c
		}
		r, err := b.Scan(Context(t), Bytes(t, []byte("some "+mark+" bytes")))
		if err != nil {
			r.Category = backends.CategoryOf(err)
		}
		if r.Category != want {
			t.Errorf("%s: got %+v, %v, want %v", mark, r, err, want)
		}
	}
}
