package proxy

import (
	"context"
	"time"

	"polyclam/proxy/upstream"
)

// lastReplies is how long sessions have to answer once Shutdown has cut them off. A
// walk through a directory must say what it did not come to: to some clients an end
// without a word is clean.
const lastReplies = 500 * time.Millisecond

// errStopping is why scans are called off when the grace of Shutdown is over.
const errStopping = upstream.CalledOff("polyclamd is stopping")

// Shutdown closes the listeners and the idle connections, lets streams and scans
// that have begun finish and be answered, and returns when all is done. When ctx
// ends first, what is left is cut off and answered with an error where that is
// possible soon, and the error is that of ctx.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closing = true
	for ln := range s.listeners {
		ln.Close()
	}
	for c, idle := range s.sessions {
		if idle {
			c.conn.SetReadDeadline(time.Unix(1, 0))
		}
	}
	s.room.Broadcast()
	s.mu.Unlock()

	done := make(chan struct{})
	go func() {
		s.wg.Wait()
		close(done)
	}()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	s.cancel(errStopping)
	select { // scans that were cut off still say so
	case <-done:
	case <-time.After(lastReplies):
	}
	s.mu.Lock()
	for c := range s.sessions {
		c.nc.Close()
	}
	s.mu.Unlock()
	<-done
	for _, u := range s.cfg.Load().Upstreams {
		u.Close()
	}
	return err
}
