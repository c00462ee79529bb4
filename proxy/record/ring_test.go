package record

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/proxy/client"
)

func host(n int) client.Key {
	return client.Host(netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}))
}

func sum(n int) string { return fmt.Sprintf("%08x%056x", uint32(n)*2654435761, n) }

// scan returns a record that is ok for even n.
func scan(n int) *Scan {
	s := &Scan{
		ID: fmt.Sprintf("id-%d", n), Tag: fmt.Sprintf("tag-%d", n/3), Time: time.Unix(int64(n), 0),
		Client: "10.0.0.1:1", Listener: "tcp:127.0.0.1:3310", Command: "INSTREAM", Object: "stream", SHA256: sum(n),
		Category: backends.OK, Action: "ok",
		Engines: []Engine{{Engine: "clamav", Category: backends.OK, Counts: true}},
	}
	if n%2 == 1 {
		s.Category, s.Action = backends.Virus, "quarantine"
	}
	return s
}

func ids(scans []*Scan) string {
	var out []string
	for _, s := range scans {
		out = append(out, s.ID)
	}
	return strings.Join(out, " ")
}

func TestFind(t *testing.T) {
	r := NewRing(1 << 20)
	for n := range 10 {
		r.Add(host(0), scan(n))
	}
	r.Add(host(0), &Scan{ID: "x", Tag: sum(4), NotScanned: "spool"}) // a tag that looks like a hash
	for _, tt := range []struct {
		key  string
		max  int
		want string
	}{
		{"id-3", 9, "id-3"},
		{"tag-1", 9, "id-5 id-4 id-3"},
		{"tag-1", 2, "id-5 id-4"},
		{sum(4), 9, "x id-4"},
		{strings.ToUpper(sum(5)), 9, "id-5"},
		{sum(5)[:8], 9, "id-5"},
		{sum(5)[:30], 9, "id-5"},
		{sum(5)[:7], 9, ""},
		{sum(5)[:63] + "f", 9, ""},
		{sum(5) + "0", 9, ""},
		{"", 9, ""},
		{"ID-3", 9, ""},
		{"id-3", 0, ""},
	} {
		if got := ids(r.Find(tt.key, tt.max)); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.key, got, tt.want)
		}
	}
	if got := ids(r.NotOK(3)); got != "x id-9 id-7" {
		t.Errorf("not ok: %s", got)
	}
}

// TestLateHash checks that a hash that comes late finds the record, in the order of the
// records, and that readers of the record do not see it change.
func TestLateHash(t *testing.T) {
	r := NewRing(1 << 20)
	var late []Added
	for _, id := range []string{"a", "b", "c"} {
		late = append(late, r.Add(host(0), &Scan{ID: id, NotScanned: "x"}))
	}
	before := r.Find("a", 1)[0]
	for _, i := range []int{2, 0, 1} {
		late[i].SetSHA256(sum(1))
	}
	late[0].SetSHA256(sum(2)) // it has one
	if got := ids(r.Find(sum(1), 9)); got != "c b a" {
		t.Errorf("got %s", got)
	}
	if got := ids(r.Find(sum(1), 1)); got != "c" {
		t.Errorf("the newest is %s", got)
	}
	if before.SHA256 != "" {
		t.Error("a record changed")
	}
	r.check(t)
}

// TestFloods checks that neither clean objects nor one client push out what an operator
// looks for.
func TestFloods(t *testing.T) {
	r := NewRing(64 << 10)
	r.Add(host(1), &Scan{ID: "mine", NotScanned: "x"})
	for n := range 2000 {
		r.Add(host(1), scan(2*n)) // ok, and of the same client
	}
	if ids(r.Find("mine", 1)) == "" {
		t.Error("clean objects pushed out a record that is not ok")
	}
	for n := range 2000 {
		r.Add(host(2), scan(2*n+1))
	}
	if ids(r.Find("mine", 1)) == "" {
		t.Error("one client pushed out a record of another one")
	}
	if held := r.halves[notOKHalf].bytes; held < 24<<10 {
		t.Errorf("one client has only %d bytes although there is room", held)
	}
	if ok, notOK := r.Since(); ok.IsZero() || notOK.IsZero() {
		t.Errorf("dropped until %v, %v", ok, notOK)
	}
	for n := range 2000 { // many clients together may
		r.Add(host(n), scan(2*n+1))
	}
	if ids(r.Find("mine", 1)) != "" {
		t.Error("an old record is still there")
	}
	r.check(t)
}

