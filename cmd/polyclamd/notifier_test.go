package main

import (
	"strconv"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// TestHungSystemd checks that notify never waits for systemd, and that the last states arrive.
func TestHungSystemd(t *testing.T) {
	answer := make(chan struct{})
	var got []string
	n := newNotifier(zerolog.Nop())
	n.send = func(state string) error {
		<-answer
		got = append(got, state)
		return nil
	}
	for i := range 2 * maxPending {
		n.notify(strconv.Itoa(i))
		n.notify(strconv.Itoa(i))
	}
	n.flush(time.Millisecond)
	close(answer)
	n.flush(hang)
	if len(got) < maxPending || len(got) > maxPending+1 || got[len(got)-1] != strconv.Itoa(2*maxPending-1) {
		t.Errorf("sent %q", got)
	}
}
