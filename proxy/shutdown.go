package proxy

import (
	"context"
	"net"
	"time"
)

// lastReplies is how long sessions have to answer after Shutdown has cut them off. A walk
// through a directory must report what it did not reach: some clients treat a reply without
// an error as clean.
const lastReplies = 500 * time.Millisecond

// drainTime is how long a TCP handshake under way may take, and how long Shutdown accepts
// connections from a [Shared] socket, which keeps getting new ones.
const drainTime = 100 * time.Millisecond

// Shutdown refuses new connections, serves those that the kernel has already accepted,
// closes idle ones, and lets streams and scans under way finish and be answered. It
// returns when all that is done. If ctx ends first, it cuts off what is left, answers with
// an error where that is possible soon, and returns the error of ctx. Programs of [on_find]
// have lastRuns after the last reply.
func (s *Server) Shutdown(ctx context.Context) error {
	s.beginShutdown()
	s.observers.stop()
	s.drain(ctx)
	s.mu.Lock()
	s.closing = true
	s.dropHandshakes()
	for ln := range s.listeners {
		ln.Close()
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
	select { // sessions that were cut off still answer
	case <-done:
	case <-time.After(lastReplies):
	}
	s.mu.Lock()
	for c := range s.sessions {
		c.nc.Close()
	}
	s.mu.Unlock()
	<-done
	s.observers.wait(lastReplies)
	s.closeOnFind(ctx)
	closeAll(s.generations.config().Engines)
	return err
}

// lastRuns is how long programs of [on_find], and findings that wait for one, have after the
// last reply. Until the daemon has ended, none is there for clients.
const lastRuns = 5 * time.Second

func (s *Server) closeOnFind(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lastRuns)
	defer cancel()
	s.onFind.Close(ctx)
}

// beginShutdown refuses new connections and wakes idle sessions. Those that have had a
// command close immediately, the others have until firstCommand.
func (s *Server) beginShutdown() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopping = true
	now := time.Now()
	for ln := range s.listeners {
		s.endListening(ln, now)
	}
	s.hurryHandshakes()
	for c, idle := range s.sessions {
		switch {
		case !idle:
		case c.begun:
			c.conn.SetReadDeadline(time.Unix(1, 0))
		default:
			c.conn.SetReadDeadline(now.Add(firstCommand))
		}
	}
}

// Retire stops one listener, as Shutdown stops all of them: it refuses new connections and
// serves those that the kernel has already accepted. When it returns, the listener is
// closed. If ctx ends first, the connections still in its backlog are lost.
// Sessions continue.
func (s *Server) Retire(ctx context.Context, ln net.Listener) {
	defer ln.Close()
	s.mu.Lock()
	l := s.listeners[ln]
	if l != nil && !l.retiring && !s.stopping {
		l.retiring = true
		s.endListening(ln, time.Now())
	}
	s.mu.Unlock()
	if l == nil {
		return
	}
	select {
	case <-l.done:
	case <-ctx.Done():
	}
}

// endListening makes ln refuse new connections, if it can, and its Accept return.
func (s *Server) endListening(ln net.Listener, now time.Time) {
	end := now
	if !isShared(ln) {
		s.listeners[ln].dropping.Store(true)
		if err := refuseNew(ln); err != nil {
			s.log.Debug().Err(err).Stringer("listener", ln.Addr()).Msg("new connections are not refused")
		}
		if ln.Addr().Network() == "tcp" {
			end = now.Add(drainTime)
		}
	}
	d, ok := ln.(interface{ SetDeadline(time.Time) error })
	if !ok || d.SetDeadline(end) != nil {
		ln.Close()
	}
}

// drain waits until the backlogs are empty and no handshake is under way, or ctx ends.
func (s *Server) drain(ctx context.Context) {
	drained := make(chan struct{})
	go func() {
		s.serving.Wait()
		close(drained)
	}()
	select {
	case <-drained:
	case <-ctx.Done():
	}
}