func TestSince(t *testing.T) {
	r := NewRing(64 << 10)
	r.Add(host(1), scan(0))
	if ok, notOK := r.Since(); !ok.IsZero() || !notOK.IsZero() {
		t.Errorf("nothing was dropped, got %v, %v", ok, notOK)
	}
	n := 0
	for ; ids(r.Find("id-0", 1)) != ""; n += 2 {
		r.Add(host(1), scan(n+2))
	}
	ok, notOK := r.Since()
	oldest := r.halves[okHalf].all.oldest.scan
	if !ok.Before(oldest.Time) || ok.Before(time.Unix(0, 0)) || !notOK.IsZero() {
		t.Errorf("got %v, %v; the oldest is of %v", ok, notOK, oldest.Time)
	}
}

// random returns a record with hostile sizes.
func random(rnd *rand.Rand) *Scan {
	s := scan(rnd.IntN(1000))
	text := func() string { return strings.Repeat("x", rnd.IntN(1+rnd.IntN(5000))) }
	list := func() (out []string) {
		for range rnd.IntN(40) {
			out = append(out, text())
		}
		return out
	}
	if rnd.IntN(4) == 0 {
		s.Object, s.Error, s.Reason, s.Names, s.Client, s.Reply = text(), text(), text(), list(), text(), text()
	}
	if rnd.IntN(4) == 0 {
		s.SHA256, s.Tag = "", ""
	}
	for range rnd.IntN(4) {
		e := Engine{Engine: "e", Node: text(), Category: backends.OK, Names: list(), Detail: text(), Error: text(), Cached: text(), CachedAge: time.Second}
		for range rnd.IntN(20) {
			e.Ruled = append(e.Ruled, Ruled{text(), backends.OK, "r"})
		}
		s.Engines = append(s.Engines, e)
	}
	return s
}

// check checks every invariant of the ring. It takes no lock.
func (r *Ring) check(t *testing.T) {
	t.Helper()
	var linked [keys]int
	for i := range r.halves {
		h := &r.halves[i]
		var bytes int64
		owners := map[client.Key]int64{}
		last := uint64(1 << 63)
		for e := h.all.newest; e != nil; e = e.links[inHalf].older {
			if e.serial >= last || e.half != i || e.scan.OK() != (i == okHalf) {
				t.Fatalf("record %d is out of place", e.serial)
			}
			last = e.serial
			_, cost := compact(e.scan)
			if e.cost != cost+entryCost {
				t.Fatalf("record %d costs %d, counted are %d", e.serial, cost+entryCost, e.cost)
			}
			bytes += e.cost
			owners[e.client] += e.cost
			for kind, hash := range r.hashes(e.scan) {
				if hash == 0 {
					continue
				}
				linked[kind]++
				c := r.index[kind][hash].newest
				for c != e && c != nil {
					c = c.links[kind].older
				}
				if c == nil {
					t.Fatalf("record %d is not in index %d", e.serial, kind)
				}
			}
		}
		if bytes != h.bytes || bytes > h.limit || len(owners) != len(h.clients) {
			t.Fatalf("half %d has %d bytes of %d and counts %d; %d clients, %d counted", i, bytes, h.limit, h.bytes, len(owners), len(h.clients))
		}
		for k, o := range h.clients {
			if o.bytes != owners[k] {
				t.Fatalf("%v has %d bytes, counted are %d", k, owners[k], o.bytes)
			}
		}
	}
	for kind := range r.index {
		n := 0
		for _, c := range r.index[kind] {
			for e := c.newest; e != nil; e = e.links[kind].older {
				if n++; e.cost == 0 {
					t.Fatalf("record %d was dropped and is in index %d", e.serial, kind)
				}
			}
		}
		if n != linked[kind] {
			t.Fatalf("index %d has %d records, want %d", kind, n, linked[kind])
		}
	}
}

