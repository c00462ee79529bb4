package proxy

import (
	"context"
	"testing"

	"polyclam/proxy/client"
)

func TestDescriptorsFit(t *testing.T) {
	for _, test := range []struct {
		limits               Limits
		n                    int
		connections, waiting int
	}{
		{Limits{Connections: 20000, SessionScans: 16, DirectoryDepth: 15, Waiting: 4096}, 100000, 20000, 4096},
		{Limits{Connections: 20000, SessionScans: 16, DirectoryDepth: 15, Waiting: 4096}, 43750, 20000, 1250},
		{Limits{Connections: 20000, SessionScans: 16, DirectoryDepth: 15, Waiting: 4096}, 559, 197, 16},
		{Limits{Connections: 10, SessionScans: 16, DirectoryDepth: 15, Waiting: 4096}, 192, 10, 16},
		{Limits{Connections: 20000, SessionScans: 16, DirectoryDepth: 15, Waiting: 0}, 559, 205, 0},
		{Limits{Connections: 20000, SessionScans: 16, DirectoryDepth: 15, Waiting: 4096}, 1, 1, 16},
	} {
		got := test.limits.Fit(test.n)
		if got.Connections != test.connections || got.Waiting != test.waiting {
			t.Errorf("%+v in %d descriptors: %d connections, %d wait; want %d, %d",
				test.limits, test.n, got.Connections, got.Waiting, test.connections, test.waiting)
		}
		if got.Connections > 1 && got.Descriptors() > test.n {
			t.Errorf("%+v: %d descriptors do not fit in %d", got, got.Descriptors(), test.n)
		}
	}
}

// lineOf is how many wait in o.
func lineOf(o *objects) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := 0
	for e := o.ring.Front(); e != nil; e = e.Next() {
		n += e.Value.(*objectQueue).waiting.Len()
	}
	return n
}

// Objects of sessions are shared out between clients, and a session always has one.
func TestObjects(t *testing.T) {
	o := &objects{limits: func() Limits { return Limits{SessionScans: 8, ClientShare: 75} }, total: Limits.SessionObjects}
	var hogs []*allowance
	var releases []func()
	for range 10 {
		a := newAllowance(o, client.User(1))
		hogs = append(hogs, a)
		releases = append(releases, a.take(t.Context())) // its own
	}
	for range 6 { // three quarters of 8
		releases = append(releases, hogs[0].take(t.Context()))
	}
	ctx, cancel := context.WithCancel(t.Context())
	waits := make(chan func())
	go func() { waits <- hogs[1].take(ctx) }()
	eventually(t, "it waits", func() bool { return lineOf(o) == 1 })
	other := newAllowance(o, client.User(2))
	for range 2 { // its own, and one of those that are left
		releases = append(releases, other.take(t.Context()))
	}
	releases[1]() // its own place is free again
	releases[1] = <-waits
	go func() { waits <- hogs[2].take(ctx) }()
	eventually(t, "it waits", func() bool { return lineOf(o) == 1 })
	cancel()
	if <-waits != nil {
		t.Error("a place after the end of the context")
	}
	for _, release := range releases {
		release()
	}
	if o.held.Sum() != 0 || lineOf(o) != 0 {
		t.Errorf("%d places and %d waiters are left", o.held.Sum(), lineOf(o))
	}
	for _, a := range append(hogs, other) {
		if len(a.own) != 1 {
			t.Error("a session has lost its own place")
		}
	}
}
