package spool

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
)

// overlapFrom is the size from which a stream is hashed while it arrives. Shorter streams are
// hashed from memory in microseconds when the sum is asked for, and are not worth a
// goroutine.
const overlapFrom = 256 << 10

// A digest is the SHA-256 of an object. It is computed piece by piece: while the object
// arrives, or when Sum is called.
//
// While the object arrives, another core follows it if one is free; otherwise the writer
// hashes what it has just received, which is still in the processor's cache.
type digest struct {
	mu    sync.Mutex    // held while a piece is hashed
	turn  chan struct{} // instead of mu, for an object whose bytes may take long to read
	h     hash.Hash
	done  int64 // bytes hashed
	sum   [sha256.Size]byte
	known atomic.Bool // sum is set, and does not change any more

	segs    [][]byte     // full segments of an object in memory, guarded by mu
	arrived atomic.Int64 // bytes that may be hashed
	busy    atomic.Bool  // a goroutine is hashing what has arrived
}

// hashers bounds the goroutines that hash arriving streams, so that one processor is left.
var hashers = make(chan struct{}, runtime.GOMAXPROCS(0)-1)

// idleHashes are for use again.
var idleHashes = sync.Pool{New: func() any { return sha256.New() }}

// lock waits for its turn to hash, or until ctx ends.
func (d *digest) lock(ctx context.Context) error {
	if d.turn == nil {
		d.mu.Lock()
		return nil
	}
	select {
	case d.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (d *digest) unlock() {
	if d.turn == nil {
		d.mu.Unlock()
		return
	}
	<-d.turn
}

// write hashes p. The caller has the turn.
func (d *digest) write(p []byte) {
	if d.h == nil {
		d.h = idleHashes.Get().(hash.Hash)
	}
	d.h.Write(p)
	d.done += int64(len(p))
}

// hashArrived hashes p, which the writer has just stored and which makes size bytes, or has
// another core hash what is stored.
func (o *Object) hashArrived(p []byte, size int64) {
	d := &o.digest
	if d.busy.Load() { // it sees the new bytes, or Sum does
		d.offer(o, size)
		return
	}
	if size < overlapFrom && o.own == nil {
		return
	}
	select {
	case hashers <- struct{}{}:
		if d.offer(o, size); o.pin() {
			d.busy.Store(true)
			go o.follow()
			return
		}
		<-hashers
	default:
	}
	if d.mu.TryLock() {
		switch {
		case o.own == nil:
			o.hashSegments(size)
		case d.done == size-int64(len(p)):
			d.write(p)
		}
		d.mu.Unlock()
	}
}

// hashSegments hashes what is in memory of the first size bytes. The caller has the turn.
func (o *Object) hashSegments(size int64) {
	for n := 1; n > 0; {
		n, _ = o.hashNext(context.Background(), nil, size, o.segs)
	}
}

// offer makes size bytes of the object, of which the writer may still fill the last segment,
// available to follow.
func (d *digest) offer(o *Object, size int64) {
	if o.own != nil {
		d.arrived.Store(size)
		return
	}
	if d.mu.TryLock() {
		full := max(0, len(o.segs)-1)
		var n int64
		for _, seg := range o.segs[:full] {
			n += int64(len(seg))
		}
		d.segs = o.segs[:full:full]
		d.arrived.Store(n)
		d.mu.Unlock()
	}
}

// moved says that the object, which has size bytes, has left memory: its segments will be
// used for others.
func (o *Object) moved(size int64) {
	d := &o.digest
	d.mu.Lock()
	defer d.mu.Unlock()
	d.segs = nil
	if o.hashes && len(hashers) == cap(hashers) {
		o.hashSegments(size) // no other core will
	}
}

// follow hashes what has arrived. The object is pinned.
func (o *Object) follow() {
	d := &o.digest
	defer func() { <-hashers }()
	defer o.unpin()
	defer d.busy.Store(false)
	buf := o.spool.pool.get(classes - 1)
	defer o.spool.pool.put(buf)
	for o.refs.Load() >= reference {
		d.mu.Lock()
		n, err := o.hashNext(context.Background(), buf[:cap(buf)], d.arrived.Load(), d.segs)
		d.mu.Unlock()
		if n == 0 || err != nil {
			return
		}
	}
}

// hashNext hashes the next piece of the first end bytes. It returns 0 if there is none. buf is
// for bytes that are not in segs. The caller has the turn.
func (o *Object) hashNext(ctx context.Context, buf []byte, end int64, segs [][]byte) (int, error) {
	d := &o.digest
	rest := end - d.done
	if rest <= 0 {
		return 0, nil
	}
	if off := d.done; segs != nil {
		for _, seg := range segs {
			if off < int64(len(seg)) {
				p := seg[off:]
				d.write(p[:min(int64(len(p)), rest)])
				return len(p), nil
			}
			off -= int64(len(seg))
		}
		return 0, nil
	}
	if o.own == nil && o.opened == nil { // its segments have not been offered
		return 0, nil
	}
	buf = buf[:min(int64(len(buf)), rest)]
	if n, err := o.readFull(ctx, buf, d.done); n < len(buf) {
		if err == nil {
			err = io.ErrUnexpectedEOF
		}
		return 0, err
	}
	d.write(buf)
	return len(buf), nil
}

// InMemory reports whether the bytes are in the memory of the daemon.
func (o *Object) InMemory() bool { return o.own == nil && o.opened == nil }

// Known returns the SHA-256 of the object if it has been computed.
func (o *Object) Known() (sum [sha256.Size]byte, ok bool) {
	if o.digest.known.Load() {
		return o.digest.sum, true
	}
	return sum, false
}

// Sum returns the SHA-256 of the object. The first call computes what has not been hashed
// while the object arrived. It ends soon after ctx, which also bounds the reading of a
// client's file.
func (o *Object) Sum(ctx context.Context) (sum [sha256.Size]byte, err error) {
	if sum, ok := o.Known(); ok {
		return sum, nil
	}
	if !o.pin() {
		return sum, ErrReleased
	}
	defer o.unpin()
	d := &o.digest
	var buf []byte
	segs := o.segs
	if !o.InMemory() {
		segs = nil
		buf = o.spool.pool.get(classes - 1)
		defer o.spool.pool.put(buf)
	}
	for {
		if ctx.Err() != nil {
			return sum, context.Cause(ctx)
		}
		if err := d.lock(ctx); err != nil {
			return sum, err
		}
		n := 0
		if d.done < o.size {
			n, err = o.hashNext(ctx, buf[:cap(buf)], o.size, segs)
		}
		if n == 0 && err == nil {
			sum = d.finish()
		}
		d.unlock()
		switch {
		case err != nil:
			return sum, fmt.Errorf("sha256: %w", err)
		case n == 0:
			return sum, nil
		}
	}
}

// SHA256 is [Object.Sum] in lower case hexadecimal.
func (o *Object) SHA256(ctx context.Context) (string, error) {
	sum, err := o.Sum(ctx)
	if err != nil {
		return "", err
	}
	return hex.EncodeToString(sum[:]), nil
}

// finish returns the sum of all pieces. The caller has the turn.
func (d *digest) finish() [sha256.Size]byte {
	if d.known.Load() {
		return d.sum
	}
	if d.h == nil {
		d.sum = sha256.Sum256(nil)
	} else {
		d.h.Sum(d.sum[:0])
		d.h.Reset()
		idleHashes.Put(d.h)
		d.h = nil
	}
	d.known.Store(true)
	return d.sum
}
