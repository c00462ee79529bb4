package proxy

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"polyclam/backends"
	"polyclam/backends/clamd"
	"polyclam/proxy/engine"
	"polyclam/proxy/policy"
	"polyclam/proxy/spool"
	"polyclam/proxy/status"
	"polyclam/test/bench/nullclamd"
	"polyclam/test/testkit"
)

// BenchmarkInstream measures scans, each on its own connection. The client and the clamd in
// this process allocate next to nothing, so the allocations are those of the server.
func BenchmarkInstream(b *testing.B) {
	for _, size := range []int{1 << 10, 10 << 10, 1 << 20} {
		for _, clients := range []int{1, 16} {
			b.Run(fmt.Sprintf("%dk/x%d", size>>10, clients), func(b *testing.B) { benchInstream(b, size, clients) })
		}
	}
}

func benchInstream(b *testing.B, size, clients int) {
	address := benchServer(b)
	request := binary.BigEndian.AppendUint32([]byte("zINSTREAM\x00"), uint32(size))
	request = append(append(request, make([]byte, size)...), 0, 0, 0, 0)
	b.ReportAllocs()
	b.ResetTimer()
	ended := make(chan error, clients)
	for i := range clients {
		go func() {
			to := &unix.SockaddrUnix{Name: address}
			reply := make([]byte, 64)
			for n := i; n < b.N; n += clients {
				if err := benchScan(to, request, reply); err != nil {
					ended <- err
					return
				}
			}
			ended <- nil
		}()
	}
	for range clients {
		if err := <-ended; err != nil {
			b.Fatal(err)
		}
	}
}

func benchScan(to unix.Sockaddr, request, reply []byte) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Connect(fd, to); err != nil {
		return err
	}
	for len(request) > 0 {
		n, err := unix.Write(fd, request)
		if err != nil {
			return err
		}
		request = request[n:]
	}
	n, err := unix.Read(fd, reply)
	if err == nil && !bytes.Equal(reply[:n], []byte("stream: OK\x00")) {
		err = fmt.Errorf("answered %q", reply[:n])
	}
	return err
}

// benchServer runs a server as the daemon does, and returns the path of its socket.
func benchServer(b *testing.B) string {
	dir := testkit.SocketDir(b)
	null, err := nullclamd.Listen(filepath.Join(dir, "clamd"))
	if err != nil {
		b.Fatal(err)
	}
	go null.Serve()
	b.Cleanup(func() { null.Close() })
	engine, err := clamd.NewConfig().Open("unix:" + filepath.Join(dir, "clamd"))
	if err != nil {
		b.Fatal(err)
	}
	sp, err := spool.New(spool.Config{Memory: 256 << 10, Total: 2 << 30})
	if err != nil {
		b.Fatal(err)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { log.Close() })
	path := filepath.Join(dir, "s")
	return benchServe(b, path, sp, log, engine)
}

func benchServe(b *testing.B, path string, sp *spool.Spool, log io.Writer, scanner backends.Backend) string {
	profile, _ := status.Lookup("generic")
	cfg := &Config{
		Listeners: []Listener{{Address: "unix:" + path, Profile: profile, Policy: policy.Default()}},
		Engines: []*engine.Engine{engine.New(engine.Config{
			Name: "clamav", Kind: "clamd", Required: true, Canary: true, MaxSize: 100 << 20,
			Nodes: []engine.Node{{Address: "unix:clamd", Backend: scanner}}, Log: zerolog.Nop(), Spool: sp,
		})},
		Limits: Limits{
			Stream: 100 << 20, CommandReadTimeout: patience, ReadTimeout: patience, WriteTimeout: patience,
			Connections: 1000, SessionScans: 4,
		},
	}
	s := NewServer(ServerOptions{Config: cfg, Spool: sp, Log: zerolog.New(log).With().Timestamp().Logger(), Stop: func() {}})
	ln := listenUnix(b, path)
	go s.Serve(ln, "unix:"+path)
	b.Cleanup(func() { s.Shutdown(context.Background()) })
	return path
}
