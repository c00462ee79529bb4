package proxy

// Alive takes every lock that commands need, one after the other, and gives it back. It
// returns when it has had them all: never, if one is held for good. It waits for no
// client, engine or file: that these are slow or many does not make the server dead.
func (s *Server) Alive() {
	s.isClosing()
	s.spool.Stats()
	s.running.list()
	for _, u := range s.cfg.Load().Upstreams {
		u.Status()
	}
}
