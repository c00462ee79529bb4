package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"polyclam/backends/testfile"
	"polyclam/test/testkit"
)

// marker is in every object of these tests, but in none of polyclamd's health checks.
const marker = "object of this test"

// fakeClamd is a clamd with a delay.
type fakeClamd struct {
	address string
	latency time.Duration

	accepted atomic.Int64
	objects  atomic.Int64 // of the test
	checks   atomic.Int64 // of polyclamd's health checks
	reloads  atomic.Int64
}

func startFakeClamd(t *testing.T, path string, latency time.Duration) *fakeClamd {
	t.Helper()
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := &fakeClamd{address: "unix:" + path, latency: latency}
	var serving sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	serving.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			s.accepted.Add(1)
			mu.Lock()
			open = append(open, nc)
			mu.Unlock()
			serving.Go(func() {
				defer nc.Close()
				s.serve(nc)
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		mu.Lock()
		for _, nc := range open {
			nc.Close()
		}
		mu.Unlock()
		serving.Wait()
	})
	return s
}

func (s *fakeClamd) serve(nc net.Conn) {
	r := bufio.NewReader(nc)
	for id := 0; ; {
		command, err := r.ReadString(0)
		if err != nil {
			return
		}
		reply := "UNKNOWN COMMAND"
		switch command {
		case "zIDSESSION\x00":
			id = 1
			continue
		case "zRELOAD\x00":
			s.reloads.Add(1)
			reply = "RELOADING"
		case "zVERSION\x00":
			reply = "ClamAV 1.4.6"
		case "zINSTREAM\x00":
			data, err := readChunks(r)
			if err != nil {
				return
			}
			reply = "stream: " + s.scan(data)
		}
		if id > 0 {
			reply = fmt.Sprintf("%d: %s", id, reply)
			id++
		}
		if _, err := io.WriteString(nc, reply+"\x00"); err != nil || id == 0 {
			return
		}
	}
}

func (s *fakeClamd) scan(data []byte) string {
	if !bytes.Contains(data, []byte(marker)) {
		s.checks.Add(1)
	} else {
		s.objects.Add(1)
	}
	time.Sleep(s.latency) // the engine's work, not a wait of the test
	if bytes.Contains(data, testfile.EICAR()) {
		return "Eicar-Test-Signature FOUND"
	}
	return "OK"
}

func readChunks(r io.Reader) ([]byte, error) {
	var data bytes.Buffer
	for {
		var size uint32
		if err := binary.Read(r, binary.BigEndian, &size); err != nil || size == 0 {
			return data.Bytes(), err
		}
		if _, err := io.CopyN(&data, r, int64(size)); err != nil {
			return nil, err
		}
	}
}

// requestFor returns the request to scan object i, and the expected reply.
func requestFor(i int) (request, reply string) {
	object, reply := fmt.Sprintf("%s, number %d. ", marker, i), "stream: OK\x00"
	if i%2 == 1 {
		object, reply = object+string(testfile.EICAR()), "stream: Eicar-Test-Signature FOUND\x00"
	}
	size := binary.BigEndian.AppendUint32(nil, uint32(len(object)))
	return "zINSTREAM\x00" + string(size) + object + "\x00\x00\x00\x00", reply
}

// clamdEngine is an [[engine]] with these nodes.
func clamdEngine(name, more string, nodes ...*fakeClamd) string {
	var addresses []string
	for _, s := range nodes {
		addresses = append(addresses, fmt.Sprintf("%q", s.address))
	}
	return fmt.Sprintf("[[engine]]\nname = %q\nbackend = \"clamd\"\naddresses = [%s]\ntransport = \"stream\"\nsize_check = false\n%s\n",
		name, strings.Join(addresses, ", "), more)
}

