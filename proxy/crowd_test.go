package proxy

import (
	"net/netip"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"polyclam/test/testkit"
)

// crowdSize is how many clients wait at the same time.
const crowdSize = 1000

// mostStack is the most stack of a client that waits, in bytes: the 2 KiB that a goroutine
// starts with, and a part of what others need. With 4 KiB the test fails.
const mostStack = 3000

// TestWaitingClients checks how much memory clients need that wait, and that nothing is lost
// when they go on.
func TestWaitingClients(t *testing.T) {
	for _, tt := range []struct {
		name, begin, end, want string
		most                   uint64 // bytes on the heap for each
	}{
		{"no command", "", "zPING\x00", "PONG\x00", 1900},
		{"in a session", "zIDSESSION\x00", "zPING\x00", "1: PONG\x00", 2500},
		{"in a stream", "zINSTREAM\x00\x00\x00\x00\x02x", "y\x00\x00\x00\x00", "stream: OK\x00", 3900},
		{"in the length of a chunk", "zINSTREAM\x00\x00\x00\x00\x01x\x00\x00", "\x00\x00", "stream: OK\x00", 3900},
		{"in a stream of a session", "zIDSESSION\x00zINSTREAM\x00\x00\x00\x00\x02x", "y\x00\x00\x00\x00", "1: stream: OK\x00", 4300},
	} {
		for _, network := range []string{"unix", "tcp"} {
			t.Run(tt.name+"/"+network, func(t *testing.T) {
				ts := newServer(t, overTCP(func(cfg *Config) { cfg.Limits.Connections = 2 * crowdSize }), eicarOnly())
				var to unix.Sockaddr = &unix.SockaddrUnix{Name: ts.addr}
				domain := unix.AF_UNIX
				if network == "tcp" {
					a := netip.MustParseAddrPort(ts.listenTCP())
					to, domain = &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}, unix.AF_INET
				}
				ts.ask("zPING\x00")
				heap, stack := memoryInUse()
				clients := crowd(t, domain, to, tt.begin)
				var heapEach, stackEach uint64
				defer func() { t.Logf("bytes for each client: %d of heap, %d of stack", heapEach, stackEach) }()
				testkit.Eventually(t, "all clients are served, and need little memory", func() bool {
					if ts.served() < crowdSize {
						return false
					}
					h, s := memoryInUse()
					heapEach, stackEach = (max(h, heap)-heap)/crowdSize, (max(s, stack)-stack)/crowdSize
					return heapEach <= tt.most && (stackEach <= mostStack || raced)
				})
				for i, fd := range clients {
					say(t, fd, tt.end)
					reply := make([]byte, len(tt.want))
					n, err := unix.Read(fd, reply)
					for err == unix.EINTR { // Go's runtime sends itself signals
						n, err = unix.Read(fd, reply)
					}
					if err != nil || string(reply[:n]) != tt.want {
						t.Fatalf("client %d: %q, %v", i, reply[:max(n, 0)], err)
					}
				}
			})
		}
	}
}

// served is how many sessions there are.
func (ts *testServer) served() int {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	return len(ts.sessions)
}

// crowd connects clients that say p. They are descriptors, because each would otherwise need
// more memory than its session.
func crowd(t *testing.T, domain int, to unix.Sockaddr, p string) []int {
	t.Helper()
	fds := make([]int, 0, crowdSize)
	t.Cleanup(func() {
		for _, fd := range fds {
			unix.Close(fd)
		}
	})
	for range crowdSize {
		fd, err := unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		fds = append(fds, fd)
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: int64(patience.Seconds())})
		if err := unix.Connect(fd, to); err != nil {
			t.Fatal(err)
		}
		say(t, fd, p)
	}
	return fds
}

func say(t *testing.T, fd int, p string) {
	t.Helper()
	if _, err := unix.Write(fd, []byte(p)); p != "" && err != nil {
		t.Fatal(err)
	}
}

// memoryInUse returns the bytes on the heap and of stacks.
func memoryInUse() (heap, stack uint64) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc, m.StackInuse
}
