package inspect

import (
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"hash"

	"polyclam/backends"
	"polyclam/backends/inspect/internal/walk"
	"polyclam/backends/internal/ended"
)

// algorithms are the hash algorithms that lists may use.
var algorithms = [...]struct {
	digits int
	make   func() hash.Hash
}{
	{2 * md5.Size, md5.New},
	{2 * sha1.Size, sha1.New},
	{2 * sha256.Size, sha256.New},
}

// kindOf returns the index of the algorithm whose digests have this many digits, or -1.
func kindOf(digits int) int {
	for i, a := range algorithms {
		if a.digits == digits {
			return i
		}
	}
	return -1
}

// chunk is how much is hashed between two checks of the context, less than a
// millisecond's work.
const chunk = 128 << 10

// find returns the name that the lists have for an object, or "". It computes only the
// digests that are listed for an object of this size.
func (l *hashLists) find(ctx context.Context, o backends.Object) (string, error) {
	var sums [len(algorithms)]hash.Hash
	needed := false
	for i := range l.kinds {
		if l.kinds[i].wants(o.Size()) {
			sums[i] = algorithms[i].make()
			needed = true
		}
	}
	if !needed {
		return "", nil
	}
	if err := digest(ctx, o, sums[:]); err != nil {
		return "", err
	}
	for i, h := range sums {
		if h == nil {
			continue
		}
		for _, e := range l.kinds[i].digests[string(h.Sum(nil))] {
			if e.size == anySize || e.size == o.Size() {
				return e.name, nil
			}
		}
	}
	return "", nil
}

// digest writes the whole object to the hashes that are not nil.
func digest(ctx context.Context, o backends.Object, sums []hash.Hash) error {
	buffer := make([]byte, min(chunk, o.Size()))
	for off := int64(0); off < o.Size(); off += int64(len(buffer)) {
		if ctx.Err() != nil {
			return ended.Context(ctx)
		}
		buffer = buffer[:min(int64(len(buffer)), o.Size()-off)]
		if err := walk.ReadFull(o, buffer, off); err != nil {
			return err
		}
		for _, h := range sums {
			if h != nil {
				h.Write(buffer)
			}
		}
	}
	return nil
}
