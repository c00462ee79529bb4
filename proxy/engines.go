package proxy

import "polyclam/proxy/engine"

// Engines returns the engines of the newest configuration, in its order. The caller does
// not change the slice.
func (s *Server) Engines() []*engine.Engine { return s.generations.config().Engines }