// TestBounds adds records of random sizes, and some of their hashes later.
func TestBounds(t *testing.T) {
	for seed := range uint64(5) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		r := NewRing(int64(1+rnd.IntN(8)) << 15)
		var late []Added
		for n := range 700 {
			a := r.Add(host(rnd.IntN(1+rnd.IntN(20))), random(rnd))
			if late = append(late, a); rnd.IntN(2) == 0 {
				late[rnd.IntN(len(late))].SetSHA256(sum(rnd.IntN(1000)))
			}
			if n%50 == 0 {
				r.check(t)
			}
		}
		r.check(t)
	}
}

func TestTooLarge(t *testing.T) {
	r := NewRing(8 << 10)
	r.Add(host(1), scan(1))
	a := r.Add(host(1), &Scan{ID: "large", NotScanned: "x", Names: make([]string, 16), Engines: make([]Engine, 100)})
	a.SetSHA256(sum(1))
	if got := ids(r.NotOK(9)); got != "id-1" {
		t.Errorf("got %s", got)
	}
	NewRing(0).Add(host(1), scan(1))
	r.check(t)
}

// TestMemory checks that the ring takes no more memory than it counts, whatever comes.
func TestMemory(t *testing.T) {
	const limit = 8 << 20
	rnd := rand.New(rand.NewPCG(1, 1))
	for name, next := range map[string]func(n int) *Scan{
		"small": func(n int) *Scan {
			return &Scan{ID: fmt.Sprint(n), Tag: fmt.Sprint(n), SHA256: sum(n), NotScanned: "x"}
		},
		"usual":   scan,
		"hostile": func(int) *Scan { return random(rnd) },
	} {
		before := heap()
		r := NewRing(limit)
		for n := range 2000 {
			r.Add(host(n), next(n))
		}
		used := heap() - before
		r.check(t)
		t.Logf("%s: %d ok, %d not; %d KiB", name, len(r.halves[okHalf].clients), len(r.halves[notOKHalf].clients), used>>10)
		if used > limit {
			t.Errorf("%s: the ring takes %d bytes, the limit is %d", name, used, limit)
		}
		runtime.KeepAlive(r)
	}
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestConcurrent is for the race detector.
func TestConcurrent(t *testing.T) {
	r := NewRing(64 << 10)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for n := range 500 {
				a := r.Add(host(w), &Scan{ID: fmt.Sprint(n), Tag: "t", NotScanned: "x"})
				for _, s := range append(r.Find("t", 5), r.NotOK(5)...) {
					if s.SHA256 != "" && s.SHA256 != sum(1) {
						t.Errorf("got %s", s.SHA256)
					}
				}
				a.SetSHA256(sum(1))
				r.Since()
			}
		})
	}
	wg.Wait()
	r.check(t)
}

func BenchmarkAdd(b *testing.B) {
	s := scan(0)
	s.Engines = append(s.Engines, Engine{Engine: "sophos", Category: backends.OK, Counts: true})
	r := NewRing(8 << 20)
	b.ReportAllocs()
	for b.Loop() {
		r.Add(host(1), s)
	}
}

func BenchmarkAddParallel(b *testing.B) {
	s := scan(1)
	r := NewRing(8 << 20)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r.Add(host(1), s)
		}
	})
}

// TestCachedCounts checks that the origin of a result is bounded and counted.
func TestCachedCounts(t *testing.T) {
	cost := func(cached string) int64 {
		s, cost := compact(&Scan{Engines: []Engine{{Cached: cached}}})
		if len(s.Engines[0].Cached) > maxText {
			t.Errorf("%d bytes are kept", len(s.Engines[0].Cached))
		}
		return cost
	}
	if none, long := cost(""), cost(strings.Repeat("x", 5000)); long < none+maxText {
		t.Errorf("it costs %d bytes, and %d without", long, none)
	}
}
