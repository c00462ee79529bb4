package mailtest

import (
	"strings"
	"testing"
)

func TestPostfixDelivers(t *testing.T) {
	sink := StartSink(t)
	p := StartPostfix(t, PostfixOptions{Relay: sink.Address})
	reply, err := Send(within(t), p.SMTP, Message("through", Attachment{Name: "a.bin", Data: make([]byte, 1<<20)}))
	if err != nil || reply.Code != 250 {
		t.Fatalf("got %v, %v", reply, err)
	}
	p.WaitEmpty(t)
	if !sink.Has("through") {
		t.Fatalf("the queue is empty and the mail has not come")
	}
	if m := sink.Wait(t, "through"); !strings.Contains(m.Header.Get("Received"), "postfix.example") {
		t.Errorf("did not come through Postfix: %v", m.Header)
	}
	if !strings.Contains(p.Log(), "status=sent") {
		t.Errorf("no delivery is logged:\n%s", p.Log())
	}
}

// A missing milter must be a tempfail. Otherwise a test could take mail that Postfix
// passed unfiltered for the verdict of a filter.
func TestPostfixWithoutItsMilter(t *testing.T) {
	sink := StartSink(t)
	p := StartPostfix(t, PostfixOptions{Relay: sink.Address, Milters: []string{"unix:/nonexistent/milter"}})
	reply, err := Send(within(t), p.SMTP, Message("unfiltered"))
	if err != nil || reply.Code/100 != 4 {
		t.Errorf("got %v, %v", reply, err)
	}
	p.WaitEmpty(t)
	if sink.Has("unfiltered") {
		t.Error("the mail was delivered")
	}
}

func TestPostfixExtra(t *testing.T) {
	p := StartPostfix(t, PostfixOptions{Relay: StartSink(t).Address, Extra: map[string]string{"message_size_limit": "10000"}})
	reply, err := Send(within(t), p.SMTP, Message("large", Attachment{Name: "a", Data: make([]byte, 20000)}))
	if err != nil || reply.Code != 552 {
		t.Errorf("got %v, %v", reply, err)
	}
}
