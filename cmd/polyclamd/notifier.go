package main

import (
	"slices"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/rs/zerolog"
)

const (
	// maxPending bounds the number of states that wait for systemd.
	maxPending = 64
	// notifyGrace is how long the daemon waits for systemd to receive them when it ends.
	notifyGrace = time.Second
)

// notifier sends the daemon's states to systemd, in order. It never blocks its caller, even
// if systemd hangs and the socket's queue is full.
type notifier struct {
	log  zerolog.Logger
	send func(state string) error

	mu      sync.Mutex
	pending []string
	sent    chan struct{} // closed when all are sent; nil: nothing is pending
}

func newNotifier(log zerolog.Logger) *notifier {
	return &notifier{log: log, send: func(state string) error {
		_, err := daemon.SdNotify(false, state) // does nothing without NOTIFY_SOCKET
		return err
	}}
}

// notify sends state in the background. If too many are pending, it drops the oldest: only
// the last one matters.
func (n *notifier) notify(state string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if i := len(n.pending); i > 0 && n.pending[i-1] == state {
		return
	}
	if len(n.pending) == maxPending {
		n.pending = slices.Delete(n.pending, 0, 1)
	}
	n.pending = append(n.pending, state)
	if n.sent == nil {
		n.sent = make(chan struct{})
		go n.run()
	}
}

func (n *notifier) run() {
	for {
		state, ok := n.next()
		if !ok {
			return
		}
		if err := n.send(state); err != nil {
			n.log.Warn().Err(err).Msg("notify")
		}
	}
}

// next returns the next state to send; false means that none is pending.
func (n *notifier) next() (string, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.pending) == 0 {
		close(n.sent)
		n.sent = nil
		return "", false
	}
	state := n.pending[0]
	n.pending = slices.Delete(n.pending, 0, 1)
	return state, true
}

// flush waits until all states are sent, but no longer than limit.
func (n *notifier) flush(limit time.Duration) {
	n.mu.Lock()
	sent := n.sent
	n.mu.Unlock()
	if sent == nil {
		return
	}
	select {
	case <-sent:
	case <-time.After(limit):
	}
}
