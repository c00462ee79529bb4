package main

import (
	"slices"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/rs/zerolog"
)

const (
	// mostPending bounds the states that wait for systemd.
	mostPending = 64
	// lastStates is how long the end waits for systemd to take them.
	lastStates = time.Second
)

// A notifier sends the daemon's states to systemd, in order. It never makes its caller
// wait: the socket's queue may be full because systemd hangs.
type notifier struct {
	log  zerolog.Logger
	send func(state string) error

	mu      sync.Mutex
	pending []string
	sent    chan struct{} // closed when nothing is pending; nil: nothing is
}

func newNotifier(log zerolog.Logger) *notifier {
	return &notifier{log: log, send: func(state string) error {
		_, err := daemon.SdNotify(false, state) // does nothing unless systemd asked for it
		return err
	}}
}

// notify sends state in the background. If too many wait, the oldest is dropped: what
// counts is the last.
func (n *notifier) notify(state string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if i := len(n.pending); i > 0 && n.pending[i-1] == state {
		return
	}
	if len(n.pending) == mostPending {
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

// next returns the state to send, or ends run.
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

// flush waits until everything has been sent, for no longer than patience.
func (n *notifier) flush(patience time.Duration) {
	n.mu.Lock()
	sent := n.sent
	n.mu.Unlock()
	if sent == nil {
		return
	}
	select {
	case <-sent:
	case <-time.After(patience):
	}
}
