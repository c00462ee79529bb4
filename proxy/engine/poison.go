package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"polyclam/backends"
)

// Poison is an object on which the engine dies or hangs each time. After maxStrikes it
// is not given to the engine for Config.PoisonTime, on whatever node, by whatever scan.
//
// A strike needs more than a failed scan. A connection that breaks off counts only if no
// other scan that the node had at that time is answered: an engine with too much to do
// closes some connections and goes on. What dies at the same moment as others counts in
// full, since nothing shows which of them it was: the guilty one is caught at the third
// death, and the others are cleared by the first scan that goes well. A timeout
// counts only if the engine is alive beside it: if the first thing that the node was
// asked after half of that time, another scan or a health check, is answered. A node
// that is stopped or overloaded does not answer that either, and no object is to blame.

// withheld is the error of a scan of c that is not put to the engine. It returns the
// digest of c if it had to be computed, or known if that is not nil.
func (u *pool) withheld(ctx context.Context, o backends.Object, known *digest) (*digest, error) {
	period := u.config().PoisonTime
	if period <= 0 || !u.suspects.anyOf(o.Size(), period) {
		return known, nil
	}
	if known == nil {
		ctx, cancel := limited(ctx, u.config().Timeout)
		defer cancel()
		d, err := digestOf(ctx, o)
		if err != nil {
			return nil, nil // nor will the engine be able to read it in time
		}
		known = d
	}
	left := u.suspects.withheld(*known, period)
	if left == 0 {
		return known, nil
	}
	return known, &backends.Failure{
		Category: backends.Interrupted,
		Code:     backends.NoCode,
		Text: fmt.Sprintf("not given to this engine for another %v: it died or hung %d times while scanning this object (key poison_time)",
			max(left.Round(time.Second), time.Second), maxStrikes),
	}
}

// weigh takes in what has become of q, which has had r and err as its answer. It returns
// the objects that are to blame for an earlier timeout, for judge. The caller has mu.
func (u *pool) weigh(q *question, r backends.Result, err error) []digest {
	u.adapt(q, r, err)
	if !q.canary {
		q.node.mails--
	}
	if u.config().PoisonTime <= 0 {
		return nil
	}
	took := time.Since(q.began)
	died := q.ctx.Err() == nil && backends.Died(err)
	answered := err == nil || q.ctx.Err() == nil && errors.As(err, new(*backends.Failure)) && !died
	var guilty []digest
	if !q.canary {
		guilty = q.node.outlived(q.began, answered)
	}
	if died && !q.canary {
		q.death = q.node.diedBeside()
	}
	switch {
	case answered && took < u.config().Timeout/10:
		return append(guilty, q.node.resolve(q.began, true)...)
	case u.hangs(q), q.ctx.Err() == nil && (backends.Died(err) || backends.Unreachable(err)):
		return append(guilty, q.node.resolve(q.began, false)...)
	}
	return guilty // an answer that took long shows nothing: the node may have been stopped
}

// judge counts against objects that they are to blame: those that weigh returned, and
// that of q. It is called after weigh, when the slot is free.
func (u *pool) judge(q *question, r backends.Result, err error, guilty []digest) {
	u.strike(guilty...)
	switch {
	case q.canary, u.config().PoisonTime <= 0:
	case err == nil, detected(r):
		if q.digest != nil {
			u.suspects.clear(*q.digest)
		}
	case u.hangs(q):
		u.strike(u.hung(q)...)
	case q.ctx.Err() == nil && backends.Died(err):
		d := q.digest
		if d == nil {
			d, _ = digestOf(q.ctx, q.object)
		}
		if d != nil && u.convicts(q.death, d) {
			u.strike(*d)
		}
	}
}

// A death is a connection that broke off while the node had other scans. pool.mu guards
// it.
type death struct {
	at     time.Time
	others int // that have not ended yet
	over   bool
	guilty bool    // none of them was answered
	digest *digest // nil: not known yet
}

// diedBeside notes a scan that died, if n has others that will show whether it is alive.
// It returns nil if it has none, or a program for each scan. The caller has mu.
func (n *node) diedBeside() *death {
	_, program := n.backend.(backends.SideEffects)
	if others := n.mails; others > 0 && !program && len(n.deaths) < maxHangs {
		d := &death{at: time.Now(), others: others}
		n.deaths = append(n.deaths, d)
		return d
	}
	return nil
}

