package clamd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"polyclam/backends/backendtest"
	"polyclam/test/clamdtest"
	"polyclam/test/testkit"
)

// okServer answers every scan of a session with OK, and returns its address. It does not
// allocate, so that only the client's allocations are counted.
func okServer(tb testing.TB, object string) string {
	tb.Helper()
	return testkit.Serve(tb, "unix", func(nc net.Conn) {
		// The first request arrives with IDSESSION; every request is one packet.
		b, oob := make([]byte, 1<<20), make([]byte, 64)
		for id := int64(1); ; id++ {
			n, oobn, _, _, err := nc.(*net.UnixConn).ReadMsgUnix(b, oob)
			if err != nil || n == 0 || bytes.HasSuffix(b[:n], []byte("zEND\x00")) {
				return
			}
			if oobn > 0 { // one descriptor: its number follows the header
				syscall.Close(int(oob[syscall.CmsgLen(0)]))
			}
			reply := strconv.AppendInt(b[:0], id, 10)
			reply = append(append(append(reply, ": "...), object...), ": OK\x00"...)
			nc.Write(reply)
		}
	})
}

// TestAllocations checks that a scan on a kept session costs about ten small allocations.
func TestAllocations(t *testing.T) {
	for transport, object := range map[string]string{transportStream: "stream", transportFildes: "fd[7]"} {
		b := open(t, okServer(t, object), transport)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		o := x(t)
		n := testing.AllocsPerRun(200, func() {
			if _, err := b.Scan(ctx, o); err != nil {
				t.Fatal(err)
			}
		})
		t.Logf("%s: %.1f allocations", transport, n)
		if n > 12 {
			t.Errorf("%s: %.1f allocations", transport, n)
		}
		b.Close()
	}
}

func BenchmarkScan(b *testing.B) {
	for _, bb := range []struct {
		name, transport, object string
		size                    int
	}{
		{"stream/1K", transportStream, "stream", 1 << 10},
		{"fildes/1K", transportFildes, "fd[7]", 1 << 10},
	} {
		b.Run(bb.name, func(b *testing.B) {
			e := open(b, okServer(b, bb.object), bb.transport)
			o := backendtest.LargeObject(b, bb.size)
			ctx, cancel := context.WithCancel(b.Context())
			defer cancel()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := e.Scan(ctx, o); err != nil {
					b.Fatal(err)
				}
			}
			e.Close()
		})
	}
}

// cpu returns the processor time that this process and process pid have used.
func cpu(b *testing.B, pid int) (client, server time.Duration) {
	var u syscall.Rusage
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err := errors.Join(err, syscall.Getrusage(syscall.RUSAGE_SELF, &u)); err != nil {
		b.Fatal(err)
	}
	fields := strings.Fields(string(stat))
	const utime, stime, tick = 13, 14, 10 * time.Millisecond
	user, _ := strconv.Atoi(fields[utime])
	system, _ := strconv.Atoi(fields[stime])
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), time.Duration(user+system) * tick
}

// BenchmarkRealClamd uses a real clamd, with sessions and with a connection for each scan.
// The processor times depend less on the load of the machine than the elapsed time.
func BenchmarkRealClamd(b *testing.B) {
	d := clamdtest.Start(b, clamdtest.Options{HideLog: true, TCP: true})
	for _, bb := range []struct{ name, address, transport string }{
		{"unix/stream", "unix:" + d.Socket, transportStream},
		{"unix/fildes", "unix:" + d.Socket, transportFildes},
		{"tcp/stream", "tcp:" + d.TCP, transportStream},
	} {
		for _, sessions := range []bool{true, false} {
			b.Run(fmt.Sprintf("%s/sessions=%v", bb.name, sessions), func(b *testing.B) {
				config := NewConfig().(*Config)
				config.Transport, config.Sessions = bb.transport, sessions
				e, err := config.Open(bb.address)
				if err != nil {
					b.Fatal(err)
				}
				defer e.(io.Closer).Close()
				o := backendtest.LargeObject(b, 1<<10)
				b.ReportAllocs()
				client, server := cpu(b, d.Pid)
				for b.Loop() {
					if _, err := e.Scan(b.Context(), o); err != nil {
						b.Fatal(err)
					}
				}
				clientNow, serverNow := cpu(b, d.Pid)
				b.ReportMetric(float64((clientNow-client).Microseconds())/float64(b.N), "client-cpu-µs/op")
				b.ReportMetric(float64((serverNow-server).Microseconds())/float64(b.N), "clamd-cpu-µs/op")
			})
		}
	}
}

var _ io.Closer = (*Backend)(nil)
