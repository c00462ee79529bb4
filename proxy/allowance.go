package proxy

import (
	"context"

	"polyclam/proxy/client"
)

// An allowance is what one session may have: one object that belongs to its connection,
// and what it gets of the server's.
type allowance struct {
	objects *objects
	key     client.Key
	own     chan struct{} // its token is there unless the connection's own place is taken
}

func newAllowance(o *objects, k client.Key) *allowance {
	a := &allowance{objects: o, key: k, own: make(chan struct{}, 1)}
	a.own <- struct{}{}
	return a
}

// take takes a place for an object, and returns what gives it back. While there is none
// it waits until another object of the session is done, or it is the client's turn. It
// returns nil when ctx ends.
func (a *allowance) take(ctx context.Context) (release func()) {
	giveOwn := func() { a.own <- struct{}{} }
	select {
	case <-a.own:
		return giveOwn
	default:
	}
	w := a.objects.ask(a.key, 1)
	select {
	case <-w.ready:
		return func() { a.objects.drop(w) }
	case <-a.own:
		a.objects.drop(w)
		return giveOwn
	case <-ctx.Done():
		a.objects.drop(w)
		return nil
	}
}

// ready sees to it that there is a place for the object of the next command, and
// reports false if the session has ended.
func (ids *idSession) ready() bool {
	if ids.release == nil {
		ids.away(func() { ids.release = ids.objects.take(ids.s.ctx) })
	}
	return ids.release != nil
}

// away does what keeps the reader of the session from the connection: then it does not
// notice itself when the client hangs up.
func (ids *idSession) away(do func()) {
	ids.s.beginWatch()
	defer ids.s.endWatch()
	do()
}

// end waits for the scans under way, with an eye on the client.
func (ids *idSession) end() {
	if ids.release != nil {
		ids.release()
	}
	ids.away(ids.scans.Wait)
}
