package main

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"polyclam/test/child"
)

// store is the Redis of a run. It may be killed and started again. Nothing in it survives
// that.
type store struct {
	binary, dir, socket, keyFile string
	died                         func(error)

	mu   sync.Mutex
	proc *child.Process
}

// newStore starts redis-server. It returns nil if that is not installed.
func newStore(dir string, died func(error)) (*store, error) {
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, nil
	}
	s := &store{binary: binary, dir: dir, socket: filepath.Join(dir, "r.sock"), keyFile: filepath.Join(dir, "cache.key"), died: died}
	key := make([]byte, 32)
	rand.Read(key)
	if err := os.WriteFile(s.keyFile, []byte(hex.EncodeToString(key)), 0o600); err != nil {
		return nil, err
	}
	return s, s.start()
}

func (s *store) start() error {
	p, err := launch(io.Discard, io.Discard, nil, s.binary, "--port", "0", "--unixsocket", s.socket, "--save", "", "--appendonly", "no",
		"--dir", s.dir, "--maxmemory", "32mb", "--maxmemory-policy", "allkeys-lru")
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.proc = p
	s.mu.Unlock()
	go func() {
		<-p.Done()
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.proc == p {
			s.died(fmt.Errorf("redis-server ended unexpectedly: %v", p.State()))
		}
	}()
	if !eventually(patience, func() bool { return s.ask([]string{"PING"}) == nil }) {
		return errors.New("redis-server does not answer")
	}
	return nil
}

// kill ends the process as a crash does.
func (s *store) kill() {
	s.mu.Lock()
	p := s.proc
	s.proc = nil
	s.mu.Unlock()
	if p != nil {
		p.Signal(syscall.SIGCONT)
		p.Crash()
	}
}

// do carries out a fault of the store.
func (s *store) do(f planned) error {
	switch f.kind {
	case "redis killed":
		s.kill()
		time.Sleep(f.length)
		return s.start()
	case "redis stopped":
		s.mu.Lock()
		p := s.proc
		s.mu.Unlock()
		p.Signal(syscall.SIGSTOP)
		time.Sleep(f.length)
		return p.Signal(syscall.SIGCONT)
	case "redis flushed":
		return s.ask([]string{"FLUSHALL"})
	}
	return s.forge()
}

// forge does what an attacker can who may write to the store but does not have the key: it
// exchanges all values, and changes a byte in some.
func (s *store) forge() error {
	var keys, values []string
	err := s.talk(func(t *redisTalk) (err error) {
		if keys, err = t.list("KEYS", "*"); err != nil || len(keys) == 0 {
			return err
		}
		values, err = t.list(append([]string{"MGET"}, keys...)...)
		return err
	})
	if err != nil || len(keys) == 0 {
		return err
	}
	set := []string{"MSET"}
	for i, k := range keys {
		v := []byte(values[(i+1)%len(values)])
		if i%3 == 0 {
			v = []byte(values[i])
			if len(v) > 0 {
				v[i%len(v)] ^= 1
			}
		}
		set = append(set, k, string(v))
	}
	return s.ask(set)
}

func (s *store) ask(words []string) error {
	return s.talk(func(t *redisTalk) error {
		_, err := t.list(words...)
		return err
	})
}

func (s *store) talk(f func(*redisTalk) error) error {
	nc, err := net.DialTimeout("unix", s.socket, time.Second)
	if err != nil {
		return err
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(patience))
	return f(&redisTalk{nc, bufio.NewReader(nc)})
}

// redisTalk is a connection to Redis.
type redisTalk struct {
	net.Conn
	r *bufio.Reader
}

// list sends a command and returns its reply: the items of an array, or nothing.
func (t *redisTalk) list(words ...string) ([]string, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "*%d\r\n", len(words))
	for _, w := range words {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(w), w)
	}
	if _, err := t.Write(b.Bytes()); err != nil {
		return nil, err
	}
	kind, n, err := t.head()
	switch {
	case err != nil || kind == '+' || kind == ':':
		return nil, err
	case kind != '*':
		return nil, fmt.Errorf("redis-server answers %c", kind)
	}
	list := make([]string, n)
	for i := range list {
		if _, n, err = t.head(); err != nil {
			return nil, err
		}
		if n < 0 {
			continue // there is no value any more
		}
		item := make([]byte, n+2)
		if _, err := io.ReadFull(t.r, item); err != nil {
			return nil, err
		}
		list[i] = string(item[:n])
	}
	return list, nil
}

// head reads the line that a reply begins with.
func (t *redisTalk) head() (kind byte, n int, err error) {
	line, err := t.r.ReadString('\n')
	if err != nil {
		return 0, 0, err
	}
	if len(line) < 3 {
		return 0, 0, errors.New("redis-server answers with half a line")
	}
	if line[0] == '-' {
		return 0, 0, fmt.Errorf("redis-server: %s", line[1:len(line)-2])
	}
	n, _ = strconv.Atoi(line[1 : len(line)-2])
	return line[0], n, nil
}
