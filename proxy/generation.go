package proxy

import (
	"slices"

	"polyclam/proxy/engine"
)

// A generation is one load of the configuration. Its users are the commands that began
// with it: they keep it, and with it engines that later loads do not have, until they
// are done.
type generation struct {
	cfg   *Config
	users int
	gone  []*engine.Engine // the next generation does not have them
}

// Apply makes cfg the configuration of every command that begins from now on. A command
// that has begun keeps the one it began with. Engines that are in both configurations
// keep what is known about them; the others of the old one are closed after the last
// command that may use them.
func (s *Server) Apply(cfg *Config) {
	var gone []*engine.Engine
	if old := s.cfg.Load(); old != nil {
		gone = slices.Clone(old.Engines)
	}
	for _, u := range cfg.Engines {
		i := slices.IndexFunc(gone, u.Succeed)
		if i < 0 {
			go u.Run(s.ctx)
			continue
		}
		gone = slices.Delete(gone, i, i+1)
	}
	s.files.SetLimit(cfg.Limits.FileThreads)
	s.mu.Lock()
	if n := len(s.generations); n > 0 {
		old := s.generations[n-1]
		old.gone = gone
		for i := range old.cfg.Listeners {
			l := &old.cfg.Listeners[i]
			s.former[l.Address] = l
		}
	}
	s.generations = append(s.generations, &generation{cfg: cfg})
	s.cfg.Store(cfg)
	unused := s.unused()
	if !s.closing {
		s.fillRoom()
	}
	s.room.Broadcast()
	s.mu.Unlock()
	closeAll(unused)
}

// listener returns the listener of an address, or nil. One that a reload has removed is
// found, too: clients may come until its socket is closed.
func (s *Server) listener(address string) *Listener {
	if l := s.cfg.Load().listener(address); l != nil {
		return l
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.former[address]
}

// hold returns the newest generation, for a command that begins. It is given back with
// release.
func (s *Server) hold() *generation {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.generations[len(s.generations)-1]
	g.users++
	return g
}

// retain is for another user of a generation that is held.
func (s *Server) retain(g *generation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g.users++
}

func (s *Server) release(g *generation) {
	s.mu.Lock()
	g.users--
	unused := s.unused()
	s.mu.Unlock()
	closeAll(unused)
}

// unused drops the oldest generations that have no users, and returns the engines that
// go with them. One that is still used protects those that follow, since engines may
// pass from each to the next. The caller has mu.
func (s *Server) unused() (gone []*engine.Engine) {
	for len(s.generations) > 1 && s.generations[0].users == 0 {
		gone = append(gone, s.generations[0].gone...)
		s.generations = slices.Delete(s.generations, 0, 1)
	}
	return gone
}

func closeAll(ups []*engine.Engine) {
	for _, u := range ups {
		u.Close()
	}
}
