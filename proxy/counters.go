package proxy

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"polyclam/backends"
	"polyclam/protocol"
	"polyclam/proxy/count"
	"polyclam/proxy/policy"
)

// scanVerbs are the commands that scan.
var scanVerbs = [...]protocol.Verb{
	protocol.VerbInstream, protocol.VerbXInstream, protocol.VerbStream, protocol.VerbFildes, protocol.VerbXFildes,
	protocol.VerbScan, protocol.VerbXScan, protocol.VerbContScan, protocol.VerbXContScan, protocol.VerbMultiScan, protocol.VerbAllMatchScan,
}

// actions are all actions.
var actions = [...]policy.Action{policy.OK, policy.Quarantine, policy.Tempfail}

// listenerCounts count the objects that one listener's clients had scanned. A connection
// finds those of its listener once, without a lock; to count a scan is three atomic
// additions.
type listenerCounts struct {
	address string
	scans   [len(scanVerbs)][len(actions)]count.Categories
	times   count.Times
	policy  atomic.Pointer[policy.Policy]
	round   uint64 // of the last configuration with the listener; guarded by counters.mu
}

// add counts one answered object. elapsed is from the complete object to its verdict.
func (c *listenerCounts) add(verb protocol.Verb, v policy.Verdict, size int64, elapsed time.Duration) {
	i, j := slices.Index(scanVerbs[:], verb), slices.Index(actions[:], v.Action)
	if i < 0 || j < 0 {
		return // there are no others
	}
	c.scans[i][j].Add(v.Category)
	c.times.Observe(size, elapsed)
}

// removedListeners is how many listeners the counters remember that are no longer
// configured. It bounds the memory of a daemon that is reloaded with ever new addresses.
const removedListeners = 16

// counters are the counters of all listeners. Reloads do not reset them.
type counters struct {
	listeners atomic.Pointer[map[string]*listenerCounts] // by address; a map does not change
	applied   atomic.Int64                               // when the last configuration was, in nanoseconds since 1970

	mu    sync.Mutex // held to replace listeners
	round uint64     // counts configurations
}

// load returns the listeners, for reading only.
func (cs *counters) load() map[string]*listenerCounts {
	if m := cs.listeners.Load(); m != nil {
		return *m
	}
	return nil
}

// of returns the counters of a listener.
func (cs *counters) of(address string) *listenerCounts {
	if c := cs.load()[address]; c != nil {
		return c
	}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	m := cs.clone()
	c := cs.add(m, address)
	cs.listeners.Store(&m)
	return c
}

func (cs *counters) clone() map[string]*listenerCounts {
	m := map[string]*listenerCounts{}
	maps.Copy(m, cs.load())
	return m
}

// add returns the counters of an address in m, where it adds them if they are missing. The
// caller holds mu.
func (cs *counters) add(m map[string]*listenerCounts, address string) *listenerCounts {
	c := m[address]
	if c == nil {
		c = &listenerCounts{address: address, round: cs.round}
		m[address] = c
	}
	return c
}

// apply notes the listeners of a new configuration, and forgets those that were removed
// first if there are too many.
func (cs *counters) apply(cfg *Config, now time.Time) {
	cs.applied.Store(now.UnixNano())
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.round++
	m := cs.clone()
	for i := range cfg.Listeners {
		c := cs.add(m, cfg.Listeners[i].Address)
		c.round = cs.round
		c.policy.Store(cfg.Listeners[i].Policy)
	}
	var removed []*listenerCounts
	for _, c := range m {
		if c.round != cs.round {
			removed = append(removed, c)
		}
	}
	slices.SortFunc(removed, func(a, b *listenerCounts) int { return int(b.round) - int(a.round) })
	for _, c := range removed[min(len(removed), removedListeners):] {
		delete(m, c.address)
	}
	cs.listeners.Store(&m)
}

// list returns the counters by address.
func (cs *counters) list() []*listenerCounts {
	return slices.SortedFunc(maps.Values(cs.load()), func(a, b *listenerCounts) int { return strings.Compare(a.address, b.address) })
}

// counts returns what has occurred, ordered by command, action and category, and what has not
// but is expected, see [Snapshot].
func (c *listenerCounts) counts() (scans, expected []ScanCount) {
	p := c.policy.Load()
	for i, verb := range scanVerbs {
		var never []ScanCount
		used := verb == protocol.VerbInstream
		for j, action := range actions {
			for category, n := range c.scans[i][j].Value().All() {
				s := ScanCount{Listener: c.address, Command: verb, Category: category, Action: action, Count: n}
				switch {
				case n > 0:
					scans, used = append(scans, s), true
				case p != nil && p.Actions[category] == action:
					never = append(never, s)
				}
			}
		}
		if used {
			expected = append(expected, never...)
		}
	}
	return scans, expected
}

// A ScanCount counts the scans with one outcome.
type ScanCount struct {
	Listener string            `json:"listener"` // its address in the configuration
	Command  protocol.Verb     `json:"command"`
	Category backends.Category `json:"category"`
	Action   policy.Action     `json:"action"`
	Count    uint64            `json:"count"`
}

// ScanTimes are how long the scans of one listener took, from the complete object to its
// verdict, by the size of the object.
type ScanTimes struct {
	Listener string
	Times    [count.Classes]count.Value
}
