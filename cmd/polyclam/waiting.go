package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	waitingDelay  = 2 * time.Second  // a check that is faster says nothing
	waitingPeriod = 15 * time.Second // between lines about the same
)

// waiting says on stderr what a check waits for, if it takes long: an engine that hangs does so
// for a while. It is safe for concurrent use, and a nil waiting says nothing.
type waiting struct {
	w     io.Writer
	limit time.Duration // of one answer
	stop  chan struct{}
	ended sync.WaitGroup
	once  sync.Once

	mu   sync.Mutex
	what map[string]string // by node
}

func startWaiting(w io.Writer, limit time.Duration) *waiting {
	p := &waiting{w: w, limit: limit, stop: make(chan struct{}), what: map[string]string{}}
	p.ended.Go(func() { p.run(waitingDelay, waitingPeriod) })
	return p
}

func (p *waiting) run(delay, period time.Duration) {
	for next := time.After(delay); ; next = time.After(period) {
		select {
		case <-next:
			if text := p.text(); text != "" {
				printLines(p.w, text)
			}
		case <-p.stop:
			return
		}
	}
}

// text says what the check waits for, or returns "".
func (p *waiting) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.what) == 0 {
		return ""
	}
	var list []string
	for node, what := range p.what {
		list = append(list, node+" ("+what+")")
	}
	slices.Sort(list)
	return fmt.Sprintf("waiting, for up to %v for an answer (--timeout): %s", p.limit, strings.Join(list, "; "))
}

// begin records what a node is asked about.
func (p *waiting) begin(node, what string) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.what[node] = what
}

// end records that nothing more is asked of a node.
func (p *waiting) end(node string) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.what, node)
}

// close ends it, before anything else is printed.
func (p *waiting) close() {
	p.once.Do(func() { close(p.stop) })
	p.ended.Wait()
}
