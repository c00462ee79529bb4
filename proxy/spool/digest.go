package spool

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
)

// overlapFrom is the size from which a stream is hashed while it arrives, on another core.
// Shorter streams are hashed from memory in microseconds and are not worth a goroutine.
const overlapFrom = 256 << 10

// A digest is the SHA-256 of an object. It is computed piece by piece: while the object
// arrives, or when SHA256 is called.
type digest struct {
	mu   sync.Mutex // held while a piece is hashed
	h    hash.Hash
	done int64 // bytes hashed
	sum  string

	arrived atomic.Int64 // bytes that may be hashed
	busy    atomic.Bool  // a goroutine is hashing what has arrived
}

// hashers bounds the goroutines that hash arriving streams. If all are busy, the rest is
// hashed when SHA256 is called.
var hashers = make(chan struct{}, runtime.GOMAXPROCS(0))

// follow hashes the size bytes written to f so far in another goroutine, if there are
// enough of them. f may be closed meanwhile.
func (d *digest) follow(s *Spool, f *os.File, size int64) {
	d.arrived.Store(size)
	if size < overlapFrom || !d.busy.CompareAndSwap(false, true) {
		return
	}
	select {
	case hashers <- struct{}{}:
	default:
		d.busy.Store(false)
		return
	}
	go func() {
		defer func() { <-hashers }()
		defer d.busy.Store(false)
		buf := s.pool.get(classes - 1)
		defer s.pool.put(buf)
		for d.piece(f.ReadAt, buf[:cap(buf)], d.arrived.Load()) == nil {
		}
	}()
}

// piece hashes the next piece, up to end. It returns io.EOF if there is none.
func (d *digest) piece(readAt func([]byte, int64) (int, error), buf []byte, end int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := min(int64(len(buf)), end-d.done)
	if n <= 0 {
		return io.EOF
	}
	m, err := readAt(buf[:n], d.done)
	if int64(m) < n {
		return err
	}
	if d.h == nil {
		d.h = sha256.New()
	}
	d.h.Write(buf[:n])
	d.done += n
	return nil
}

// InMemory reports whether the bytes are in the memory of the daemon.
func (o *Object) InMemory() bool { return o.own == nil && o.opened == nil }

// SHA256 returns the SHA-256 of the object in lower case hexadecimal. The first call
// computes it, under ctx.
func (o *Object) SHA256(ctx context.Context) (string, error) {
	if !o.pin() {
		return "", ErrReleased
	}
	defer o.unpin()
	d := &o.digest
	buf := o.spool.pool.get(classes - 1)
	defer o.spool.pool.put(buf)
	for {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		err := d.piece(func(p []byte, off int64) (int, error) { return o.readAt(ctx, p, off) }, buf[:cap(buf)], o.size)
		if err == io.EOF {
			return d.finish(), nil
		}
		if err != nil {
			return "", fmt.Errorf("sha256: %w", err)
		}
	}
}

// finish returns the sum of all pieces.
func (d *digest) finish() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.sum == "" {
		if d.h == nil {
			d.h = sha256.New()
		}
		d.sum = hex.EncodeToString(d.h.Sum(nil))
		d.h = nil
	}
	return d.sum
}
