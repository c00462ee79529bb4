package proxy

import (
	"context"
	"encoding/hex"
	"errors"
	"runtime"
	"sync"
	"time"

	"polyclam/backends"
	"polyclam/proxy/client"
	"polyclam/proxy/files"
	"polyclam/proxy/policy"
	"polyclam/proxy/spool"
)

// A HashMode says which objects are hashed for the log. Whatever it says, a hash that is known
// already, because a cache needed it, is logged too, except with HashNever.
type HashMode string

// The modes.
const (
	HashAlways HashMode = "always"
	HashFound  HashMode = "found" // all but those that are ok
	HashNever  HashMode = "never"
)

// wants reports whether an object with this verdict is hashed.
func (m HashMode) wants(v policy.Verdict) bool {
	return m == HashAlways || m == HashFound && (v.Category != backends.OK || v.Action != policy.OK)
}

// known returns the hash of o if it is to be logged and need not be computed.
func (m HashMode) known(o *spool.Object) (h hash, ok bool) {
	if m != HashAlways && m != HashFound {
		return h, false
	}
	sum, ok := o.Known()
	if ok {
		h.sum = hex.EncodeToString(sum[:])
	}
	return h, ok
}

// Limits on the hashes that are computed for the log after the reply.
const (
	maxHashing    = 64 // objects being hashed or waiting for it
	clientHashing = 48 // those of one client
	hashWithin    = 60 * time.Second
	maxHashed     = 2 << 30   // bytes of a file, if limits.stream is no limit
	quickHash     = 256 << 10 // bytes in memory that are not worth a goroutine
)

// Why a log line has no hash.
const (
	leftOutLarge    = "larger than limits.stream"
	leftOutBusy     = "too many objects wait to be hashed"
	leftOutStopping = "polyclamd is stopping"
	leftOutSlow     = "reading the object took longer than 60 seconds"
	leftOutError    = "the object could not be read again"
)

// A hash is the SHA-256 of an object, or the reason why there is none.
type hash struct{ sum, leftOut string }

// hashing limits the objects that are hashed after their replies. Each of them occupies
// memory or a descriptor until then.
type hashing struct {
	threads *files.Pool // serves clients in turn

	mu      sync.Mutex
	objects int
	clients map[client.Key]int
}

func newHashing() *hashing {
	return &hashing{threads: files.NewPool(max(2, runtime.GOMAXPROCS(0))), clients: map[client.Key]int{}}
}

// quick returns the hash of a small object in memory, or the reason why a large one is not
// hashed. It reports false if hashing may take long.
func (h *hashing) quick(ctx context.Context, o *spool.Object, limit int64) (hash, bool) {
	if limit <= 0 {
		limit = maxHashed
	}
	switch {
	case o.InMemory() && o.Size() <= quickHash:
		return hashOf(ctx, o), true
	case o.Size() > limit:
		return hash{leftOut: leftOutLarge}, true
	}
	return hash{}, false
}

// begin reports whether another object of a client may be hashed. If so, end must follow.
func (h *hashing) begin(k client.Key) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.objects >= maxHashing || !k.IsZero() && h.clients[k] >= clientHashing {
		return false
	}
	h.objects++
	h.clients[k]++
	return true
}

func (h *hashing) end(k client.Key) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.objects--
	if h.clients[k]--; h.clients[k] == 0 {
		delete(h.clients, k)
	}
}

// sum hashes o when it is the turn of the client of ctx.
func (h *hashing) sum(ctx context.Context, o *spool.Object) hash {
	ctx, cancel := context.WithTimeout(ctx, hashWithin)
	defer cancel()
	result, err := files.Do(ctx, h.threads, "hashing", func() (hash, error) { return hashOf(ctx, o), nil }, nil)
	if err != nil {
		return hash{leftOut: leftOutWhy(ctx)}
	}
	return result
}

func hashOf(ctx context.Context, o *spool.Object) hash {
	sum, err := o.SHA256(ctx)
	switch {
	case err == nil:
		return hash{sum: sum}
	case ctx.Err() != nil:
		return hash{leftOut: leftOutWhy(ctx)}
	}
	return hash{leftOut: leftOutError}
}

func leftOutWhy(ctx context.Context) string {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return leftOutSlow
	}
	return leftOutStopping
}
