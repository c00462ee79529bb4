package proxy

import "time"

// Handshakes have places apart from those of the connections that are served, so that slow
// ones cannot exclude anybody, with a share for each client. A handshake beyond its client's
// share waits, among limits.waiting.

// admitHandshake begins h, or lets it wait, after the accept for which places were reserved.
// It reports false if there is no room for that either.
func (cs *connections) admitHandshake(h *handshake, reserved bool) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.cancelPlace(reserved)
	if cs.closing {
		return false
	}
	cs.serveWaiting() // the place that was reserved for a session
	cs.serving.Add(1)
	if !cs.placeHandshake(h) {
		cs.serving.Done()
		return false
	}
	return true
}

// placeHandshake begins h or lets it wait. The caller holds mu.
func (cs *connections) placeHandshake(h *handshake) bool {
	limits, key := cs.limits(), h.peer.key
	h.key = key
	cs.handshakes[h] = true
	switch {
	case cs.hands.Take(key, limits.handshakes()):
		cs.beginHandshake(h)
	case cs.hands.Wait(key, limits.waiting(), func() { cs.beginHandshake(h) }):
	default:
		delete(cs.handshakes, h)
		cs.refused++
		cs.logRefused(h.peer.key, h.address)
		return false
	}
	return true
}

// beginHandshake starts the goroutine of h, which has its place. The caller holds mu.
func (cs *connections) beginHandshake(h *handshake) {
	if h.dropped {
		cs.hands.Give(h.key)
		return
	}
	h.begun = true
	h.nc.SetDeadline(handshakeEnd(cs.limits(), cs.stopping)) // under mu, or it would undo Shutdown's
	cs.wg.Add(1)
	go h.run()
}

// moveHandshake gives the place of h back and places it again as that of another client,
// whose address a PROXY header has named.
func (cs *connections) moveHandshake(h *handshake, to peer) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.leaveHandshake(h)
	h.peer, h.begun = to, false
	if cs.closing || !cs.placeHandshake(h) {
		cs.serving.Done()
		return false
	}
	return true
}

// endHandshake serves c after its handshake h, or lets it wait. If there is no room, or c is
// nil, it reports false.
func (cs *connections) endHandshake(h *handshake, c *session) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	defer cs.serving.Done()
	cs.leaveHandshake(h)
	if c == nil {
		return false
	}
	h.nc.SetDeadline(time.Time{}) // the session sets its own
	return cs.place(c)
}

// leaveHandshake gives the place of h back. The caller holds mu.
func (cs *connections) leaveHandshake(h *handshake) {
	delete(cs.handshakes, h)
	cs.hands.Give(h.key)
	cs.hands.Serve(cs.limits().handshakes())
	cs.room.Broadcast()
}

// hurryHandshakes makes the handshakes under way end soon. The caller holds mu.
func (cs *connections) hurryHandshakes() {
	end := handshakeEnd(cs.limits(), true)
	for h := range cs.handshakes {
		if h.begun {
			h.nc.SetDeadline(end)
		}
	}
}

// dropHandshakes closes the connections of all handshakes. The caller holds mu, and has set
// closing.
func (cs *connections) dropHandshakes() {
	for h := range cs.handshakes {
		h.nc.Close()
		if !h.begun { // it never will
			h.dropped = true
			delete(cs.handshakes, h)
			cs.serving.Done()
		}
	}
}
