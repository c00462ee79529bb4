package ops

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"polyclam/proxy"
)

func TestAgentLine(t *testing.T) {
	for _, test := range []struct {
		r    proxy.Readiness
		want string
	}{
		{proxy.Readiness{Ready: true, FreeSlots: 10, Slots: 10}, "up ready 100%\n"},
		{proxy.Readiness{Ready: true, FreeSlots: 73, Slots: 100}, "up ready 73%\n"},
		{proxy.Readiness{Ready: true, FreeSlots: 0, Slots: 100}, "up ready 1%\n"},
		{proxy.Readiness{Ready: true, FreeSlots: 1, Slots: 1000}, "up ready 1%\n"},
		{proxy.Readiness{Ready: true, FreeSlots: 20, Slots: 10}, "up ready 100%\n"},
		{proxy.Readiness{Ready: true}, "up ready 100%\n"},
		{proxy.Readiness{Draining: true, Reasons: []string{"x"}}, "drain\n"},
		{proxy.Readiness{Reasons: []string{"engine \"a\" is down", "y"}}, "ready down #engine \"a\" is down\n"},
		{proxy.Readiness{Reasons: []string{"a\nup ready 100%\n\x00ä"}}, "ready down #a?up ready 100%???\n"},
		{proxy.Readiness{}, "ready down #not ready\n"},
		{proxy.Readiness{Reasons: []string{strings.Repeat("x", 1000)}}, "ready down #" + strings.Repeat("x", maxAgentReason) + "\n"},
	} {
		got := AgentLine(test.r)
		if got != test.want {
			t.Errorf("%+v: %q, want %q", test.r, got, test.want)
		}
		if !agentLine.MatchString(got) {
			t.Errorf("IsAgent does not recognize %q", got)
		}
	}
}

// TestAgent asks many times concurrently. Clients send text first, as with agent-send: it
// must not destroy the answer, unless there are too many clients.
func TestAgent(t *testing.T) {
	ts := newTester(t, Config{})
	_, addr := ts.listen(Agent, "tcp")
	ask := func(clients int, text string) {
		var asking sync.WaitGroup
		for range clients {
			asking.Go(func() {
				nc, err := net.Dial("tcp", addr)
				if err != nil {
					t.Error(err)
					return
				}
				defer nc.Close()
				nc.SetDeadline(time.Now().Add(patience))
				io.WriteString(nc, text)
				nc.(*net.TCPConn).CloseWrite()
				if line, err := io.ReadAll(nc); err != nil || string(line) != "up ready 100%\n" {
					t.Errorf("%q: %q, %v", text, line, err)
				}
			})
		}
		asking.Wait()
	}
	ask(MaxAgents, "backend/server\n")
	ask(2*MaxAgents, "")
	if !IsAgent("tcp", addr) || IsAgent("tcp", ts.addr) {
		t.Error("IsAgent does not recognize an agent")
	}
	ts.proxy.SetDraining(true)
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	nc.SetDeadline(time.Now().Add(patience))
	if got := wantClosed(t, nc); got != "drain\n" {
		t.Errorf("%q, want drain", got)
	}
}

// TestSilentAgents has clients that keep their connections: others are answered.
func TestSilentAgents(t *testing.T) {
	ts := newTester(t, Config{})
	_, addr := ts.listen(Agent, "tcp")
	for range 3 * MaxAgents {
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
	}
	if !IsAgent("tcp", addr) {
		t.Error("no answer")
	}
}
