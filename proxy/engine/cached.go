package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"polyclam/backends"
	"polyclam/proxy/cache"
	"polyclam/proxy/engine/internal/poison"
	"polyclam/proxy/policy"
)

// Known is what is known about an object before an engine gets it, see [LookUp]. A nil Known
// is nothing. It belongs to one scan.
type Known struct {
	object   objectID
	own      bool // the bytes of the object are polyclam's own
	keeps    bool // the result may be kept
	state    signatureState
	hit      *cache.Hit    // nil: a miss
	age      time.Duration // of hit
	elapsed  time.Duration // of the lookup
	failures int           // how often the engine died or hung on it on all hosts
	flight   *flight       // that this scan leads; nil: none
}

// LookUp looks for results about o in the cache, for all engines with one question, before
// any of them gets o. The result has an element for each engine, or is nil if nothing is
// known. It takes no slot, and no longer than hashing o and the budget of the cache.
func LookUp(ctx context.Context, engines []*Engine, o Object, all bool) []*Known {
	if !slices.ContainsFunc(engines, func(e *Engine) bool { return e.cfg.caches() || e.sharesFailures() }) {
		return nil
	}
	begin := time.Now()
	l := &lookup{engines: engines, object: o, all: all, known: make([]*Known, len(engines))}
	l.fits = isLookedUp(o)
	ok := l.fits && l.findVersions() && l.hash(ctx)
	if ok {
		l.findVersionsAgain(ctx)
		l.ask(ctx)
	}
	l.count(ctx, ok)
	if !ok {
		return nil
	}
	elapsed := time.Since(begin)
	for _, k := range l.known {
		k.elapsed = elapsed
	}
	return l.known
}

// lookup is one call of [LookUp].
type lookup struct {
	engines []*Engine
	object  Object
	all     bool
	known   []*Known
	fits    bool              // results about the object may be looked for
	asking  []<-chan struct{} // questions for versions under way
}

// findVersions finds out for which engines the cache can be asked. It reports false if
// nothing needs a hash.
func (l *lookup) findVersions() (useful bool) {
	own, size := isOwn(l.object), l.object.Size()
	for i, e := range l.engines {
		k := &Known{own: own}
		l.known[i] = k
		if e.isTooLarge(size) {
			continue
		}
		useful = useful || e.sharesFailures()
		if !e.cfg.caches() || !own && !e.hasKept() {
			continue
		}
		asking, ok := k.find(e)
		if asking != nil {
			l.asking = append(l.asking, asking)
		}
		useful = useful || ok || asking != nil
	}
	return useful
}

// find records which signatures e has. See pool.signaturesNow for what it returns.
func (k *Known) find(e *Engine) (asking <-chan struct{}, ok bool) {
	k.state, asking, k.keeps = e.signaturesNow(e.cfg)
	return asking, k.keeps
}

// findVersionsAgain waits a moment for the versions that were not recent.
func (l *lookup) findVersionsAgain(ctx context.Context) {
	if len(l.asking) == 0 {
		return
	}
	patience := time.NewTimer(versionBudget)
	defer patience.Stop()
	for _, asking := range l.asking {
		select {
		case <-asking:
			continue
		case <-patience.C:
		case <-ctx.Done():
		}
		break
	}
	for i, e := range l.engines {
		if k := l.known[i]; !k.keeps && e.cfg.caches() && !e.isTooLarge(l.object.Size()) && (k.own || e.hasKept()) {
			k.find(e)
		}
	}
}

// hash computes the digest of the object, in at most a quarter of the time that is left.
func (l *lookup) hash(ctx context.Context) bool {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/4)
		defer cancel()
	}
	sum, ok := sumOf(ctx, l.object)
	if !ok {
		return false
	}
	for i, e := range l.engines {
		k := l.known[i]
		k.object = objectID{sum: sum, size: l.object.Size(), all: l.all}
		if e.cfg.CacheNames {
			k.object.name = nameOf(l.object)
		}
	}
	return true
}

// sumOf returns the SHA-256 of o. It returns false if o could not be read in time.
func sumOf(ctx context.Context, o Object) (sum [sha256.Size]byte, ok bool) {
	switch h := o.(type) {
	case interface {
		Sum(context.Context) ([sha256.Size]byte, error)
	}:
		sum, err := h.Sum(ctx)
		return sum, err == nil
	case interface {
		SHA256(context.Context) (string, error)
	}:
		text, err := h.SHA256(ctx)
		if err != nil {
			return sum, false
		}
		n, err := hex.Decode(sum[:], []byte(text))
		return sum, err == nil && n == len(sum)
	}
	d, err := digestOf(ctx, o)
	if err != nil {
		return sum, false
	}
	return d.Sum, true
}

func nameOf(o backends.Object) string {
	if n, ok := o.(backends.Named); ok {
		return n.Name()
	}
	return ""
}

// ask asks the cache about all engines together.
func (l *lookup) ask(ctx context.Context) {
	var c *cache.Cache
	var keys, failureKeys []cache.Key
	var of, failuresOf []int // indexes of engines
	size := l.object.Size()
	for i, e := range l.engines {
		k := l.known[i]
		if e.cfg.Cache == nil || e.isTooLarge(size) || c != nil && e.cfg.Cache != c {
			continue
		}
		if k.keeps {
			keys, of = append(keys, e.cfg.resultKey(k.object, k.state.version, k.state.reload)), append(of, i)
		}
		if e.sharesFailures() {
			failureKeys, failuresOf = append(failureKeys, e.cfg.failureKey(k.object.sum, size)), append(failuresOf, i)
		}
		c = e.cfg.Cache
	}
	if len(keys)+len(failureKeys) == 0 {
		return
	}
	hits, failures := c.LookupWith(ctx, keys, failureKeys)
	for j, i := range of {
		l.known[i].take(l.engines[i], hits[j])
	}
	for j, i := range failuresOf {
		l.known[i].failures = failures[j]
	}
}

