package client

import (
	"math"
	"testing"
)

func TestWithin(t *testing.T) {
	for _, test := range []struct {
		held, others, n, total int64
		percent                int
		want                   bool
	}{
		{0, 0, 1, 1, 75, true},      // the first one, however small the share
		{0, 1, 1, 1, 75, false},     // no room
		{74, 0, 1, 100, 75, true},   // a single client
		{75, 0, 1, 100, 75, false},  //
		{42, 42, 1, 100, 75, true},  // two equal clients: 43 of the 58 that the other leaves
		{43, 43, 1, 100, 75, false}, //
		{18, 75, 1, 100, 75, false}, // the other has taken its whole share
		{17, 75, 1, 100, 75, true},
		{99, 0, 1, 100, 100, true}, // no shares
		{99, 0, 1, 100, 0, true},
		{100, 0, 1, 100, 0, false},
		{0, 90, 20, 100, 75, false},
		{1, 0, 1 << 40, math.MaxInt64, 75, true},
	} {
		if got := Within(test.held, test.others, test.n, test.total, test.percent); got != test.want {
			t.Errorf("%+v: %v", test, got)
		}
	}
}

// TestGreedyClients checks that greedy clients always leave something for the next.
func TestGreedyClients(t *testing.T) {
	const total = 1000
	var s Shares
	for i := range uint32(100) {
		k := User(i)
		if !s.Take(k, 1, total, 75) {
			t.Fatalf("client %d gets nothing while the others hold %d of %d", i, s.Sum(), total)
		}
		for s.Take(k, 1, total, 75) {
		}
		if i == 0 && s.Held(k) != 750 {
			t.Errorf("a single client holds %d, want 750", s.Held(k))
		}
		if i == 1 && s.Held(k) != 187 {
			t.Errorf("the second holds %d, want 187", s.Held(k))
		}
		if s.Sum() >= total {
			return // each client has got one
		}
	}
}

func TestGive(t *testing.T) {
	var s Shares
	a, b := User(1), User(2)
	for s.Take(a, 1, 8, 75) {
	}
	if s.Held(a) != 6 || s.Sum() != 6 {
		t.Errorf("held %d of %d, want 6 of 6", s.Held(a), s.Sum())
	}
	if !s.Take(b, 1, 8, 75) || s.Take(b, 1, 8, 75) {
		t.Error("want one of the last two for another client")
	}
	s.Give(a, 6)
	s.Give(b, 1)
	if s.Sum() != 0 || len(s.held) != 0 {
		t.Errorf("left over: %+v", s)
	}
	for range 8 {
		if !s.Take(Key{}, 1, 8, 75) {
			t.Error("the daemon itself is limited to a share")
		}
	}
	if s.Take(Key{}, 1, 8, 75) {
		t.Error("took more than the total")
	}
}
