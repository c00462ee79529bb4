package backendtest

import (
	"net"
	"os"
	"path/filepath"
	"testing"
)

// socketDir is a new directory with a name short enough for a socket in it,
// which tb.TempDir with its long test names is not always.
func socketDir(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp("", "polyclam")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// Missing is the address of a Unix socket that does not exist.
func Missing(tb testing.TB) string {
	tb.Helper()
	return "unix:" + filepath.Join(socketDir(tb), "missing")
}

// Refusing is an address, network "unix" or "tcp", where connections are
// refused: there was a listener, and it is gone.
func Refusing(tb testing.TB, network string) string {
	tb.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		address = filepath.Join(socketDir(tb), "refusing")
	}
	l, err := net.Listen(network, address)
	if err != nil {
		tb.Fatal(err)
	}
	if u, ok := l.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
	}
	address = l.Addr().String()
	l.Close()
	return network + ":" + address
}
