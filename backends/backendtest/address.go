package backendtest

import (
	"net"
	"path/filepath"
	"testing"

	"polyclam/test/testkit"
)

// Missing returns the address of a Unix socket that does not exist.
func Missing(tb testing.TB) string {
	tb.Helper()
	return "unix:" + filepath.Join(testkit.SocketDir(tb), "missing")
}

// Refusing returns an address that refuses connections, network "unix" or "tcp": its
// listener is closed.
func Refusing(tb testing.TB, network string) string {
	tb.Helper()
	l := testkit.Listen(tb, network)
	if u, ok := l.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
	}
	l.Close()
	return testkit.Address(l)
}
