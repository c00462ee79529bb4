package backendtest

import (
	"strings"
	"sync"
	"testing"
)

// maxTogether limits how many tests of a group run at the same time.
const maxTogether = 16

// A Group is a group of concurrent tests, see [Together].
type Group struct {
	t     *testing.T
	slots chan struct{}
	wg    sync.WaitGroup
	leave func()
}

// Together starts a group of tests that mostly wait; t.Parallel would run only one per
// core. Call [Group.Wait] before t ends. The group is checked for leaks when t has
// ended, and [NoLeaks] in one of its tests has no effect.
func Together(t *testing.T) *Group {
	t.Helper()
	NoLeaks(t)
	return &Group{t: t, slots: make(chan struct{}, maxTogether), leave: enterGroup(t.Name())}
}

// Wait waits for the tests of the group.
func (g *Group) Wait() {
	g.wg.Wait()
	g.leave()
}

// Run adds a subtest.
func (g *Group) Run(name string, f func(t *testing.T)) {
	g.Go(func() { g.t.Run(name, f) })
}

// Go adds a function that is not a subtest. It must not call t.Fatal.
func (g *Group) Go(f func()) {
	g.wg.Go(func() {
		g.slots <- struct{}{}
		defer func() { <-g.slots }()
		f()
	})
}

// groups counts the running groups by the names of their tests.
var groups = struct {
	sync.Mutex
	running map[string]int
}{running: map[string]int{}}

func enterGroup(name string) (leave func()) {
	groups.Lock()
	defer groups.Unlock()
	groups.running[name]++
	return func() {
		groups.Lock()
		defer groups.Unlock()
		if groups.running[name]--; groups.running[name] == 0 {
			delete(groups.running, name)
		}
	}
}

// inGroup reports whether the test runs in a group.
func inGroup(name string) bool {
	groups.Lock()
	defer groups.Unlock()
	for group := range groups.running {
		if name == group || strings.HasPrefix(name, group+"/") {
			return true
		}
	}
	return false
}
