package e2e

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"polyclam/test/clamdtest"
)

// fairConfig has only inspect, and limits that one client soon reaches.
const fairConfig = `
[[listener]]
address = "unix:${DIR}/p.sock"
mode = "0666"

[[listener]]
address = "tcp:127.0.0.1:${PORT}"

[[engine]]
name = "inspect"
backend = "inspect"

[limits]
connections = 100
waiting = 50
stream = "8MiB"
spool_total = "64MiB"

[spool]
directory = "${DIR}/tmp"
`

// greedy is another client with n connections. Each sends the beginning of a stream and
// never its end.
func greedy(t *testing.T, to string, n int, stream string) {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}, Timeout: hang}
	for range n {
		nc, err := d.Dial("tcp", to)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { nc.Close() })
		nc.SetDeadline(time.Now().Add(hang))
		go func() { io.WriteString(nc, "zINSTREAM\x00"+stream) }() // it may wait, or be cut off
	}
}

// TestOthersAreServed lets one client take all the connections and spool it can get.
// Other clients are still served.
func TestOthersAreServed(t *testing.T) {
	for _, test := range []struct {
		name, stream string
		n            int
	}{
		{"connections", "\x00\x00\x10\x00x", 300},
		{"spool", "\x00\x70\x00\x00" + strings.Repeat("x", 0x6fffff), 30},
	} {
		t.Run(test.name, func(t *testing.T) {
			polyclam := clamdtest.StartPolyclam(t, fairConfig, clamdtest.Options{})
			greedy(t, polyclam.TCP, test.n, test.stream)
			for range 20 { // while it keeps taking
				for network, address := range map[string]string{"unix": polyclam.Socket, "tcp": polyclam.TCP} {
					ask := func(request string) (string, error) { return ask(network, address, request) }
					if reply, err := ask("zPING\x00"); err != nil || reply != "PONG\x00" {
						t.Errorf("PING: %q, %v", reply, err)
					}
					for _, size := range []int{1 << 10, 3 << 20} {
						if reply, err := ask(instream(filler(size))); err != nil || reply != "stream: OK\x00" {
							t.Errorf("%d bytes: %q, %v", size, reply, err)
						}
					}
				}
			}
		})
	}
}
