package page

import (
	"context"
	"errors"
	"sync"
	"time"
)

var (
	errSlow   = errors.New("the status page could not be rendered in time: polyclamd is overloaded; try again in a few seconds")
	errRender = errors.New("the status page could not be rendered, which is a bug in polyclamd; polyclam status shows the state")
)

// A cache keeps the rendered page for [renderEvery]. Any number of viewers wait for one
// rendering, and no second one starts until it has ended, even if it hangs. It is safe for
// concurrent use.
type cache struct {
	render   func() ([]byte, error)
	now      func() time.Time
	patience time.Duration // how long a viewer waits

	mu   sync.Mutex
	last *rendering // finished, or under way; nil: none yet
}

// A rendering is one page. Its fields are set before done is closed.
type rendering struct {
	done chan struct{}
	body []byte
	err  error
	end  time.Time
}

func (r *rendering) finished() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// get returns the page, at most [renderEvery] old. The caller does not change it.
func (c *cache) get(ctx context.Context) ([]byte, error) {
	r := c.current()
	late := time.NewTimer(c.patience)
	defer late.Stop()
	select {
	case <-r.done:
		return r.body, r.err
	case <-late.C:
	case <-ctx.Done():
	}
	return nil, errSlow
}

// current returns a rendering that is recent or under way. It starts one if there is none.
func (c *cache) current() *rendering {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.last; r != nil {
		if !r.finished() {
			return r
		}
		if age := c.now().Sub(r.end); r.err == nil && 0 <= age && age < renderEvery {
			return r
		}
	}
	r := &rendering{done: make(chan struct{})}
	c.last = r
	go c.run(r)
	return r
}

func (c *cache) run(r *rendering) {
	defer close(r.done)
	defer func() {
		if recover() != nil { // the scan path must not end with the page
			r.body, r.err = nil, errRender
		}
		r.end = c.now()
	}()
	if r.body, r.err = c.render(); r.err != nil {
		r.body, r.err = nil, errRender
	}
}
