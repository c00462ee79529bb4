package engine

import (
	"sync"

	"polyclam/backends"
	"polyclam/backends/testfile"
)

// maxNonces bounds the nonces that are kept. A nonce outlives its check, since a slow loop
// may return it later.
const maxNonces = 4096

// ownNonces holds the nonces of all health checks of this process, whatever the engine or
// configuration: a loop may lead through any listener.
var ownNonces nonces

// nonces maps each nonce to the node that got it.
type nonces struct {
	mu     sync.Mutex
	origin map[testfile.Nonce]origin
	order  [maxNonces]testfile.Nonce // a ring: the oldest is dropped
	next   int
}

type origin struct {
	node    *node // nil: no longer in use
	takeOut func(listener string)
}

func (s *nonces) add(nonce testfile.Nonce, n *node, takeOut func(listener string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.origin == nil {
		s.origin = make(map[testfile.Nonce]origin)
	}
	delete(s.origin, s.order[s.next])
	s.order[s.next] = nonce
	s.next = (s.next + 1) % maxNonces
	s.origin[nonce] = origin{n, takeOut}
}

func (s *nonces) find(nonce testfile.Nonce) (origin, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.origin[nonce]
	return o, ok
}

// release drops the references to n, so that its backend can be freed. Its nonces still
// count as the process's own.
func (s *nonces) release(n *node) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for nonce, o := range s.origin {
		if o.node == n {
			s.origin[nonce] = origin{}
		}
	}
}

// controlNonce returns the nonce of o if o is a clean control, of this or any other polyclam.
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

// CameBack reports whether o, which a listener received, is the clean control of one of
// this process's own health checks. If so, the node that got it uses polyclam as its
// scanner, perhaps through others. CameBack takes that node out, and the caller must answer
// the client with an error. For an object of any other size the call costs one comparison.
func CameBack(o backends.Object, listener string) bool {
	nonce, isControl := controlNonce(o)
	if !isControl {
		return false
	}
	from, own := ownNonces.find(nonce)
	if own && from.node != nil {
		from.takeOut(listener)
	}
	return own
}
