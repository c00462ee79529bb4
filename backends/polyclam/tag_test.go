package polyclam

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/protocol"
)

// tagServer answers scans with ok. It records the ids and the verbs that come.
type tagServer struct {
	knows bool // XTAG

	mu   sync.Mutex
	came []string
}

func (s *tagServer) note(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.came = append(s.came, fmt.Sprintf(format, args...))
}

// take returns what came since the last call.
func (s *tagServer) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	came := s.came
	s.came = nil
	return came
}

func (s *tagServer) serve(nc net.Conn) {
	conn := protocol.NewConn(nc)
	defer conn.Close()
	for {
		cmd, err := conn.ReadCommand()
		if err != nil {
			return
		}
		s.note("%s", cmd.Verb+protocol.Verb(" "+cmd.Arg))
		switch {
		case cmd.Verb == protocol.VerbXTag && !s.knows:
			io.WriteString(nc, "UNKNOWN COMMAND\x00")
			conn.CloseWrite()
			conn.Discard(patience, patience, 1<<30)
			return
		case cmd.Verb == protocol.VerbXInstream:
			conn.Stream(0, patience).WriteTo(io.Discard)
			io.WriteString(nc, okLine+okE+okS+end)
			return
		}
	}
}

func (s *tagServer) start(t *testing.T) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { s.serve(nc) })
		}
	})
	t.Cleanup(func() { ln.Close(); wg.Wait() })
	return "tcp:" + ln.Addr().String()
}

// TestTag checks that the client's id is handed on, and that a server that does not know
// XTAG is asked without an id, and from then on never with one.
func TestTag(t *testing.T) {
	const scan = "XINSTREAM "
	for _, tt := range []struct {
		knows bool
		want  [][]string
	}{
		{true, [][]string{{"XTAG queue-1", scan}, {scan}, {"XTAG queue-2", scan}}},
		{false, [][]string{{"XTAG queue-1", scan}, {scan}, {scan}}},
	} {
		s := &tagServer{knows: tt.knows}
		b := open(t, s.start(t), transportAuto)
		for i, tag := range []string{"queue-1", "", "queue-2"} {
			ctx := testContext(t)
			if tag != "" {
				ctx = backends.WithTag(ctx, tag)
			}
			o := backendtest.Bytes(t, bytes.Repeat([]byte("x"), 1<<20*i))
			if r, err := b.Scan(ctx, o); err != nil || r.Category != backends.OK {
				t.Fatalf("%v, %q: %+v, %v", tt.knows, tag, r, err)
			}
			if got := s.take(); !slices.Equal(got, tt.want[i]) {
				t.Errorf("%v, %q: got %q, want %q", tt.knows, tag, got, tt.want[i])
			}
		}
	}
}
