package cicaptest

import (
	"net"
	"strings"
	"testing"

	"polyclam/test/clamdtest"
)

// TestStart checks that c-icap answers, and is gone after Stop.
func TestStart(t *testing.T) {
	Require(t)
	clamd := clamdtest.Start(t, clamdtest.Options{})
	s := Start(t, clamd.Socket, Options{})
	s.Stop()
	s.Stop()
	if nc, err := net.Dial("tcp", strings.TrimPrefix(s.Address, "tcp:")); err == nil {
		nc.Close()
		t.Error("somebody still listens")
	}
}
