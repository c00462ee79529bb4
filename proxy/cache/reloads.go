package cache

import (
	"context"
	"encoding/base64"
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// An engine that loads signatures which its site has added keeps its version, so nothing in a
// result shows that it is older. Therefore the shared store has a number for each engine, which grows
// with each reload of its signatures, on any host. The number is a part of the keys of
// results: after a reload, those given before it have other keys.
//
// Results are never compared with the time of a reload, because that would need hosts whose
// clocks agree. A host reads the number in the store, writes a higher one, and uses that only
// when it is written. So what is kept under a number was asked for after the reload, by
// the order in which the store has seen reads and writes. The number is at least the host's
// time, only so that two hosts that write together do not end up below an earlier one.
//
// A number is signed together with its engine. A host never goes back to a lower one, and
// writes its own again. So a number that is forged has no effect, and one that is lost or put
// back none on a host that knows a higher one: it can only hide a reload from the others, as a
// store that does not answer does. Their results then end with their time to live.

// reloadPrefix begins the keys of the numbers.
const reloadPrefix = "1:r:"

// maxEngines bounds the engines whose numbers are known. A configuration has far fewer, but
// each reload of it may bring others.
const maxEngines = 256

// A Reload is the last known reload of an engine.
type Reload struct {
	Number  uint64    // 0: none is known
	Noticed time.Time // when this host came to know the number
}

// reloads is what is known about the reloads of one engine. Only watch writes last and wrote.
type reloads struct {
	last  atomic.Pointer[Reload] // nil: the store was not asked yet
	seen  atomic.Uint64          // reloads on this host
	wrote uint64                 // those of seen that the store has
}

func (r *reloads) number() uint64 {
	if last := r.last.Load(); last != nil {
		return last.Number
	}
	return 0
}

// raise takes over a number, unless a higher one is known.
func (r *reloads) raise(to uint64, now time.Time) {
	if r.last.Load() == nil || to > r.number() {
		r.last.Store(&Reload{Number: to, Noticed: now})
	}
}

// engines finds reloads by engine, without a lock. Its map does not change: a new engine makes
// a new map.
type engines struct {
	mu sync.Mutex // held while the map is replaced
	m  atomic.Pointer[map[Key]*reloads]
}

func (e *engines) all() map[Key]*reloads {
	if m := e.m.Load(); m != nil {
		return *m
	}
	return nil
}

// of returns the reloads of an engine. isNew says that it was not known; others may have
// been dropped for it.
func (e *engines) of(k Key) (r *reloads, isNew, dropped bool) {
	if r = e.all()[k]; r != nil {
		return r, false, false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if r = e.all()[k]; r != nil {
		return r, false, false
	}
	m := maps.Clone(e.all())
	if m == nil || len(m) >= maxEngines {
		dropped = m != nil
		m = map[Key]*reloads{}
	}
	r = &reloads{}
	m[k] = r
	e.m.Store(&m)
	return r, true, dropped
}

// LastReload returns the last reload of an engine that this host knows. Its number is part of
// the keys of results. The result is false until the store was asked, if it answers at all.
// A reload that another host has seen is known within a few seconds.
func (c *Cache) LastReload(engine Key) (last Reload, ok bool) {
	if c.isOff() || c.shared == nil {
		return Reload{}, true
	}
	if last := c.reloadsOf(engine).last.Load(); last != nil {
		return *last, true
	}
	// Without the store there are only results of this process.
	isDown, _, _, _ := c.shared.breaker.state()
	return Reload{}, isDown
}

// AddReload records that an engine may have loaded signatures. Soon after that no host uses
// results given before, except those whose store does not answer. It does not wait.
func (c *Cache) AddReload(engine Key) {
	if !c.isOff() && c.shared != nil {
		c.reloadsOf(engine).seen.Add(1)
		c.shared.readSoon()
	}
}

func (c *Cache) reloadsOf(engine Key) *reloads {
	r, isNew, dropped := c.shared.engines.of(engine)
	if dropped {
		c.forget() // it may have results under numbers that are not known any more
	}
	if isNew {
		c.shared.readSoon()
	}
	return r
}

// readSoon makes watch read the numbers soon, if the store answers.
func (s *shared) readSoon() {
	select {
	case s.soon <- struct{}{}:
	default:
	}
}

// engineNames are the keys in the store for engines.
func engineNames(all map[Key]*reloads) (list []Key, names []string) {
	for k := range all {
		list, names = append(list, k), append(names, reloadPrefix+base64.RawURLEncoding.EncodeToString(k[:]))
	}
	return list, names
}

// takeReloads takes over the numbers of engines that the store has, and writes those of
// reloads on this host. It is called by watch alone.
func (s *shared) takeReloads(ctx context.Context, all map[Key]*reloads, list []Key, names []string, values [][]byte) {
	var write []Value
	var numbers, seen []uint64
	var of []*reloads
	for i, k := range list {
		r := all[k]
		read, ok := uint64(0), true
		if len(values[i]) > 0 {
			if read, ok = s.signer.openReload(k, values[i]); !ok {
				s.reject(1)
			}
		}
		r.raise(read, s.now())
		number, now := r.number(), r.seen.Load()
		switch {
		case now != r.wrote:
			number = max(uint64(s.now().UnixMilli()), number+1)
		case read >= number:
			continue
		}
		write = append(write, Value{Key: names[i], Data: s.signer.sealReload(k, number), TTL: maxTTL})
		numbers, seen, of = append(numbers, number), append(seen, now), append(of, r)
	}
	if len(write) == 0 {
		return
	}
	if _, err := s.store.Put(ctx, write); err != nil {
		s.reloadsUnwritten(err) // next time
		return
	}
	for i, r := range of {
		r.raise(numbers[i], s.now())
		r.wrote = seen[i]
	}
}

// reloadsUnwritten logs that other hosts do not get to know of a reload.
func (s *shared) reloadsUnwritten(err error) {
	reason, _ := textOf(err)
	if suppressed, ok := s.lines.Allow(noClient, "reload "+reason); ok {
		s.warn(err).Int("suppressed", suppressed).Msg("shared cache does not accept a reload, other hosts use older results until cache_ttl")
	}
}
