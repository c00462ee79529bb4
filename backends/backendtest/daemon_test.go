package backendtest

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"polyclam/backends"
)

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	network, addr, err := backends.ParseAddress(address)
	if err != nil {
		t.Fatal(err)
	}
	nc, err := net.Dial(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(patience))
	return nc
}

func TestDaemon(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		t.Run(network, func(t *testing.T) {
			NoLeaks(t)
			d := StartDaemon(t, network,
				Script{Want(Composed("zPING\x00")), SendSplit(Composed("PONG\x00"), 2), CloseWrite(), Drain()},
				Script{WantUntil('\n', 100, func(l string) bool { return l == "hello\n" }), Send(Composed("bye\n")), Close()},
			)
			for i, c := range [][2]string{{"zPING\x00", "PONG\x00"}, {"hello\n", "bye\n"}, {"hello\n", "bye\n"}} {
				nc := dial(t, d.Address())
				io.WriteString(nc, c[0])
				got, err := io.ReadAll(nc)
				if string(got) != c[1] || err != nil {
					t.Errorf("connection %d: %q, %v", i, got, err)
				}
				if got := string(d.Received(i)); got != c[0] {
					t.Errorf("connection %d: received %q", i, got)
				}
				nc.Close()
			}
			if d.Connections() != 3 || d.Received(3) != nil {
				t.Errorf("%d connections", d.Connections())
			}
		})
	}
}

func TestDaemonReset(t *testing.T) {
	d := StartDaemon(t, "tcp", Script{Discard(1), Reset()})
	nc := dial(t, d.Address())
	io.WriteString(nc, "x")
	if _, err := io.ReadAll(nc); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%v, want a reset", err)
	}
}

// TestDaemonEnds ends a test while daemons are in the middle of every kind of step.
func TestDaemonEnds(t *testing.T) {
	NoLeaks(t)
	for _, step := range []Step{Hang(), Drain(), Discard(10), Want(Composed("x")), Sleep(time.Hour), Flood(Composed("x")), Wait(make(chan struct{}))} {
		dial(t, StartDaemon(t, "unix", Script{step}).Address())
	}
	StartDaemon(t, "tcp", Script{Hang()})
}

// spy records failures instead of failing the test.
type spy struct {
	testing.TB
	errors chan string
}

func (s spy) Errorf(format string, _ ...any) { s.errors <- format }
func (s spy) Helper()                        {}

func TestDaemonMismatch(t *testing.T) {
	for name, step := range map[string]Step{
		"want":       Want(Composed("hello")),
		"want until": WantUntil('\n', 5, func(l string) bool { return l == "hello\n" }),
	} {
		s := spy{t, make(chan string, 1)}
		nc := dial(t, StartDaemon(s, "unix", Script{step}).Address())
		io.WriteString(nc, "help!\n")
		select {
		case <-s.errors:
		case <-time.After(patience):
			t.Errorf("%s: the test does not fail", name)
		}
	}
}

func TestNoLeaksDetects(t *testing.T) {
	before := openFiles()
	f, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if len(openFiles()) != len(before)+1 {
		t.Errorf("%q, before %q", openFiles(), before)
	}
	if !strings.Contains(string(stacks()), "TestNoLeaksDetects") {
		t.Error("no stacks")
	}
}

func TestAddresses(t *testing.T) {
	for address, want := range map[string]error{
		Missing(t): syscall.ENOENT, Refusing(t, "unix"): syscall.ECONNREFUSED, Refusing(t, "tcp"): syscall.ECONNREFUSED,
	} {
		network, addr, err := backends.ParseAddress(address)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := net.Dial(network, addr); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", address, err, want)
		}
	}
}
