package e2e

import (
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"polyclam/test/child"
	"polyclam/test/clamdtest"
)

const (
	idleClients = 2000
	slowClients = 500
)

// TestCrowd holds 2,000 idle connections and 500 clients that send one byte a second
// inside INSTREAM. PING and the scans of other clients still work. Times and memory are
// printed, not judged.
func TestCrowd(t *testing.T) {
	clamd := clamdtest.Start(t, clamdtest.Options{})
	polyclam := clamdtest.StartPolyclam(t, config(clamd.Socket, ""), clamdtest.Options{})
	alone, aloneMemory := measure(t, polyclam), resident(t, polyclam.Pid)

	conns := crowd(t, polyclam.Socket)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { trickle(conns[idleClients:], stop) })
	crowded, crowdedMemory := measure(t, polyclam), resident(t, polyclam.Pid)
	close(stop)
	wg.Wait()

	t.Logf("table: %-12s %14s %14s", "p99 of", "alone", "in the crowd")
	for _, what := range []string{"PING", "scan 1 KiB", "scan 1 MiB"} {
		t.Logf("table: %-12s %14v %14v", what, alone[what], crowded[what])
	}
	t.Logf("table: %-12s %11d KiB %11d KiB, %d bytes for each of %d clients", "resident", aloneMemory>>10, crowdedMemory>>10,
		(crowdedMemory-aloneMemory)/int64(len(conns)), len(conns))

	for _, c := range conns {
		c.Close()
	}
	poll(t, "the descriptors of the crowd", func() bool {
		n, err := child.Descriptors(polyclam.Pid)
		return err == nil && n < 100
	})
}

// crowd opens the connections, the idle ones first. The others have sent the command
// and the length of a large chunk.
func crowd(t *testing.T, socket string) []net.Conn {
	t.Helper()
	var conns []net.Conn
	t.Cleanup(func() {
		for _, c := range conns {
			c.Close()
		}
	})
	for i := range idleClients + slowClients {
		c, err := net.DialTimeout("unix", socket, hang)
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		conns = append(conns, c)
		if i < idleClients {
			continue
		}
		if _, err := io.WriteString(c, "zINSTREAM\x00\x00\x10\x00\x00"); err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
	}
	return conns
}

// trickle sends one byte a second on every connection.
func trickle(conns []net.Conn, stop <-chan struct{}) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		for _, c := range conns {
			c.SetWriteDeadline(time.Now().Add(hang))
			io.WriteString(c, "x")
		}
		select {
		case <-stop:
			return
		case <-tick.C:
		}
	}
}

// measure sends several hundred requests for each kind of answer, four at a time, and
// returns the 99th percentiles. Every answer must come and be right.
func measure(t *testing.T, p *clamdtest.Polyclam) map[string]time.Duration {
	t.Helper()
	p99 := map[string]time.Duration{}
	for _, kind := range []struct {
		name, request, want string
		rounds              int
	}{
		{"PING", "zPING\x00", "PONG\x00", 100},
		{"scan 1 KiB", instream(filler(1 << 10)), "stream: OK\x00", 100},
		{"scan 1 MiB", instream(filler(1<<20) + clamdtest.One), "stream: " + clamdtest.OneName + " FOUND\x00", 10},
	} {
		var mu sync.Mutex
		var times []time.Duration
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range kind.rounds {
					start := time.Now()
					reply, err := ask("unix", p.Socket, kind.request)
					elapsed := time.Since(start)
					if err != nil || reply != kind.want {
						t.Errorf("%s: %q, %v", kind.name, reply, err)
						return
					}
					mu.Lock()
					times = append(times, elapsed)
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if len(times) == 0 {
			t.Fatalf("%s: no answers", kind.name)
		}
		slices.Sort(times)
		p99[kind.name] = times[len(times)*99/100]
	}
	return p99
}

// filler is n bytes that no cache has seen.
func filler(n int) string {
	s := fmt.Sprintf("filler at %d ", time.Now().UnixNano())
	for len(s) < n {
		s += s
	}
	return s[:n]
}

func resident(t *testing.T, pid int) int64 {
	t.Helper()
	n, err := child.Resident(pid)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
