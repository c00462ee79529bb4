package proxy

import (
	"context"
	"net"
	"time"

	"polyclam/proxy/engine"
)

// lastReplies is how long sessions have to answer once Shutdown has cut them off. A
// walk through a directory must say what it did not come to: to some clients an end
// without a word is clean.
const lastReplies = 500 * time.Millisecond

// firstCommand is how long a connection may take to its first command once Shutdown has
// begun: its client has been accepted, or the kernel has done that for us, and cannot
// know that it came too late.
const firstCommand = time.Second

// drainTime is how long a TCP handshake that is under way has to end, and how long
// Shutdown accepts from a [Shared] socket, whose clients keep coming.
const drainTime = 100 * time.Millisecond

// errStopping is why scans are called off when the grace of Shutdown is over.
const errStopping = engine.CalledOff("polyclamd is stopping")

// Shutdown refuses new connections, serves those that the kernel has accepted already,
// closes the idle ones, lets streams and scans that have begun finish and be answered,
// and returns when all is done. When ctx ends first, what is left is cut off and
// answered with an error where that is possible soon, and the error is that of ctx.
func (s *Server) Shutdown(ctx context.Context) error {
	s.beginShutdown()
	s.drain(ctx)
	s.mu.Lock()
	s.closing = true
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
	for _, u := range s.cfg.Load().Engines {
		u.Close()
	}
	return err
}

// beginShutdown refuses new connections and wakes the clients that are waited for: those
// that have had a command close now, the others have until firstCommand.
func (s *Server) beginShutdown() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopping = true
	now := time.Now()
	for ln := range s.listeners {
		s.endListening(ln, now)
	}
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

// endListening makes ln refuse new connections, if it can, and its Accept return.
func (s *Server) endListening(ln net.Listener, now time.Time) {
	end := now
	if !isShared(ln) {
		if err := refuse(ln); err != nil {
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

// drain waits until all that was in the backlogs is accepted, or ctx ends.
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