// outlived decides the deaths during which a scan was under way that began at the given
// time and has ended now. It returns the objects that are to blame. The caller has mu.
func (n *node) outlived(began time.Time, answered bool) []digest {
	var guilty []digest
	undecided := n.deaths[:0]
	for _, d := range n.deaths {
		if began.Before(d.at) {
			d.others--
			d.over = answered || d.others <= 0
			d.guilty = d.over && !answered
		}
		switch {
		case !d.over:
			undecided = append(undecided, d)
		case d.guilty && d.digest != nil:
			guilty = append(guilty, *d.digest)
		}
	}
	clear(n.deaths[len(undecided):])
	n.deaths = undecided
	return guilty
}

// convicts reports whether an object is to blame for a death. If that is not known yet,
// outlived will say it.
func (u *pool) convicts(d *death, object *digest) bool {
	if d == nil {
		return true
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	d.digest = object
	return d.over && d.guilty
}

// strike counts against objects, and logs those that are withheld from now on.
func (u *pool) strike(objects ...digest) {
	period := u.config().PoisonTime
	for _, d := range objects {
		if u.suspects.strike(d, period) {
			u.log.Warn().Str("sha256", hex.EncodeToString(d.sum[:])).Int64("size", d.size).
				Int("failures", maxStrikes).Stringer("poison_time", period).Msg("object withheld")
		}
	}
}

// hangs reports whether q timed out although it had a good part of the engine's timeout.
// What is too slow for a client with less time need not be too slow for others.
func (u *pool) hangs(q *question) bool {
	return q.ctx.Err() == context.DeadlineExceeded && time.Since(q.began) >= u.config().Timeout/4
}

// A hang is a scan that timed out, of which it is not known yet whether the object or
// the node is to blame. pool.mu guards it.
type hang struct {
	after  time.Time // what the node was asked later decides
	over   bool      // that is known
	guilty bool
	digest *digest // nil: not known yet
}

// maxHangs bounds the undecided hangs of a node. More at the same time are the node's
// fault.
const maxHangs = 16

// maxHashing bounds the objects that are hashed after their scans have ended.
const maxHashing = 4

// hung notes that the object of q timed out. It returns the object if it is known to be
// to blame already.
func (u *pool) hung(q *question) []digest {
	n := q.node
	h := &hang{after: q.began.Add(time.Since(q.began) / 2), digest: q.digest}
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case n.answered.After(h.after):
		if h.digest != nil {
			return []digest{*h.digest}
		}
		h.over, h.guilty = true, true
	case len(n.hangs) >= maxHangs:
		return nil
	default:
		n.hangs = append(n.hangs, h)
	}
	if h.digest == nil {
		u.hashLater(q.object, h)
	}
	return nil
}

// hashLater computes the digest of a hang, in the background since the scan's own time
// is over. The caller has mu, and c is held by its scan or its backend.
func (u *pool) hashLater(o backends.Object, h *hang) {
	kept, keeps := o.(retainer)
	if !keeps || u.hashing >= maxHashing {
		return
	}
	u.hashing++
	kept.Retain()
	ctx, cancel := limited(u.life, u.config().Timeout)
	go func() {
		defer cancel()
		d, _ := digestOf(ctx, o)
		kept.Release()
		u.mu.Lock()
		u.hashing--
		h.digest = d
		guilty := d != nil && h.over && h.guilty
		u.mu.Unlock()
		if guilty {
			u.strike(*d)
		}
	}()
}

// resolve decides the hangs of n, after what it was asked at began was answered or not.
// It returns the objects that are to blame. The caller has mu.
func (n *node) resolve(began time.Time, alive bool) []digest {
	if alive && began.After(n.answered) {
		n.answered = began
	}
	var guilty []digest
	undecided := n.hangs[:0]
	for _, h := range n.hangs {
		if !began.After(h.after) {
			undecided = append(undecided, h)
			continue
		}
		h.over, h.guilty = true, alive
		if alive && h.digest != nil {
			guilty = append(guilty, *h.digest)
		}
	}
	clear(n.hangs[len(undecided):])
	n.hangs = undecided
	return guilty
}

// digestOf reads c. It returns soon after the end of ctx, even if a read does not.
func digestOf(ctx context.Context, o backends.Object) (*digest, error) {
	kept, keeps := o.(retainer)
	if !keeps {
		return nil, errors.New("the object cannot be kept")
	}
	kept.Retain()
	done := make(chan *digest, 1)
	go func() {
		defer kept.Release()
		defer close(done)
		d := digest{size: o.Size()}
		h := sha256.New()
		n, err := io.Copy(h, &contextReader{ctx, io.NewSectionReader(o, 0, d.size)})
		if err == nil && n == d.size {
			h.Sum(d.sum[:0])
			done <- &d
		}
	}()
	select {
	case d, ok := <-done:
		if !ok {
			return nil, errors.New("the object cannot be read")
		}
		return d, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// contextReader reads r until ctx ends. It hides that r can be copied from otherwise.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c *contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
