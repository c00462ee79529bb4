package proxy

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"time"

	"polyclam/proxy/client"
	"polyclam/proxy/files"
	"polyclam/proxy/spool"
)

// Bounds on the hashes that are computed for the log after the reply.
const (
	maxHashing      = 64 // objects that are hashed or wait for it
	clientHashing   = 48 // those of one client
	hashWithin      = 60 * time.Second
	maxHashed       = 2 << 30   // bytes of a file, where limits.stream is no limit
	hashedAnyway    = 256 << 10 // bytes in memory that take no time worth a goroutine
	leftOutLarge    = "larger than limits.stream"
	leftOutBusy     = "too many objects wait to be hashed"
	leftOutStopping = "polyclamd is stopping"
	leftOutSlow     = "reading the object took longer than 60 seconds"
	leftOutError    = "the object could not be read again"
)

// hashing bounds the objects that are hashed after their replies. Each keeps its
// memory or its descriptor until then.
type hashing struct {
	threads *files.Pool // takes its clients in turn

	mu      sync.Mutex
	objects int
	clients map[client.Key]int
}

func newHashing() *hashing {
	return &hashing{threads: files.NewPool(max(2, runtime.GOMAXPROCS(0))), clients: map[client.Key]int{}}
}

// begin reports whether another object of a client may be hashed. end must follow.
func (h *hashing) begin(of client.Key) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.objects >= maxHashing || !of.IsZero() && h.clients[of] >= clientHashing {
		return false
	}
	h.objects++
	h.clients[of]++
	return true
}

func (h *hashing) end(of client.Key) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.objects--
	if h.clients[of]--; h.clients[of] == 0 {
		delete(h.clients, of)
	}
}

// hashed calls line with the SHA-256 of c, or with the reason why there is none. It
// does not wait for what may take long: the client has its reply, and its connection
// is needed by others.
func (r *request) hashed(o *spool.Object, line func(sum, leftOut string)) {
	s := r.s.srv
	limit := r.cfg.Limits.Stream
	if limit <= 0 {
		limit = maxHashed
	}
	switch of := client.FromContext(r.s.ctx); {
	case o.InMemory() && o.Size() <= hashedAnyway:
		line(sumOf(s.ctx, o))
	case o.Size() > limit:
		line("", leftOutLarge)
	case !s.hashes.begin(of):
		line("", leftOutBusy)
	default:
		o.Retain()
		s.wg.Go(func() {
			defer r.s.rescue()
			defer s.hashes.end(of)
			defer o.Release()
			line(s.hashes.sum(client.NewContext(s.ctx, of), o))
		})
	}
}

// sum hashes c when it is the turn of the client of ctx.
func (h *hashing) sum(ctx context.Context, o *spool.Object) (sum, leftOut string) {
	ctx, cancel := context.WithTimeout(ctx, hashWithin)
	defer cancel()
	type result struct{ sum, leftOut string }
	r, err := files.Do(ctx, h.threads, "hashing", func() (result, error) {
		sum, leftOut := sumOf(ctx, o)
		return result{sum, leftOut}, nil
	}, nil)
	if err != nil {
		return "", leftOutWhy(ctx)
	}
	return r.sum, r.leftOut
}

func sumOf(ctx context.Context, o *spool.Object) (sum, leftOut string) {
	sum, err := o.SHA256(ctx)
	switch {
	case err == nil:
		return sum, ""
	case ctx.Err() != nil:
		return "", leftOutWhy(ctx)
	}
	return "", leftOutError
}

func leftOutWhy(ctx context.Context) string {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return leftOutSlow
	}
	return leftOutStopping
}
