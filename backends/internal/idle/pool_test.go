package idle

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// stub is a fake connection.
type stub struct {
	n           int
	dead, ended bool
}

func newPool() *Pool[*stub] {
	return &Pool[*stub]{
		IdleLimit: time.Minute,
		Alive:     func(s *stub) bool { return !s.dead },
		Discard:   func(s *stub) { s.ended = true },
	}
}

func TestLastUsedFirst(t *testing.T) {
	p := newPool()
	stubs := []*stub{{n: 0}, {n: 1}, {n: 2}}
	for _, s := range stubs {
		p.Put(s)
	}
	stubs[2].dead = true
	c, ok := p.Take(t.Context())
	if !ok || c.n != 1 || !stubs[2].ended || p.Len() != 1 {
		t.Errorf("took %+v, %v; %+v; %d left", c, ok, stubs[2], p.Len())
	}
}

func TestLimits(t *testing.T) {
	p := newPool()
	p.MaxIdle = 1
	if !p.Put(&stub{}) || p.Put(&stub{}) {
		t.Error("want exactly one connection kept")
	}
	off := newPool()
	off.Disabled = true
	if off.Put(&stub{}) {
		t.Error("a pool that is off keeps a connection")
	}
	closed := newPool()
	s := &stub{}
	closed.Put(s)
	closed.Close(func(s *stub) { s.n = 7 })
	if s.n != 7 || closed.Put(&stub{}) {
		t.Error("a closed pool keeps a connection")
	}
}

// TestRest checks that a connection is not taken before it has rested, but an older one
// is.
func TestRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool()
		p.Cooldown = 100 * time.Millisecond
		p.Put(&stub{n: 1})
		if c, ok := p.Take(t.Context()); ok {
			t.Errorf("took %+v without a rest", c)
		}
		time.Sleep(60 * time.Millisecond)
		p.Put(&stub{n: 2})
		time.Sleep(60 * time.Millisecond)
		if c, ok := p.Take(t.Context()); !ok || c.n != 1 || p.Len() != 1 {
			t.Errorf("took %+v, %v, %d left", c, ok, p.Len())
		}
		time.Sleep(60 * time.Millisecond)
		if c, ok := p.Take(t.Context()); !ok || c.n != 2 || p.Len() != 0 {
			t.Errorf("took %+v, %v, %d left", c, ok, p.Len())
		}
		p.Close(func(*stub) {})
	})
}

// TestExpire checks that each connection is closed by the timer when it has expired.
func TestExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool()
		old, fresh := &stub{}, &stub{}
		p.Put(old)
		time.Sleep(30 * time.Second)
		p.Put(fresh)
		time.Sleep(31 * time.Second)
		synctest.Wait()
		if got := []bool{old.ended, fresh.ended}; !slices.Equal(got, []bool{true, false}) || p.Len() != 1 {
			t.Errorf("ended: %v, %d left", got, p.Len())
		}
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if !fresh.ended || p.Len() != 0 || p.armed {
			t.Errorf("%+v, %d left, timer %v", fresh, p.Len(), p.armed)
		}
	})
}
