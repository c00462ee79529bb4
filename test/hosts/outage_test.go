package hosts

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"polyclam/test/clamdtest"
	"polyclam/test/testkit"
)

// load has clients scan the objects again and again, and counts replies.
type load struct {
	stop   atomic.Bool
	wg     sync.WaitGroup
	good   atomic.Int64
	bad    atomic.Int64
	slow   atomic.Int64 // those that took longer than slowTime
	longer atomic.Int64 // the longest, in nanoseconds
}

const slowTime = 15 * time.Millisecond

func startLoad(t *testing.T, h *host, clients int, objects []string) *load {
	l := &load{}
	for i := range clients {
		l.wg.Go(func() {
			for n := i; !l.stop.Load(); n++ {
				begin := time.Now()
				reply, err := try(h.Socket, stream("INSTREAM", objects[n%len(objects)]))
				took := time.Since(begin)
				if err != nil || !strings.HasSuffix(reply, "OK\x00") {
					l.bad.Add(1)
				} else {
					l.good.Add(1)
				}
				if took > slowTime {
					l.slow.Add(1)
				}
				for longest := l.longer.Load(); int64(took) > longest && !l.longer.CompareAndSwap(longest, int64(took)); longest = l.longer.Load() {
				}
			}
		})
	}
	t.Cleanup(l.end)
	return l
}

func (l *load) end() {
	l.stop.Store(true)
	l.wg.Wait()
}

func (l *load) more(t *testing.T, n int64) {
	t.Helper()
	want := l.good.Load() + n
	testkit.Eventually(t, fmt.Sprintf("%d more scans", n), func() bool { return l.good.Load() >= want })
}

// TestStoreStops stops Redis under load, with SIGSTOP: connections stay, and nothing is
// answered. A few lookups wait for the budget, then none, and no scan fails. Redis is used
// again when it goes on.
func TestStoreStops(t *testing.T) {
	t.Parallel()
	s := startStore(t)
	clamd := clamdtest.Start(t, clamdtest.Options{Daily: true})
	one := s.startHost(t, options{clamd: "unix:" + clamd.Socket})
	var list []string
	for i := range 20 {
		list = append(list, fmt.Sprint("a clean mail ", i))
	}
	one.keep(list...)
	const budget = 20 * time.Millisecond
	h := s.startHost(t, options{clamd: "unix:" + clamd.Socket, memory: "0", budget: budget.String()})
	const clients = 8
	l := startLoad(t, h, clients, list)
	testkit.Eventually(t, "hits under load", func() bool { return h.cache().Engines[0].Shared > 500 })
	// The test machine may be so slow that the running Redis is late; that is not counted.
	var before counters
	testkit.Eventually(t, "Redis is used", func() bool { before = h.cache(); return before.Shared.State == "up" })
	slow, longest := l.slow.Load(), l.longer.Swap(0)
	s.Signal(syscall.SIGSTOP)
	testkit.Eventually(t, "the host has noticed", func() bool { return h.cache().Shared.State == "down" })
	after := h.cache()
	slowThen := l.slow.Load() - slow
	l.more(t, 500)
	last := h.cache()
	late := after.Shared.Late - before.Shared.Late
	t.Logf("measured: Redis stopped under load of %d clients: %d questions were late, %d scans took over %v until the host had noticed (longest before %v, while stopped %v); then 0 of %d lookups waited; %d replies not OK",
		clients, late, slowThen, slowTime, time.Duration(longest).Round(time.Millisecond), time.Duration(l.longer.Load()).Round(time.Millisecond),
		last.Shared.Skipped-after.Shared.Skipped, l.bad.Load())
	if late == 0 || late > 5 {
		t.Errorf("%d questions were late, want 1 to 5", late)
	}
	if last.Shared.Late != after.Shared.Late {
		t.Errorf("%d more questions were late although the host knows that Redis does not answer", last.Shared.Late-after.Shared.Late)
	}
	s.Signal(syscall.SIGCONT)
	resumed := time.Now()
	testkit.Eventually(t, "hits again", func() bool { return h.cache().Engines[0].Shared > last.Engines[0].Shared })
	t.Logf("measured: hits again %v after Redis went on", time.Since(resumed).Round(time.Millisecond))
	l.end()
	if l.bad.Load() != 0 {
		t.Errorf("%d of %d replies were not OK", l.bad.Load(), l.good.Load()+l.bad.Load())
	}
}

// TestEngineOfOneHost kills the clamd of one of two hosts. That host says so to every kind of
// check; the other one goes on, and with the cache too no host answers OK without an engine.
func TestEngineOfOneHost(t *testing.T) {
	t.Parallel()
	s := startStore(t)
	var clamds [2]*clamdtest.Clamd
	var hosts [2]*host
	var web, agent [2]string
	for i := range hosts {
		clamds[i] = clamdtest.Start(t, clamdtest.Options{Daily: true})
		web[i], agent[i] = "127.0.0.1:"+clamdtest.Port(t), "127.0.0.1:"+clamdtest.Port(t)
		hosts[i] = s.startHost(t, options{
			clamd: "unix:" + clamds[i].Socket, engine: "canary_interval = \"1s\"",
			more: fmt.Sprintf("[[listener]]\naddress = \"tcp:%s\"\nagent_check = true\n[http]\naddress = \"tcp:%s\"\n", agent[i], web[i]),
		})
	}
	ready := func(i int) (isReady bool, says string) {
		nc, err := net.DialTimeout("tcp", agent[i], hang)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		nc.SetDeadline(time.Now().Add(hang))
		b, _ := io.ReadAll(nc)
		page := hosts[i].get("tcp", web[i], "/readyz")
		says = fmt.Sprintf("agent: %s; /readyz: %s", strings.TrimSpace(string(b)), strings.TrimSpace(page))
		return strings.HasPrefix(string(b), "up") && !strings.HasPrefix(page, "503"), says
	}
	for i := range hosts {
		testkit.Eventually(t, "the host is ready", func() bool { isReady, _ := ready(i); return isReady })
	}
	hosts[0].keep("a clean mail")
	clamds[1].Kill()
	killed, says := time.Now(), ""
	testkit.Eventually(t, "host 2 is not ready", func() bool {
		var isReady bool
		isReady, says = ready(1)
		return !isReady && strings.Contains(says, "503") && strings.Contains(says, "down")
	})
	t.Logf("measured: host 2 not ready %v after its engine died (canary_interval 1s): %s", time.Since(killed).Round(time.Millisecond), strings.Join(strings.Fields(says), " "))
	if isReady, says := ready(0); !isReady {
		t.Errorf("host 1: %s", says)
	}
	for range 10 {
		if got := hosts[0].scan("a clean mail"); !strings.HasSuffix(got, "OK\x00") {
			t.Errorf("host 1: %q", got)
		}
		for _, o := range []string{"a clean mail", "another one"} {
			if got := hosts[1].scan(o); !strings.HasSuffix(got, "ERROR\x00") {
				t.Errorf("host 2 without an engine: %q", got)
			}
		}
	}
	clamds[1].Restart()
	testkit.Eventually(t, "host 2 is ready again", func() bool { isReady, _ := ready(1); return isReady })
	if got := hosts[1].scan("a clean mail"); !strings.HasSuffix(got, "OK\x00") {
		t.Errorf("host 2 with its engine: %q", got)
	}
}
