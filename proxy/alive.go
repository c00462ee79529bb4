package proxy

// Alive takes every lock that commands need, one after the other, and gives it back. It
// returns once it has had them all, and never if one of them is stuck. It does not wait
// for clients, engines or files: a server that they keep busy is alive.
func (s *Server) Alive() {
	s.isClosing()
	s.spool.Stats()
	s.running.list()
	for _, u := range s.cfg.Load().Engines {
		u.Status()
	}
}
