package live

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"polyclam/test/testkit"
)

// Dial connects to a TCP address of the machine's loopback, "127.0.0.1:25", or to a Unix
// socket by its path in the machine.
func (m *Machine) Dial(ctx context.Context, network, address string) (nc net.Conn, err error) {
	var d net.Dialer
	if network == "unix" {
		return d.DialContext(ctx, network, m.Path(address))
	}
	inErr := m.inNetwork(func() { nc, err = d.DialContext(ctx, network, address) })
	if inErr != nil {
		return nil, inErr
	}
	return nc, err
}

// WaitListen waits until something listens on a TCP address of the machine's loopback.
func (m *Machine) WaitListen(address string) {
	m.t.Helper()
	testkit.Eventually(m.t, "a daemon listens on "+address, func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		nc, err := m.Dial(ctx, "tcp", address)
		if err != nil {
			return false
		}
		nc.Close()
		return true
	})
}

// Listen listens on a TCP address of the machine's loopback.
func (m *Machine) Listen(address string) (l net.Listener, err error) {
	inErr := m.inNetwork(func() { l, err = net.Listen("tcp", address) })
	if inErr != nil {
		return nil, inErr
	}
	return l, err
}

// inNetwork runs f on a thread in the machine's network namespace. Sockets that f makes
// stay there; f must make them itself, not in goroutines. The thread ends afterwards.
func (m *Machine) inNetwork(f func()) error {
	ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", m.Leader))
	if err != nil {
		return err
	}
	defer ns.Close()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread is not used again
		err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
		if err == nil {
			f()
		}
		done <- err
	}()
	return <-done
}