// TestReloadKeepsEngines reloads an unchanged configuration. The engine gets no connection or
// health check, and polyclamd keeps its counters.
func TestReloadKeepsEngines(t *testing.T) {
	dir := testkit.SocketDir(t)
	socket := filepath.Join(dir, "s")
	engine := startFakeClamd(t, filepath.Join(dir, "e"), 0)
	config := unixListener(socket) + clamdEngine("clamav", "", engine)
	d := startDaemon(t, writeConfig(t, dir, config), nil)
	number := 0
	scan := func() {
		t.Helper()
		request, reply := requestFor(number)
		wantReply(t, "unix", socket, request, reply)
		number++
	}
	scan()
	status := func() string {
		t.Helper()
		reply, err := ask("unix", socket, "zXSTATUS\x00")
		if err != nil {
			t.Fatal(err)
		}
		return reply
	}
	testkit.Eventually(t, "the end of the first health check", func() bool {
		return strings.Contains(status(), "canary_encrypted=") && !strings.Contains(status(), "in_flight=1")
	})
	scan()
	accepted, checks := engine.accepted.Load(), engine.checks.Load()
	for range 5 {
		d.reload(reloaded)
		scan()
		writeConfig(t, dir, config+"timeout = \"never\"\n")
		d.reload(refused)
		scan()
		writeConfig(t, dir, config+"timeout = \"50s\"\nmax_scans = 3\nrequired = false\n")
		d.reload(reloaded)
		scan()
		writeConfig(t, dir, config)
	}
	if a, c := engine.accepted.Load(), engine.checks.Load(); a != accepted || c != checks {
		t.Errorf("%d connections and %d health checks during the reloads", a-accepted, c-checks)
	}
	if got, want := status(), fmt.Sprintf(" scans=%d failures=0 ", number); !strings.Contains(got, want) {
		t.Errorf("the status is %q, want it to contain %q", got, want)
	}
	d.stop()
}

// TestReloadLosesNothing runs scans of 300 ms during reloads of every kind.
func TestReloadLosesNothing(t *testing.T) {
	dir := testkit.SocketDir(t)
	socket := filepath.Join(dir, "s")
	var e []*fakeClamd
	for _, name := range []string{"a", "b", "c"} {
		e = append(e, startFakeClamd(t, filepath.Join(dir, name), 300*time.Millisecond))
	}
	listener, hashes := unixListener(socket), filepath.Join(dir, "local.hdb")
	inspect := fmt.Sprintf("[[engine]]\nname = \"lists\"\nbackend = \"inspect\"\nhashes = [%q]\n", hashes)
	list := func(text string) {
		t.Helper()
		if err := os.WriteFile(hashes, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	list("# none\n")
	first := listener + clamdEngine("clamav", "", e[0], e[1]) + inspect
	d := startDaemon(t, writeConfig(t, dir, first), nil)

	const scans, clients = 300, 20
	var next, lost atomic.Int64
	var scanning sync.WaitGroup
	for range clients {
		scanning.Go(func() {
			for i := next.Add(1); i <= scans; i = next.Add(1) {
				request, reply := requestFor(int(i))
				if got, err := ask("unix", socket, request); err != nil || got != reply {
					lost.Add(1)
					t.Errorf("scan %d: %q, %v", i, got, err)
				}
			}
		})
	}
	steps := []struct{ outcome, config string }{
		{reloaded, first},
		{refused, first + "[limits]\nstream = \"lots\"\n"},
		{reloaded, listener + unixListener(filepath.Join(dir, "t")) + clamdEngine("clamav", "", e[0], e[1]) + inspect},
		{reloaded, listener + clamdEngine("clamav", "timeout = \"50s\"\nmax_scans = 3", e[0], e[1]) + inspect},
		{reloaded, listener + clamdEngine("clamav", "required = false", e[0], e[1]) + inspect},
		{reloaded, listener + clamdEngine("clamav", "canary = false", e[0], e[1]) + inspect},
		{reloaded, listener + clamdEngine("clamav", "", e[0], e[1], e[2]) + inspect},
		{reloaded, listener + clamdEngine("clamav", "connect_timeout = \"7s\"", e[0], e[1], e[2]) + inspect},
		{reloaded, listener + clamdEngine("clamav", "connect_timeout = \"7s\"", e[2]) + inspect},
		{reloaded, listener + clamdEngine("other", "", e[0], e[2])},
		{reloaded, listener + clamdEngine("another", "", e[0], e[1]) + inspect},
	}
	for i, step := range steps {
		list(fmt.Sprintf("# changed %d times\n", i))
		writeConfig(t, dir, step.config)
		before := next.Load()
		d.reload(step.outcome)
		testkit.Eventually(t, "more scans", func() bool { return next.Load() >= min(before+scans/int64(len(steps)), scans) })
	}
	scanning.Wait()
	t.Logf("count: %d scans during %d reloads, %d lost", scans, len(steps), lost.Load())
	d.stop()
}
