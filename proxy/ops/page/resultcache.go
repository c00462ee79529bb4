package page

import (
	"cmp"
	"fmt"

	"polyclam/proxy"
	results "polyclam/proxy/cache"
	"polyclam/proxy/ops/human"
	"polyclam/proxy/record"
)

// A cacheView is the part about the cache of results.
type cacheView struct {
	On    bool
	Rows  []cacheRow
	Facts []cacheFact
}

// A cacheRow is what the cache did for one engine.
type cacheRow struct {
	Engine                                    cut
	Share                                     string // of the results that can be cached
	Memory, Shared, Joined, Scanned, Uncached string
	Zero                                      bool // nothing came from the cache
}

// A cacheFact is a line about a store.
type cacheFact struct {
	Name         string
	Badge, Class string
	Text, Detail cut
	DetailClass  string
}

func newCacheView(s *proxy.Snapshot) cacheView {
	v := cacheView{On: s.Cache.On()}
	if !v.On {
		return v
	}
	for i := range s.Engines {
		e := &s.Engines[i]
		c := &e.Cache
		v.Rows = append(v.Rows, cacheRow{
			Engine: shown(e.Name, maxName), Share: human.Percent(c.Hits(), c.Hits()+c.Misses), Zero: c.Hits() == 0,
			Memory: number(c.Memory), Shared: number(c.Shared), Joined: number(c.Joined), Scanned: number(c.Misses), Uncached: number(c.NotCacheable),
		})
	}
	v.Facts = append(v.Facts, memoryFact(&s.Cache.Memory), pendingFact(&s.Cache.Pending))
	if s.Cache.Shared == nil {
		v.Facts = append(v.Facts, cacheFact{Name: "Shared store", Text: cut{Text: "none configured"}})
		return v
	}
	v.Facts = append(v.Facts, sharedFacts(s.Cache.Shared)...)
	return v
}

func memoryFact(m *results.MemoryStats) cacheFact {
	f := cacheFact{Name: "Memory", Text: cut{Text: "off"}}
	if m.Limit > 0 {
		f.Text.Text = fmt.Sprintf("%s results, %s of %s", number(m.Entries), human.Size(m.Bytes), human.Size(m.Limit))
		f.Detail.Text = fmt.Sprintf("%s added, %s removed for lack of room", number(m.Added), number(m.Evicted))
	}
	return f
}

func pendingFact(p *results.PendingStats) cacheFact {
	return cacheFact{
		Name: "Waiting for a health check", Text: cut{Text: number(p.Waiting)},
		Detail: cut{Text: fmt.Sprintf("%s confirmed, %s dropped", number(p.Confirmed), number(p.Dropped))},
	}
}

func sharedFacts(s *results.SharedStats) []cacheFact {
	state := cacheFact{Name: "Shared store", Badge: shown(cmp.Or(s.State, "no state"), maxName).Text, Class: warn, Text: shown(s.Address, maxName)}
	if s.State == "up" {
		state.Class = good
	}
	if s.Reason != "" {
		state.Detail, state.DetailClass = shown(s.Reason, maxReason), warn
		if s.State == "up" {
			state.Class = warn
		}
	}
	rejected := cacheFact{Name: "Values rejected", Text: cut{Text: number(s.Forged)}}
	if s.Forged > 0 {
		rejected.Badge, rejected.Class, rejected.Text.Text = number(s.Forged), bad, ""
		rejected.Detail = cut{Text: "not genuine, damaged or too old; they were ignored"}
	}
	facts := []cacheFact{state}
	if s.Hint != "" {
		facts = append(facts, cacheFact{Name: "What to do", Text: shown(s.Hint, maxNote)})
	}
	return append(facts, []cacheFact{
		{Name: "Shared store asked", Text: cut{Text: fmt.Sprintf("%s hits, %s misses", number(s.Hits), number(s.Misses))},
			Detail: cut{Text: fmt.Sprintf("%s late, %s failed, %s not asked", number(s.Late), number(s.Failed), number(s.Skipped))}},
		{Name: "Shared store written", Text: cut{Text: number(s.Added)}, Detail: cut{Text: number(s.Dropped) + " writes lost"}},
		rejected,
	}...)
}

// cacheNote returns what an operator should know about the cache, or "".
func cacheNote(s *proxy.Snapshot) string {
	shared := s.Cache.Shared
	switch {
	case shared == nil || shared.State == "up" && shared.Reason == "":
		return ""
	case shared.State == "up":
		return "the shared store of the cache answers, but not completely: " + shared.Reason
	}
	return "the shared store of the cache is " + cmp.Or(shared.State, "in no known state") + ", so objects are scanned that other hosts have scanned: " + cmp.Or(shared.Reason, "no reason given")
}

// fromCache says where the result that decided a verdict came from if its engine was not
// asked, or "".
func fromCache(s *record.Scan) string {
	for i := range s.Engines {
		if e := &s.Engines[i]; e.Engine == s.Engine {
			return shown(human.FromCache(e.Cached, e.CachedAge), maxReason).Text
		}
	}
	return ""
}
