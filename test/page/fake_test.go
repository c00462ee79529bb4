package page

import (
	"bytes"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"polyclam/protocol"
	"polyclam/test/clamdtest"
	"polyclam/test/testkit"
)

// A fakeEngine speaks clamd's protocol. It finds EICAR, and whatever begins with FIND or FAIL.
type fakeEngine struct {
	address string
	version string
	name    string // of what it finds
	failure string // its answer to FAIL
	down    atomic.Bool
}

// startFake serves a fakeEngine on a Unix socket.
func startFake(t testing.TB, f *fakeEngine) *fakeEngine {
	t.Helper()
	f.address = testkit.Serve(t, "tcp", f.serve)
	return f
}

// serve answers one command.
func (f *fakeEngine) serve(nc net.Conn) {
	if f.down.Load() {
		return
	}
	c := protocol.NewConn(nc)
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(patience))
	cmd, err := c.ReadCommand()
	if err != nil {
		return
	}
	reply := "UNKNOWN COMMAND"
	switch cmd.Verb {
	case protocol.VerbPing:
		reply = "PONG"
	case protocol.VerbVersion:
		reply = f.version
	case protocol.VerbInstream:
		var data bytes.Buffer
		if _, err := c.Stream(1<<20, patience).WriteTo(&data); err != nil {
			return
		}
		switch text := data.String(); {
		case strings.HasPrefix(text, "FAIL"):
			reply = "stream: " + f.failure + " ERROR"
		case strings.HasPrefix(text, "FIND"):
			reply = "stream: " + f.name + " FOUND"
		case strings.Contains(text, clamdtest.EICAR()):
			reply = "stream: Eicar-Test-Signature FOUND"
		default:
			reply = "stream: OK"
		}
	}
	c.WriteReply([]byte(reply+"\x00"), patience)
}
