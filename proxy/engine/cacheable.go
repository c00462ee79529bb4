package engine

import (
	"bytes"
	"slices"
	"sync"

	"polyclam/backends"
	"polyclam/backends/testfile"
)

// Bounds on the objects that are looked up, because each is hashed first.
const (
	maxLookup     = 1 << 30   // bytes in the spool
	maxLookupFile = 256 << 20 // bytes of a client's file, which may be on a slow disk
)

// caches reports whether results of the engine may be in the cache.
func (c *Config) caches() bool {
	// Without health checks nothing would ever be confirmed.
	return c.Cache != nil && c.CacheTTL > 0 && c.Fingerprint != "" && c.Canary
}

// sharesFailures reports whether hosts share on which objects the engine died or hung.
func (e *Engine) sharesFailures() bool {
	return e.sharedStore && e.cfg.Fingerprint != "" && e.cfg.PoisonTime > 0
}

// isKeepable reports whether a result may be kept. A result that is partial may be complete
// next time, when the engine has more time or other limits.
func isKeepable(r backends.Result) bool {
	return r.Category.Valid() && !r.Category.IsFailure() && r.Category != backends.Partial &&
		!slices.ContainsFunc(r.Findings, func(f backends.Finding) bool {
			return f.Category == backends.Partial || f.Category.IsFailure()
		})
}

// isOwn reports whether the bytes of o are polyclam's own. A client can change its file
// between the hash and the scan, so what an engine says about it is neither kept nor given to
// others.
func isOwn(o Object) bool {
	s, ok := o.(interface{ Spooled() int64 })
	return ok && s.Spooled() == o.Size()
}

// isLookedUp reports whether results about o may be looked for. Those about test objects of
// this or another polyclam are not: an engine must answer them itself.
func isLookedUp(o Object) bool {
	size, limit := o.Size(), int64(maxLookupFile)
	if isOwn(o) {
		limit = maxLookup
	}
	return size > 0 && size <= limit && !isTestSized(o)
}

// isTestSized reports whether o is one of the small test objects. It reads o only if the size
// is right.
func isTestSized(o Object) bool {
	objects := testObjects()[o.Size()]
	if len(objects) == 0 {
		return false
	}
	b := make([]byte, o.Size())
	if n, _ := o.ReadAt(b, 0); n != len(b) {
		return false
	}
	return slices.ContainsFunc(objects, func(t testObject) bool {
		return bytes.HasPrefix(b, t.begin) && bytes.HasSuffix(b, t.end)
	})
}

// A testObject is a test object without its nonce.
type testObject struct{ begin, end []byte }

// testObjects returns the small test objects by their size.
var testObjects = sync.OnceValue(func() map[int64][]testObject {
	objects := map[int64][]testObject{}
	add := func(a, b []byte) { // the same object with two nonces
		i := 0
		for i < len(a) && a[i] == b[i] {
			i++
		}
		j := len(a)
		for j > i && a[j-1] == b[j-1] {
			j--
		}
		objects[int64(len(a))] = append(objects[int64(len(a))], testObject{a[:i], a[j:]})
	}
	zero, other := testfile.Nonce{}, testfile.Nonce(bytes.Repeat([]byte{0xff}, len(testfile.Nonce{})))
	add(testfile.Clean(zero), testfile.Clean(other))
	add(testfile.MailedEICAR(zero), testfile.MailedEICAR(other))
	for _, t := range [][]byte{
		testfile.EICAR(), testfile.Encrypted(), testfile.ZippedEICAR(), testfile.PackedEICAR(),
		testfile.LockedThenEICAR(), testfile.DeepThenEICAR(),
	} {
		objects[int64(len(t))] = append(objects[int64(len(t))], testObject{t, nil})
	}
	return objects
})
