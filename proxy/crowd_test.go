package proxy

import (
	"net"
	"os"
	"runtime"
	"runtime/pprof"
	"testing"

	"golang.org/x/sys/unix"

	"polyclam/test/testkit"
)

// crowdSize is how many clients wait at the same time.
const crowdSize = 2000

// waiting are the states in which a client may wait for long, and the most memory that one
// may then take: objects on the heap and the stack of its goroutine.
var waitStates = []struct {
	name  string
	send  string
	heap  uint64
	stack uint64
}{
	{"no command", "", 2000, 2600},
	{"in a session", "zIDSESSION\x00", 3000, 2600},
	{"in a stream", "zINSTREAM\x00\x00\x01\x00\x00x", 4000, 2600},
}

func TestWaitingMemory(t *testing.T) {
	for _, w := range waitStates {
		t.Run(w.name, func(t *testing.T) {
			ts := newServer(t, func(cfg *Config) { cfg.Limits.Connections = 2 * crowdSize }, eicarOnly())
			ts.ask("zPING\x00")
			before := memory()
			fds := make([]int, crowdSize)
			for i := range fds {
				fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
				if err != nil {
					t.Fatal(err)
				}
				defer unix.Close(fd)
				fds[i] = fd
				if err := unix.Connect(fd, &unix.SockaddrUnix{Name: ts.addr}); err != nil {
					t.Fatal(err)
				}
				if w.send != "" {
					unix.Write(fd, []byte(w.send))
				}
			}
			testkit.Eventually(t, "all wait", func() bool {
				p := readProcess()
				return p.Goroutines > crowdSize
			})
			testkit.Eventually(t, "all wait 2", func() bool {
				a := memory()
				b := memory()
				return a == b
			})
			after := memory()
			t.Logf("heap %d stack %d total alloc %d mallocs %d", (after.heap-before.heap)/crowdSize, (after.stack-before.stack)/crowdSize, (after.total-before.total)/crowdSize, (after.objects-before.objects)/crowdSize)
			if dir := os.Getenv("HEAPDIR"); dir != "" {
				f, _ := os.Create(dir + "/" + w.name + ".pprof")
				pprof.Lookup("heap").WriteTo(f, 0)
				f.Close()
			}
			_ = net.Dial
		})
	}
}

type memoryUse struct{ heap, stack, total, objects uint64 }

func memory() memoryUse {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return memoryUse{m.HeapAlloc, m.StackInuse, m.TotalAlloc, m.HeapObjects}
}
