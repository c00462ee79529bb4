package proxy

import (
	"slices"
	"sync"
	"sync/atomic"

	"polyclam/proxy/engine"
)

// A generation is one load of the configuration. Its users are the commands that began with
// it. They keep it in use, and with it the engines that later generations no longer have.
type generation struct {
	cfg   *Config
	users int
	gone  []*engine.Engine // engines that the next generation does not have
}

// generations are the configurations in use.
type generations struct {
	current atomic.Pointer[Config] // of the newest generation

	mu     sync.Mutex
	inUse  []*generation        // the oldest first
	former map[string]*Listener // by address: listeners that a reload has removed
}

// config returns the newest configuration.
func (gs *generations) config() *Config { return gs.current.Load() }

// add makes cfg the newest configuration. gone are the engines of the one before that
// cfg does not have.
func (gs *generations) add(cfg *Config, gone []*engine.Engine) {
	gs.mu.Lock()
	if n := len(gs.inUse); n > 0 {
		old := gs.inUse[n-1]
		old.gone = gone
		for i := range old.cfg.Listeners {
			l := &old.cfg.Listeners[i]
			gs.former[l.Address] = l
		}
	}
	gs.inUse = append(gs.inUse, &generation{cfg: cfg})
	gs.current.Store(cfg)
	unused := gs.dropUnused()
	gs.mu.Unlock()
	closeAll(unused)
}

// listener returns the listener of an address, or nil. It also finds one that a reload
// has removed: clients may come until its socket is closed.
func (gs *generations) listener(address string) *Listener {
	if l := gs.config().listener(address); l != nil {
		return l
	}
	gs.mu.Lock()
	defer gs.mu.Unlock()
	return gs.former[address]
}

// hold returns the newest generation for a command that begins. The command releases it.
func (gs *generations) hold() *generation {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	g := gs.inUse[len(gs.inUse)-1]
	g.users++
	return g
}

// retain adds a user to a generation that is held.
func (gs *generations) retain(g *generation) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	g.users++
}

func (gs *generations) release(g *generation) {
	gs.mu.Lock()
	g.users--
	unused := gs.dropUnused()
	gs.mu.Unlock()
	closeAll(unused)
}

// dropUnused drops the oldest generations that have no users, and returns the engines that
// are no longer used. A generation in use also keeps all later ones, because each may have
// handed its engines on to the next. The caller holds mu.
func (gs *generations) dropUnused() (gone []*engine.Engine) {
	for len(gs.inUse) > 1 && gs.inUse[0].users == 0 {
		gone = append(gone, gs.inUse[0].gone...)
		gs.inUse = slices.Delete(gs.inUse, 0, 1)
	}
	return gone
}

func closeAll(engines []*engine.Engine) {
	for _, e := range engines {
		e.Close()
	}
}
