package engine

import (
	"slices"
	"sync"

	"polyclam/backends"
	"polyclam/backends/testfile"
)

// maxNonces bounds the nonces that are remembered. They are kept beyond the end of
// their check, since a slow loop may bring one back later.
const maxNonces = 4096

// ownNonces are the nonces of this process's health checks, of all engines and
// configurations: a loop may lead through any listener.
var ownNonces nonces

// nonces remembers which node was sent which nonce.
type nonces struct {
	mu     sync.Mutex
	origin map[testfile.Nonce]origin
	order  [maxNonces]testfile.Nonce // a ring: the oldest is forgotten
	next   int
}

type origin struct {
	pool *pool
	node *node
}

func (s *nonces) add(nonce testfile.Nonce, u *pool, n *node) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.origin == nil {
		s.origin = make(map[testfile.Nonce]origin)
	}
	delete(s.origin, s.order[s.next])
	s.order[s.next] = nonce
	s.next = (s.next + 1) % maxNonces
	s.origin[nonce] = origin{u, n}
}

func (s *nonces) find(nonce testfile.Nonce) (origin, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.origin[nonce]
	return o, ok
}

// release forgets n, which nothing uses any more, lest its backend and what that has
// read stay in memory. The nonces are still known for the process's own.
func (s *nonces) release(n *node) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for nonce, o := range s.origin {
		if o.node == n {
			s.origin[nonce] = origin{}
		}
	}
}

// CameBack reports whether c, which a listener received, is the clean control of one
// of this process's own health checks. The node that was sent it then asks polyclam
// itself, perhaps through others, and is taken out. The client is to be answered
// with an error. For any content of another size it costs one comparison.
func CameBack(obj backends.Object, listener string) bool {
	nonce, isControl := controlNonce(obj)
	if !isControl {
		return false
	}
	o, own := ownNonces.find(nonce)
	if own && o.node != nil {
		o.pool.takeOut(o.node, listener)
	}
	return own
}

// controlNonce returns the nonce of c if c is a clean control, of whatever polyclam.
func controlNonce(o backends.Object) (nonce testfile.Nonce, isControl bool) {
	if o.Size() != int64(testfile.CleanSize) {
		return nonce, false
	}
	var object [testfile.CleanSize]byte
	if n, _ := o.ReadAt(object[:], 0); n != len(object) {
		return nonce, false
	}
	return testfile.NonceOf(object[:])
}

// errMutual answers the clean control of another polyclam that comes while there is no
// usable node, but a health check under way. That check may be what the other one
// waits for: two that ask each other would both wait until their time is up.
var errMutual = distrust("the health check of another polyclam came during one of its own: if they ask each other, neither has an engine")

// mutual says whether t is to be answered with errMutual. The caller has mu.
func (u *pool) mutual(t *ticket) bool {
	return t.control && !u.anyUsable(t) &&
		slices.ContainsFunc(u.nodes, func(n *node) bool { return n.checking() })
}

// takeOut makes n unusable until a later check does not come back.
func (u *pool) takeOut(n *node, listener string) {
	u.mu.Lock()
	if !u.config().Canary { // since a reload: no later check would end it
		u.mu.Unlock()
		return
	}
	n.loop = distrust("asks polyclam itself, through the listener " + listener)
	n.distrust = n.loop
	n.doubt.alarms++
	u.backOff(n)
	u.disappoint(n, n.loop)
	c := u.set(n, blind, n.loop)
	u.mu.Unlock()
	u.tell(c)
}
