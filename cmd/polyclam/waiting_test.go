package main

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestWaiting has one node that answers, and one that hangs.
func TestWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		p := startWaiting(&out, 30*time.Second)
		p.begin("a unix:/a", "a clean text")
		p.begin("b unix:/\x1b", "a clean text")
		time.Sleep(time.Second)
		p.begin("b unix:/\x1b", "the EICAR test file")
		p.end("a unix:/a")
		time.Sleep(waitingDelay)
		p.end("b unix:/\x1b")
		time.Sleep(waitingPeriod)
		p.close()
		p.close()
		const want = "waiting, for up to 30s for an answer (--timeout): b unix:/\\x1b (the EICAR test file)\n"
		if out.String() != want {
			t.Errorf("got\n%s\nwant\n%s", out.String(), want)
		}
	})
}

// TestWaitingOfFastCheck has nothing to say.
func TestWaitingOfFastCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		p := startWaiting(&out, time.Second)
		p.begin("a", "a clean text")
		time.Sleep(waitingDelay / 2)
		p.close()
		time.Sleep(waitingDelay)
		if out.Len() > 0 {
			t.Errorf("%q", out.String())
		}
	})
}
