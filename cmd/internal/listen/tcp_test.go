package listen

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"polyclam/cmd/internal/sockaddr"
)

func TestMain(m *testing.M) {
	askTime = 200 * time.Millisecond // most listeners of these tests never answer
	os.Exit(m.Run())
}

// freePort returns a port that no address of this machine has in use now. It is below the
// range from which the kernel takes ports for connections, as those of other tests.
func freePort(t *testing.T) int {
	t.Helper()
	for range 100 {
		port := 10000 + rand.IntN(20000)
		if ln, err := net.Listen("tcp", fmt.Sprintf(":%d", port)); err == nil {
			ln.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

func parse(t *testing.T, address string) sockaddr.Addr {
	t.Helper()
	a, name, err := sockaddr.Parse(address)
	if err != nil || name.Host != "" {
		t.Fatalf("Parse(%q) = %v, %v, %v", address, a, name, err)
	}
	return a
}

func tcp(t *testing.T, host string, port int) sockaddr.Addr {
	t.Helper()
	return parse(t, fmt.Sprintf("tcp:%s:%d", host, port))
}

func answers(host string, port int) bool {
	nc, err := net.Dial("tcp", net.JoinHostPort(host, fmt.Sprint(port)))
	if err == nil {
		nc.Close()
	}
	return err == nil
}

// TestPlainTCP checks that the kernel does not make the socket one of Multipath TCP, whose
// filter it ignores.
func TestPlainTCP(t *testing.T) {
	ln, err := Open(tcp(t, "127.0.0.1", freePort(t)), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	raw, err := ln.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	protocol := 0
	ctlErr := raw.Control(func(fd uintptr) { protocol, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PROTOCOL) })
	if ctlErr != nil || err != nil || protocol != unix.IPPROTO_TCP {
		t.Errorf("protocol %d, %v, %v; want %d", protocol, err, ctlErr, unix.IPPROTO_TCP)
	}
}

// TestMeaning checks on which addresses a listener is reached.
func TestMeaning(t *testing.T) {
	if _, err := net.ListenTCP("tcp6", &net.TCPAddr{IP: net.IPv6loopback}); err != nil {
		t.Skip("NOT TESTED: what addresses mean; there is no IPv6")
	}
	for _, test := range []struct {
		host             string
		onIPv4, onIPv6   bool
		hasOther         bool // a second IPv4 loopback address answers
		canOpenNextToIt4 bool
	}{
		{"127.0.0.1", true, false, false, false},
		{"0.0.0.0", true, false, true, false},
		{"[::1]", false, true, false, true},
		{"[::]", IsDual(), true, IsDual(), !IsDual()},
	} {
		port := freePort(t)
		a := tcp(t, test.host, port)
		if err := tryTCP(a.TCP()); err != nil {
			t.Errorf("%s: it cannot be bound: %v", a, err)
			continue
		}
		ln, err := Open(a, Options{})
		if err != nil {
			t.Errorf("%s: %v", a, err)
			continue
		}
		if bound, ok := sockaddr.Of(ln.Addr()); !ok || bound != a {
			t.Errorf("%s is bound to %s", a, ln.Addr())
		}
		for host, want := range map[string]bool{"127.0.0.1": test.onIPv4, "::1": test.onIPv6, "127.0.0.2": test.hasOther} {
			if got := answers(host, port); got != want {
				t.Errorf("%s answers on %s: %v", a, host, got)
			}
		}
		if a.IsAnyIPv6() && Includes4(ln.(*net.TCPListener)) != IsDual() {
			t.Errorf("%s includes IPv4: %v", a, !IsDual())
		}
		if err := tryTCP(tcp(t, "127.0.0.1", port).TCP()); (err == nil) != test.canOpenNextToIt4 {
			t.Errorf("127.0.0.1 next to %s: %v", a, err)
		}
		if err := tryTCP(a.TCP()); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("%s can be bound twice: %v", a, err)
		}
		ln.Close()
	}
}

// TestOpenBeside replaces sockets by others that include their addresses, or a part of them.
//
// Afterwards no other daemon can share the port.
func TestOpenBeside(t *testing.T) {
	for _, test := range []struct{ before, after string }{{"127.0.0.1", "0.0.0.0"}, {"0.0.0.0", "127.0.0.1"}, {"0.0.0.0", "[::]"}, {"[::1]", "[::]"}} {
		port := freePort(t)
		before, err := Open(tcp(t, test.before, port), Options{})
		if err != nil {
			t.Logf("NOT TESTED: %s: %v", test.before, err)
			continue
		}
		if _, err := Open(tcp(t, test.after, port), Options{}); err == nil && (test.after != "[::]" || IsDual()) {
			t.Errorf("%s was opened next to %s", test.after, test.before)
		}
		after, err := OpenBeside(tcp(t, test.after, port), Options{}, []net.Listener{before})
		if err != nil {
			t.Errorf("%s instead of %s: %v", test.after, test.before, err)
			before.Close()
			continue
		}
		before.Close()
		_, host := parse(t, fmt.Sprintf("tcp:%s:%d", test.after, port)).DialTarget()
		if nc, err := net.Dial("tcp", host); err != nil {
			t.Errorf("%s: %v", test.after, err)
		} else {
			nc.Close()
		}
		if ln, err := Open(tcp(t, test.after, port), Options{}); err == nil {
			ln.Close()
			t.Errorf("%s: another daemon may share the port", test.after)
		}
		after.Close()
	}
}

func TestExplainTCP(t *testing.T) {
	for _, test := range []struct {
		address string
		errno   syscall.Errno
		want    string
	}{
		{"tcp:127.0.0.1:25", syscall.EACCES, "may not use ports below 1024; choose another port, or set AmbientCapabilities=CAP_NET_BIND_SERVICE"},
		{"tcp:127.0.0.1:3310", syscall.EACCES, "a security module forbids port 3310"},
		{"tcp:198.51.100.1:3310", syscall.EADDRNOTAVAIL, "this machine does not have the address 198.51.100.1 now"},
		{"tcp:[::1]:3310", syscall.EAFNOSUPPORT, "does not allow IPv6"},
		{"tcp:127.0.0.1:3310", syscall.EMFILE, "too many open files"},
	} {
		err := explainTCP(parse(t, test.address), &net.OpError{Op: "listen", Err: test.errno})
		if !strings.Contains(err.Error(), test.want) || !errors.Is(err, test.errno) {
			t.Errorf("%s: %v, want %q", test.address, err, test.want)
		}
	}
	if _, err := Open(parse(t, "tcp:198.51.100.1:3310"), Options{}); !IsUnavailable(err) {
		t.Errorf("198.51.100.1: %v", err)
	}
}
