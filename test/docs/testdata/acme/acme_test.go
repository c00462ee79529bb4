package acme

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
)

func open(t testing.TB, address string) backends.Backend {
	t.Helper()
	b, err := NewConfig().Open(address)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// start starts a fake Acme AV that misbehaves as m says, and returns its address.
func start(t testing.TB, m backendtest.Misbehaviour) string {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() { l.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer nc.Close()
				serve(nc, m)
			})
		}
	})
	return "unix:" + l.Addr().String()
}

// serve answers one scan.
func serve(nc net.Conn, m backendtest.Misbehaviour) {
	r := bufio.NewReader(nc)
	var size int64
	if _, err := fmt.Fscanf(r, "SCAN %d\n", &size); err != nil {
		return
	}
	var object bytes.Buffer
	if m.Early && size > 1<<10 {
		io.CopyN(&object, r, 1<<10)
		io.WriteString(nc, answer(object.Bytes()))
		io.Copy(io.Discard, r)
		return
	}
	if _, err := io.CopyN(&object, r, size); err != nil {
		return
	}
	reply := answer(object.Bytes())
	if m.Odd != "" && bytes.Contains(object.Bytes(), []byte(backendtest.MarkOdd)) {
		reply = m.Odd
	}
	io.WriteString(nc, reply)
	if m.Repeat > 0 {
		time.Sleep(m.Repeat)
		io.WriteString(nc, reply)
	}
}

func answer(object []byte) string {
	switch backendtest.Marked(object) {
	case backends.OK:
		return "CLEAN\n"
	case backends.Virus:
		return "FOUND Eicar-Test\n"
	case backends.Encrypted:
		return "LOCKED\n"
	}
	return "ERROR not today\n"
}

func TestConformance(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backends.Backend {
		return open(t, start(t, backendtest.Misbehaviour{}))
	}, backendtest.Options{
		Encrypted: true,
		Dial:      func(t *testing.T, address string) backends.Backend { return open(t, address) },
		Half:      []backendtest.Words{backendtest.Composed("CLE"), backendtest.Composed("CLEAN")},
	})
}

func TestRules(t *testing.T) {
	backendtest.RunRules(t, backendtest.Rules{
		Open: func(t *testing.T, m backendtest.Misbehaviour) backends.Backend { return open(t, start(t, m)) },
		Failures: map[string]string{
			"an error":     "ERROR password limit exceeded\n",
			"another word": "ENCRYPTED\n",
			"more words":   "CLEAN but encrypted\n",
			"two answers":  "CLEAN\nFOUND Late\n",
		},
		Blocked: map[string]string{"a name": "FOUND Password.Limit\n"},
	})
}
