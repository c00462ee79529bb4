package proxy

import (
	"time"

	"polyclam/proxy/engine"
)

// Started returns when the server started.
func (s *Server) Started() time.Time { return s.started }

// Engines returns the engines of the newest configuration, in its order. The caller does
// not change the slice.
func (s *Server) Engines() []*engine.Engine { return s.generations.config().Engines }

// EngineSets returns the names of the engines of each listener that does not use all of
// them, by the listener's address.
func (s *Server) EngineSets() map[string][]string {
	sets := map[string][]string{}
	for _, l := range s.generations.config().Listeners {
		for _, e := range l.Engines {
			sets[l.Address] = append(sets[l.Address], e.Name())
		}
	}
	return sets
}
