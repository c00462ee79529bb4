package spool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"polyclam/proxy/client"
	"polyclam/proxy/files"
)

// Errors that a caller branches on.
var (
	// ErrQuota means that Config.Total is used up. A retry may help.
	ErrQuota = errors.New("spool quota used up")
	// ErrStorage means that the store or the directory failed: disk full, write error, no
	// descriptors left. The cause is only in the text, or it could be mistaken for a missing
	// engine or a missing scanned file.
	ErrStorage = errors.New("spool storage")
	// ErrTooLarge means that a file that must be copied is larger than allowed.
	ErrTooLarge = errors.New("too large to be copied")
	// ErrReleased means that an object was used after its last Release.
	ErrReleased = errors.New("object already released")
)

// A Spool keeps objects until all engines have scanned them. It is safe for concurrent use.
type Spool struct {
	quota    quota
	keeper   keeper
	pool     pool
	inMemory atomic.Int64  // bytes of segments in use
	stores   chan struct{} // one element for each write to the store under way

	writers atomic.Int64
	objects atomic.Int64
	files   atomic.Int64

	mu     sync.Mutex // guards set, retaining its directory, and former
	set    *settings
	former []*directory // of earlier settings, still in use
}

// Stats describes what a spool currently holds.
type Stats struct {
	Used    int64 // bytes counted against the quota
	Total   int64 // the quota; 0: none
	Kept    int64 // bytes of memfds kept for reuse; with Used at most Total, uploads take it first
	Pooled  int64 // bytes of memory kept for reuse, not counted in Used
	Writers int   // objects being received
	Waiting int   // writers that wait for quota
	Objects int   // complete and not yet released, including opened files
	Files   int   // named files

	Reused  int64 // objects that got a kept memfd
	Held    int64 // memfds given up because an engine did not close its descriptor
	Tainted int64 // memfds given up because an engine failed, or did not answer
}

// New returns a spool for cfg. It checks that the store and the directory work, and removes
// what a crashed process left in the directory. An error names the setting and its remedy.
func New(cfg Config) (*Spool, error) {
	s := &Spool{stores: make(chan struct{}, StoreThreads), set: &settings{}}
	s.keeper.quota, s.quota.shrink = &s.quota, s.keeper.shrink
	if err := s.Configure(cfg); err != nil {
		return nil, err
	}
	return s, nil
}

// Drain waits until no object is left, at most for patience.
func (s *Spool) Drain(patience time.Duration) {
	const poll = 2 * time.Millisecond
	for deadline := time.Now().Add(patience); s.objects.Load()+s.writers.Load() > 0 && time.Now().Before(deadline); {
		time.Sleep(poll)
	}
}

// Close removes the spool's directory with every file in it, even if an engine is still
// reading it: the process is about to end, and nothing else would remove the files before the
// next New. Objects stay readable until their last Release; no new ones can be stored in
// files.
func (s *Spool) Close() error {
	s.mu.Lock()
	set := *s.set
	set.dir = nil
	c := Change{spool: s, set: &set}
	c.exchange()
	s.mu.Unlock()
	s.keeper.close()
	c.Release()
	s.mu.Lock()
	former := s.former
	s.former = nil
	s.mu.Unlock()
	for _, d := range former {
		d.discard()
	}
	return nil
}

// settings returns the current settings, retained for one object.
func (s *Spool) settings() *settings {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set.retain()
	return s.set
}

// Stats returns what the spool currently holds.
func (s *Spool) Stats() Stats {
	used, kept, total, waiting := s.quota.stats()
	return Stats{
		Used:    used,
		Total:   total,
		Kept:    kept,
		Pooled:  s.pool.size(),
		Writers: int(s.writers.Load()),
		Waiting: waiting,
		Objects: int(s.objects.Load()),
		Files:   int(s.files.Load()),
		Reused:  s.keeper.reused.Load(),
		Held:    s.keeper.held.Load(),
		Tainted: s.keeper.tainted.Load(),
	}
}

// Create begins a new object of the client in ctx. The caller must end the writer with
// Finish or Abort. ctx bounds the wait for quota; once it has ended, nothing more is
// accepted.
func (s *Spool) Create(ctx context.Context) *Writer {
	s.writers.Add(1)
	o := s.newObject(kindSpooled, client.FromContext(ctx))
	o.hashes = o.set.Hash
	return &Writer{ctx: ctx, o: o}
}

// Bytes returns an object with the bytes of b, which must not change afterwards. It does not
// count against the quota.
func (s *Spool) Bytes(b []byte) *Object {
	o := s.newObject(kindConstant, client.Key{})
	o.segs = append(o.segs, b)
	o.size = int64(len(b))
	o.counted = true
	s.objects.Add(1)
	return o
}

// Make returns an object that fill writes to an empty file, which may have holes. It does not
// count against the quota.
func (s *Spool) Make(fill func(f *os.File) error) (*Object, error) {
	set := s.settings()
	defer set.release()
	f, err := set.anonymous()
	if err != nil {
		return nil, storageError("make", err)
	}
	if err := fill(f); err != nil {
		f.Close()
		return nil, storageError("make", err)
	}
	if f, err = set.seal(f); err != nil {
		return nil, storageError("make", err)
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, storageError("make", err)
	}
	o := s.newObject(kindConstant, client.Key{})
	o.own, o.size = f, info.Size()
	o.counted = true
	s.objects.Add(1)
	return o, nil
}

// Open returns an object with the bytes of a client's file. It takes ownership of the file,
// even if it fails. The object does not count against the quota, and is read under ctx.
//
// A foreign file is copied first, under ctx, so that no engine waits for its file system. The
// copy counts like a stream. If it has more than limit bytes, the error is ErrTooLarge; 0
// means no limit except for the quota.
func (s *Spool) Open(ctx context.Context, f *files.File, limit int64) (*Object, error) {
	if f.Foreign() {
		defer f.Close()
		return s.copy(ctx, f, limit)
	}
	o := s.newObject(kindOpened, client.FromContext(ctx))
	o.opened, o.ctx, o.size = f, ctx, f.Size()
	o.counted = true
	s.objects.Add(1)
	return o, nil
}

func (s *Spool) copy(ctx context.Context, f *files.File, limit int64) (*Object, error) {
	if limit > 0 && f.Size() > limit {
		return nil, fmt.Errorf("%w: it has %d bytes, and limits.stream is %d", ErrTooLarge, f.Size(), limit)
	}
	w := s.Create(ctx)
	defer w.Abort()
	if err := f.Copy(ctx, w); err != nil {
		return nil, err
	}
	return w.Finish()
}

// newObject returns an empty object of a client, with one reference.
func (s *Spool) newObject(k kind, of client.Key) *Object {
	o := &Object{spool: s, set: s.settings(), kind: k}
	s.quota.open(o, of)
	o.segs = o.few[:0]
	if k == kindOpened {
		o.digest.turn = make(chan struct{}, 1)
	}
	o.refs.Store(reference)
	return o
}

// memory returns memory for an object of size bytes, or of more if it is not complete, and how
// many of its bytes count as kept.
func (s *Spool) memory(set *settings, size int64, complete bool) (m *memory, kept int64, err error) {
	if m := s.keeper.get(size, complete); m != nil {
		return m, m.pages(), nil
	}
	m, err = newMemory(set.memfdFlags)
	return m, 0, err
}
