package e2e

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"polyclam/test/clamdtest"
)

// TestNames lets the nodes of an engine change with the answers of a name server while
// clients scan: hosts and services, nodes that come, go and are swapped, and a name server
// that knows nothing, fails or is silent. There is no reload, and no scan may be lost.
func TestNames(t *testing.T) {
	port := clamdtest.Port(t)
	for i := 2; i <= 4; i++ {
		clamdtest.Start(t, clamdtest.Options{Conf: []string{"TCPSocket " + port, fmt.Sprintf("TCPAddr 127.0.0.%d", i)}})
	}
	hosts, services := startZone(t), startZone(t)
	a := func(hosts ...int) (list []string) {
		for _, i := range hosts {
			list = append(list, fmt.Sprintf("clamd.example. 0 A 127.0.0.%d", i))
		}
		return list
	}
	// srv has one record for each host, "host/priority".
	srv := func(nodes ...string) (list []string) {
		for _, one := range nodes {
			host, priority, _ := strings.Cut(one, "/")
			list = append(list, fmt.Sprintf("_clamd._tcp.example. 0 SRV %s 1 %s node%s.example.", priority, port, host), fmt.Sprintf("node%s.example. 0 A 127.0.0.%s", host, host))
		}
		return list
	}
	for _, tt := range []struct {
		name, address string
		zone          *zone
		add, all      []string
	}{
		{"host", "dns:clamd.example.:" + port, hosts, a(2), a(2, 3, 4)},
		{"service", "srv:_clamd._tcp.example.", services, srv("2/1"), srv("2/1", "3/1", "4/2")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.zone.set(t, dns.RcodeNameError, false)
			polyclam := clamdtest.StartPolyclam(t, fmt.Sprintf(`
[[listener]]
address = "unix:${DIR}/p.sock"

[[engine]]
name = "clamav"
backend = "clamd"
address = %q
name_servers = [%q]
resolve = "1s"
size_check = false

[spool]
directory = "${DIR}/tmp"

[log]
format = "json"
`, tt.address, tt.zone.address), clamdtest.Options{})
			ups := regexp.MustCompile(`state=up `)
			nodes := func(want ...string) {
				t.Helper()
				slices.Sort(want)
				poll(t, fmt.Sprintf("exactly these nodes, up: %q", want), func() bool {
					reply, _ := ask("unix", polyclam.Socket, "zXSTATUS\x00")
					var got []string
					for line := range strings.SplitSeq(reply, "\x00") {
						if m := nodeAddress.FindStringSubmatch(line); m != nil && ups.MatchString(line+" ") {
							got = append(got, m[1])
						}
					}
					slices.Sort(got)
					return slices.Equal(got, want) && strings.Count(reply, " NODE\x00") == len(want)
				})
			}
			node := func(i int) string { return fmt.Sprintf("tcp:127.0.0.%d:%s", i, port) }

			// Without any answer, scans fail quickly and say why.
			begin := time.Now()
			reply, err := ask("unix", polyclam.Socket, instream("early"))
			if err != nil || !strings.HasSuffix(reply, " ERROR\x00") {
				t.Errorf("no node: %q, %v", reply, err)
			}
			t.Logf("without an answer: %q after %v", reply, time.Since(begin).Round(time.Millisecond))
			poll(t, "the reason in the status", func() bool {
				reply, _ := ask("unix", polyclam.Socket, "zXSTATUS\x00")
				return strings.Contains(reply, "NXDOMAIN")
			})
			tt.zone.set(t, dns.RcodeSuccess, false, tt.add...)
			nodes(node(2))

			var stop atomic.Bool
			var scans, lost, longest atomic.Int64
			var clients sync.WaitGroup
			t.Cleanup(func() { stop.Store(true); clients.Wait() })
			for i := range 8 {
				clients.Go(func() {
					object, want := "nothing bad", "stream: OK\x00"
					if i%2 == 1 {
						object, want = clamdtest.One, "stream: "+clamdtest.OneName+" FOUND\x00"
					}
					pace := time.NewTicker(20 * time.Millisecond)
					defer pace.Stop()
					for ; !stop.Load(); <-pace.C {
						begin := time.Now()
						if reply, err := ask("unix", polyclam.Socket, instream(object)); err != nil || reply != want {
							lost.Add(1)
							t.Errorf("%q, %v, want %q", reply, err, want)
						}
						scans.Add(1)
						if took := int64(time.Since(begin)); took > longest.Load() {
							longest.Store(took) // for information: two clients may overwrite each other
						}
					}
				})
			}
			step := func(what string, rcode int, silent bool, records []string, want ...string) {
				t.Helper()
				before, begin := scans.Load(), time.Now()
				asked := tt.zone.asked.Load()
				tt.zone.set(t, rcode, silent, records...)
				poll(t, "lookups", func() bool { return tt.zone.asked.Load() >= asked+2 })
				nodes(want...)
				poll(t, "200 scans", func() bool { return scans.Load() >= before+200 })
				t.Logf("%-28s %5d scans in %v", what, scans.Load()-before, time.Since(begin).Round(10*time.Millisecond))
			}
			rest := tt.all[len(tt.add):] // without the first node
			step("two nodes added", dns.RcodeSuccess, false, tt.all, node(2), node(3), node(4))
			step("one removed", dns.RcodeSuccess, false, rest, node(3), node(4))
			step("all swapped", dns.RcodeSuccess, false, tt.add, node(2))
			step("and back", dns.RcodeSuccess, false, rest, node(3), node(4))
			step("NXDOMAIN", dns.RcodeNameError, false, nil, node(3), node(4))
			step("SERVFAIL", dns.RcodeServerFailure, false, nil, node(3), node(4))
			step("no records", dns.RcodeSuccess, false, nil, node(3), node(4))
			step("silent", dns.RcodeSuccess, true, nil, node(3), node(4))
			step("all nodes", dns.RcodeSuccess, false, tt.all, node(2), node(3), node(4))
			stop.Store(true)
			clients.Wait()
			t.Logf("%d scans, %d lost, the slowest took %v", scans.Load(), lost.Load(), time.Duration(longest.Load()).Round(time.Millisecond))
			log := polyclam.Log()
			if strings.Contains(log, `"reloaded"`) || strings.Count(log, `"name not resolved"`) < 2 || !strings.Contains(log, `"name resolved again"`) {
				t.Error("the log has a reload, or lacks the trouble with the name")
			}
		})
	}
}

var nodeAddress = regexp.MustCompile(` address="?([^" ]+)`)
