package ops

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"polyclam/proxy"
)

// agentTime is how long a connection for an agent check may take.
const agentTime = 2 * time.Second

// agents answer the agent checks of HAProxy: each connection gets one line.
type agents struct {
	readiness func() proxy.Readiness
	slots     chan struct{}

	mu     sync.Mutex
	closed bool
	lns    map[net.Listener]struct{}
}

func newAgents(readiness func() proxy.Readiness) *agents {
	return &agents{readiness: readiness, slots: make(chan struct{}, MaxAgents), lns: map[net.Listener]struct{}{}}
}

func (a *agents) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	for ln := range a.lns {
		ln.Close()
	}
}

func (a *agents) track(ln net.Listener) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		ln.Close()
		return false
	}
	a.lns[ln] = struct{}{}
	return true
}

func (a *agents) untrack(ln net.Listener) (closed bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.lns, ln)
	return a.closed
}

// acceptPause is the pause after an error of Accept that does not end the listener.
const acceptPause = 100 * time.Millisecond

func (a *agents) serve(ln net.Listener) error {
	if !a.track(ln) {
		return ErrServerClosed
	}
	for {
		nc, err := ln.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			if a.untrack(ln) {
				return ErrServerClosed
			}
			return err
		case err != nil:
			time.Sleep(acceptPause) // no descriptors, for example
			continue
		}
		line := AgentLine(a.readiness())
		select {
		case a.slots <- struct{}{}:
			go func() {
				answerAgent(nc, line)
				<-a.slots
			}()
		default: // a client that sends something may lose the line
			nc.SetDeadline(time.Now().Add(agentTime))
			io.WriteString(nc, line)
			nc.Close()
		}
	}
}

// answerAgent sends the line and drops what the client sends (agent-send), because closing
// a connection with unread input resets it.
func answerAgent(nc net.Conn, line string) {
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(agentTime))
	if _, err := io.WriteString(nc, line); err != nil {
		return
	}
	if c, ok := nc.(interface{ CloseWrite() error }); ok && c.CloseWrite() == nil {
		io.Copy(io.Discard, io.LimitReader(nc, maxAgentInput))
	}
}

// maxAgentInput is how much input of an agent check is dropped before the connection is.
const maxAgentInput = 4 << 10

// maxAgentReason bounds the reason in the answer; HAProxy shows a line of its status page.
const maxAgentReason = 100

// AgentLine returns the answer to an agent check of HAProxy: see agent-check in its manual.
// "ready" also ends the state that "drain" began, which otherwise lasts until an operator
// ends it.
func AgentLine(r proxy.Readiness) string {
	switch {
	case r.Draining:
		return "drain\n"
	case !r.Ready:
		reason := "not ready"
		if len(r.Reasons) > 0 {
			reason = r.Reasons[0]
		}
		return "ready down #" + agentText(reason) + "\n"
	}
	return fmt.Sprintf("up ready %d%%\n", weight(r))
}

// weight returns the share of free slots in per cent, 1 at least: with 0, HAProxy would not
// use the server at all.
func weight(r proxy.Readiness) int {
	if r.Slots <= 0 {
		return 100
	}
	return min(100, max(1, 100*r.FreeSlots/r.Slots))
}

// agentText returns text without what would end the reason or the line.
func agentText(text string) string {
	text = strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return '?'
		}
		return c
	}, text)
	return text[:min(len(text), maxAgentReason)]
}
