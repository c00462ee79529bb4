package protocol

import (
	"fmt"
	"strings"
	"testing"
)

// traced returns a trace that writes to b.
func traced(b *strings.Builder) *ClientTrace {
	return &ClientTrace{
		Connected: func(err error) { fmt.Fprintf(b, "connected %v\n", err) },
		Sent: func(command string, object int64, err error) {
			fmt.Fprintf(b, "sent %q and %d, %v\n", command, object, err)
		},
		Received: func(line string) { fmt.Fprintf(b, "received %q\n", line) },
	}
}

func TestClientTrace(t *testing.T) {
	var b strings.Builder
	ctx := WithClientTrace(testContext(t), traced(&b))
	if _, err := answering(t, "stream: OK\x00").Instream(ctx, strings.NewReader("hello")); err != nil {
		t.Fatal(err)
	}
	if got, want := b.String(), "connected <nil>\nsent \"zINSTREAM\\x00\" and 5, <nil>\nreceived \"stream: OK\"\n"; got != want {
		t.Errorf("got  %swant %s", got, want)
	}
	b.Reset()
	if _, err := (&Client{Network: "unix", Address: "/missing"}).Version(ctx); err == nil || !strings.HasPrefix(b.String(), "connected dial") {
		t.Errorf("%v, %s", err, b.String())
	}
	empty := WithClientTrace(testContext(t), &ClientTrace{})
	if _, err := answering(t, "stream: OK\x00").Instream(empty, strings.NewReader("hello")); err != nil {
		t.Error(err)
	}
}

func TestClientTraceOfSession(t *testing.T) {
	var b strings.Builder
	s, err := answering(t, "1: stream: OK\x00").Open(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Instream(WithClientTrace(testContext(t), traced(&b)), strings.NewReader("hello")); err != nil {
		t.Fatal(err)
	}
	if got, want := b.String(), "sent \"zIDSESSION\\x00zINSTREAM\\x00\" and 5, <nil>\nreceived \"1: stream: OK\"\n"; got != want {
		t.Errorf("got  %swant %s", got, want)
	}
}
