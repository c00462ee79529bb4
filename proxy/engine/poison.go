package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"polyclam/backends"
	"polyclam/proxy/engine/internal/poison"
)

// maxHashing bounds the objects that are hashed after their scans have ended.
const maxHashing = 4

// withheld returns an error if the engine must not get o. It also returns the digest of o:
// known, or a new one if it had to be computed.
func (p *pool) withheld(ctx context.Context, o Object, known *poison.Digest) (*poison.Digest, error) {
	period := p.config().PoisonTime
	if period <= 0 || !p.poison.HasSize(o.Size(), period) {
		return known, nil
	}
	if known == nil {
		ctx, cancel := withTimeout(ctx, p.config().Timeout)
		defer cancel()
		d, err := digestOf(ctx, o)
		if err != nil {
			return nil, nil // the engine will not be able to read it in time, either
		}
		known = d
	}
	left := p.poison.Withheld(*known, period)
	if left == 0 {
		return known, nil
	}
	return known, &backends.Failure{
		Category: backends.Interrupted,
		Code:     backends.NoCode,
		Text: fmt.Sprintf("not given to this engine for another %v: it died or hung %d times while scanning this object (key poison_time)",
			max(left.Round(time.Second), time.Second), poison.MaxFailures),
	}
}

// recordEvidence records that q ended with r and err. It returns the objects now known to
// have caused earlier deaths and hangs, for judge. The caller holds mu.
func (p *pool) recordEvidence(q *question, r backends.Result, err error) []poison.Digest {
	p.adaptLimit(q, r, err)
	evidence := &q.node.evidence
	died, answered := q.died(err), q.answered(err)
	var guilty []poison.Digest
	if !q.isTest {
		guilty = evidence.End(q.began, answered)
	}
	if p.config().PoisonTime <= 0 {
		return nil
	}
	// A backend with side effects starts one program per scan.
	if _, program := q.node.backend.(backends.SideEffects); died && !q.isTest && !program {
		q.death = evidence.Died(backends.Deaths(err))
	}
	switch {
	case answered && time.Since(q.began) < p.config().Timeout/10:
		return append(guilty, evidence.Resolve(q.began, true)...)
	case p.hung(q), died, q.ctx.Err() == nil && backends.Unreachable(err):
		return append(guilty, evidence.Resolve(q.began, false)...)
	}
	return guilty // a slow answer proves nothing: the node may have been stopped
}

// judge counts a failure against each of the guilty objects, and against that of q if it is
// to blame. It is called after recordEvidence, when the slot is free.
func (p *pool) judge(q *question, r backends.Result, err error, guilty []poison.Digest) {
	p.countFailures(guilty...)
	switch {
	case q.isTest, p.config().PoisonTime <= 0:
	case err == nil, detected(r):
		if q.digest != nil {
			p.poison.Clear(*q.digest)
		}
	case p.hung(q):
		p.judgeHang(q)
	case q.died(err):
		p.judgeDeath(q, backends.Deaths(err))
	}
}

func (p *pool) judgeDeath(q *question, deaths int) {
	d := q.digest
	if d == nil {
		if d, _ = digestOf(q.ctx, q.object); d == nil {
			return
		}
	}
	p.mu.Lock()
	guilty := q.death.Blame(d)
	p.mu.Unlock()
	if guilty {
		p.countFailures(slices.Repeat([]poison.Digest{*d}, deaths)...)
	}
}

func (p *pool) judgeHang(q *question) {
	p.mu.Lock()
	h, guilty := q.node.evidence.Hung(q.began, q.digest)
	if h != nil && q.digest == nil {
		p.hashLater(q.object, h)
	}
	p.mu.Unlock()
	if guilty {
		p.countFailures(*q.digest)
	}
}

// countFailures counts a failure against each of the objects, on this host and for the
// others, and logs those that are withheld from now on.
func (p *pool) countFailures(objects ...poison.Digest) {
	c := p.config()
	period := c.PoisonTime
	for _, d := range objects {
		if c.Fingerprint != "" {
			c.Cache.AddFailure(p.life, c.failureKey(d.Sum, d.Size), period)
		}
		if p.poison.AddFailure(d, period) {
			p.log.Warn().Str("sha256", hex.EncodeToString(d.Sum[:])).Int64("size", d.Size).
				Int("failures", poison.MaxFailures).Stringer("poison_time", period).Msg("object withheld")
		}
	}
}

// hung reports whether q timed out although it had a good part of the engine's timeout. A
// scan that is too slow for an impatient client may be fast enough for others.
func (p *pool) hung(q *question) bool { return q.overdue(p.config().Timeout) }

// hashLater computes the digest of a hang in the background, since the scan's own time is
// over. The caller holds mu, and a reference to o.
func (p *pool) hashLater(o Object, h *poison.Hang) {
	if p.hashing >= maxHashing {
		return
	}
	p.hashing++
	o.Retain()
	ctx, cancel := withTimeout(p.life, p.config().Timeout)
	go func() {
		defer cancel()
		d, _ := digestOf(ctx, o)
		o.Release()
		p.mu.Lock()
		p.hashing--
		guilty := h.Blame(d)
		p.mu.Unlock()
		if guilty {
			p.countFailures(*d)
		}
	}()
}

// digestOf hashes o. It returns soon after ctx ends, even if a read does not.
func digestOf(ctx context.Context, o Object) (*poison.Digest, error) {
	o.Retain()
	done := make(chan *poison.Digest, 1)
	go func() {
		defer o.Release()
		defer close(done)
		d := poison.Digest{Size: o.Size()}
		h := sha256.New()
		n, err := io.Copy(h, &contextReader{ctx, io.NewSectionReader(o, 0, d.Size)})
		if err == nil && n == d.Size {
			h.Sum(d.Sum[:0])
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

// contextReader reads r until ctx ends. It hides r's WriteTo from io.Copy.
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
