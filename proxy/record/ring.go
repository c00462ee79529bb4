package record

import (
	"hash/maphash"
	"strings"
	"sync"
	"time"
	"unsafe"

	"polyclam/proxy/client"
)

// A Ring holds the most recent records. Those that are not ok have one half of it, so that
// many clean objects do not push them out, and in each half one client does not push out
// more than half of the records of the others. It is bounded by a number of bytes. It is
// safe for concurrent use.
type Ring struct {
	seed maphash.Seed

	mu     sync.Mutex
	serial uint64 // of the newest entry
	halves [2]half
	index  [keys]map[uint64]chain // by the hash of a key
}

// A half holds the records that are ok, or those that are not.
type half struct {
	all     chain
	clients map[client.Key]*owner
	bytes   int64
	limit   int64
	dropped time.Time // of the newest record that was dropped
}

// An owner is a client with records in a half.
type owner struct {
	chain
	bytes int64
}

// The kinds of keys of a record.
const (
	byID = iota
	byTag
	bySHA256
	keys
)

// shaPrefix is how many digits of a SHA-256 are enough to find a record.
const shaPrefix = 8

const (
	okHalf = iota
	notOKHalf
)

// An entry is a record in a Ring, in up to five chains.
type entry struct {
	scan   *Scan
	serial uint64 // grows with each record
	client client.Key
	half   int
	cost   int64 // 0: it was dropped
	links  [hooks]link
}

// The chains of an entry. The first ones are those of its keys.
const (
	inHalf   = keys
	ofClient = keys + 1
	hooks    = keys + 2
)

// keyCost is more than an entry of the index takes: maps keep some of their room free.
const keyCost = 96

// entryCost is the cost of an entry without its record, if its client has no other.
const entryCost = int64(unsafe.Sizeof(entry{})) + keys*keyCost + int64(unsafe.Sizeof(owner{})+unsafe.Sizeof(client.Key{})) + keyCost

// NewRing returns a ring that holds at most this many bytes.
func NewRing(bytes int64) *Ring {
	r := &Ring{seed: maphash.MakeSeed()}
	for i := range r.halves {
		r.halves[i] = half{clients: map[client.Key]*owner{}, limit: bytes / 2}
	}
	for k := range r.index {
		r.index[k] = map[uint64]chain{}
	}
	return r
}

// An Added is a record in a Ring whose SHA-256 may come later.
type Added struct {
	ring  *Ring
	entry *entry
}

// Add adds a copy of a record of client k, with long texts cut, and drops old ones if there
// is no room. A record that needs more than half of the room is not added.
func (r *Ring) Add(k client.Key, s *Scan) Added {
	scan, cost := compact(s)
	e := &entry{scan: scan, client: k, half: notOKHalf, cost: cost + entryCost}
	if scan.OK() {
		e.half = okHalf
	}
	hashes := r.hashes(scan)
	r.mu.Lock()
	defer r.mu.Unlock()
	h := &r.halves[e.half]
	if e.cost > h.limit/2 {
		e.cost = 0
		return Added{r, e}
	}
	for h.bytes+e.cost > h.limit {
		r.drop(h.victim(k))
	}
	r.serial++
	e.serial = r.serial
	h.add(e)
	for kind, hash := range hashes {
		r.link(e, kind, hash)
	}
	return Added{r, e}
}

// SetSHA256 adds the SHA-256 of the object to the record, if that is still there.
func (a Added) SetSHA256(sum string) {
	r, e := a.ring, a.entry
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.cost == 0 || e.scan.SHA256 != "" || len(sum) != 64 {
		return
	}
	scan := *e.scan // others may be reading the old one
	scan.SHA256 = strings.Clone(sum)
	e.scan = &scan
	h := &r.halves[e.half]
	more := sizeClass(len(sum))
	e.cost += more
	h.bytes += more
	h.clients[e.client].bytes += more
	r.link(e, bySHA256, r.hashes(&scan)[bySHA256])
	for h.bytes > h.limit {
		r.drop(h.victim(e.client))
	}
}

// hashes returns the hashes of the keys of a record; 0: it has no such key.
func (r *Ring) hashes(s *Scan) (out [keys]uint64) {
	out[byID], out[byTag] = r.hash(s.ID), r.hash(s.Tag)
	if len(s.SHA256) >= shaPrefix {
		out[bySHA256] = r.hash(s.SHA256[:shaPrefix])
	}
	return out
}

func (r *Ring) hash(key string) uint64 {
	if key == "" {
		return 0
	}
	return max(1, maphash.String(r.seed, key))
}

// link puts e into the index.
func (r *Ring) link(e *entry, kind int, hash uint64) {
	if hash == 0 {
		return
	}
	c := r.index[kind][hash]
	c.push(e, kind)
	r.index[kind][hash] = c
}

// drop removes e.
func (r *Ring) drop(e *entry) {
	for kind, hash := range r.hashes(e.scan) {
		if hash == 0 {
			continue
		}
		c := r.index[kind][hash]
		c.remove(e, kind)
		if c.newest == nil {
			delete(r.index[kind], hash)
		} else {
			r.index[kind][hash] = c
		}
	}
	r.halves[e.half].remove(e)
}

// victim returns the entry to drop for one of client k: its own oldest if it holds more than
// half of the room, or else the oldest of all.
func (h *half) victim(k client.Key) *entry {
	if o := h.clients[k]; o != nil && o.bytes > h.limit/2 {
		return o.oldest
	}
	return h.all.oldest
}

func (h *half) add(e *entry) {
	o := h.clients[e.client]
	if o == nil {
		o = &owner{}
		h.clients[e.client] = o
	}
	h.all.push(e, inHalf)
	o.push(e, ofClient)
	h.bytes += e.cost
	o.bytes += e.cost
}

func (h *half) remove(e *entry) {
	o := h.clients[e.client]
	h.all.remove(e, inHalf)
	o.remove(e, ofClient)
	h.bytes -= e.cost
	if o.bytes -= e.cost; o.newest == nil {
		delete(h.clients, e.client)
	}
	if e.scan.Time.After(h.dropped) {
		h.dropped = e.scan.Time
	}
	e.cost = 0
}