// take records a hit, if it may be used.
func (k *Known) take(e *Engine, hit *cache.Hit) {
	if hit == nil || !isKeepable(hit.Result) {
		return
	}
	age := time.Since(hit.Scanned)
	if age < -maxAhead || age > e.cfg.CacheTTL || !hit.Scanned.After(k.state.since) || !e.agrees(hit.Result, k.object.size) {
		return
	}
	if last, ok := e.cfg.Cache.LastReload(e.cfg.key); !ok || last.Number != k.state.reload {
		return // it has become known meanwhile
	}
	k.hit, k.age = hit, max(0, age)
}

// agrees reports whether every node that a scan may use now would leave r as it is. Otherwise
// it is known by now that r may not be about the whole object.
func (e *Engine) agrees(r backends.Result, size int64) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, n := range e.nodes {
		if e.usable(n) && !sameResult(n.adjusted(r, size), r) {
			return false
		}
	}
	return true
}

// count counts the hits and misses. ok says whether the cache was asked.
func (l *lookup) count(ctx context.Context, ok bool) {
	if calledOff(ctx) {
		return
	}
	for i, e := range l.engines {
		c, k := &e.counts.cache, l.known[i]
		switch {
		case e.cfg.Cache == nil || e.cfg.CacheTTL <= 0:
		case !ok || !k.keeps:
			l.countNotCached(c, e, k)
		case k.hit == nil:
			c.misses.Add(1)
		case k.hit.Source == cache.Shared:
			c.shared.Add(1)
		default:
			c.memory.Add(1)
		}
	}
}

// countNotCached counts a scan for which the cache was not asked, with its reason.
func (l *lookup) countNotCached(c *cacheCounts, e *Engine, k *Known) {
	c.notCacheable.Add(1)
	switch {
	case !l.fits || e.isTooLarge(l.object.Size()):
		c.object.Add(1)
	case k != nil && !k.own && e.cfg.caches() && !e.hasKept():
		c.file.Add(1)
	case k == nil || !k.keeps:
		c.noVersion.Add(1)
	}
}

// Cached returns the report from the cache, if there is one.
func (e *Engine) Cached(k *Known) (policy.Report, bool) {
	if k == nil || k.hit == nil {
		return policy.Report{}, false
	}
	return policy.Report{
		Engine: e.cfg.Name, Required: e.cfg.Required, Result: k.hit.Result, Elapsed: k.elapsed,
		Cached: string(k.hit.Source), CachedAge: k.age,
	}, true
}

// ScanKnown is [Engine.Scan] for an object about which something may be known. It returns the
// result from the cache, or that of an identical object under way, if there is one.
func (e *Engine) ScanKnown(ctx context.Context, o Object, all bool, k *Known) policy.Report {
	if k == nil || e.isTooLarge(o.Size()) {
		return e.Scan(ctx, o, all)
	}
	if report, ok := e.Cached(k); ok {
		return report
	}
	return e.scanTogether(ctx, o, all, k)
}

// keep lets the result of a race wait until it is confirmed, if it may be kept.
func (e *Engine) keep(k *Known, r *race) {
	q := r.last
	if !k.keeps || !k.own || q == nil || r.err != nil || r.results != 1 ||
		q.err != nil || q.adjusted || !q.given.known || !isKeepable(q.result) {
		return
	}
	entry := cache.Entry{Result: q.result, Scanned: time.Now()}
	key := e.cfg.resultKey(k.object, q.given.version, q.given.reload)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.kept.Store(true)
	e.await(q.node, q.given, e.cfg, key, entry)
}

// NeedsSum reports whether the cache is likely to be asked about the next object.
func (e *Engine) NeedsSum() bool {
	return e.cfg.caches() && e.hasKept() || e.sharesFailures()
}

// hasKept reports whether the cache may have results of the engine. As long as it does not,
// clients' files need not be hashed, since their results are not kept.
func (e *Engine) hasKept() bool { return e.sharedStore || e.kept.Load() }

// digest returns the digest of the object for the memory of deaths.
func (k *Known) digest() *poison.Digest {
	if k == nil {
		return nil
	}
	return &poison.Digest{Size: k.object.size, Sum: k.object.sum}
}

// withheldByAll returns an error if the engine has died or hung too often on the object of k,
// on all hosts together.
func (e *Engine) withheldByAll(k *Known) error {
	if k == nil || !e.sharesFailures() || k.failures < poison.MaxFailures {
		return nil
	}
	return &backends.Failure{
		Category: backends.Interrupted,
		Code:     backends.NoCode,
		Text: fmt.Sprintf("not given to this engine for up to %v: on all hosts it died or hung %d times while scanning this object (key poison_time)",
			e.cfg.PoisonTime, k.failures),
	}
}

// failedMeanwhile updates what is known about deaths on the object before another node gets
// it.
func (e *Engine) failedMeanwhile(ctx context.Context, k *Known) {
	if k != nil && e.sharesFailures() {
		k.failures = max(k.failures, e.cfg.Cache.Failures(ctx, e.cfg.failureKey(k.object.sum, k.object.size)))
	}
}
