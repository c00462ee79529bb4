package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"polyclam/test/bench/model"
)

const (
	redisEntries = 20_000
	redisKey     = 48  // bytes of a key, about
	redisValue   = 200 // bytes of a value
)

// costsOfRedis measures what a read and a write cost Redis, and how much memory an entry
// takes. One client waits for each answer, so this is an upper bound.
func (w *world) costsOfRedis(c *model.Costs) error {
	program, err := find("redis-server")
	if err != nil {
		return nil // the tables then say 0
	}
	socket := w.socket("redis-costs")
	d, err := w.launch("redis-costs", program, "--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no", "--dir", w.dir)
	if err != nil {
		return err
	}
	defer w.stop(d)
	r, err := dialRedis(socket)
	if err != nil {
		return err
	}
	defer r.Close()
	empty, err := r.memory()
	if err != nil {
		return err
	}
	value := strings.Repeat("v", redisValue)
	key := func(i int) string { return fmt.Sprintf("%0*d", redisKey, i) }
	begin := d.cpu()
	for i := range redisEntries {
		if _, err := r.do("SET", key(i), value, "EX", "3600"); err != nil {
			return err
		}
	}
	c.RedisWrite = rounded(float64((d.cpu() - begin).Microseconds()) / redisEntries)
	full, err := r.memory()
	if err != nil {
		return err
	}
	c.RedisEntry = rounded(float64(full-empty) / redisEntries)
	begin = d.cpu()
	for i := range redisEntries {
		if got, err := r.do("GET", key(i)); err != nil || got != value {
			return fmt.Errorf("GET: %q, %w", got, err)
		}
	}
	c.RedisRead = rounded(float64((d.cpu() - begin).Microseconds()) / redisEntries)
	return nil
}

// A redisConn asks one question at a time.
type redisConn struct {
	net.Conn
	r *bufio.Reader
}

func dialRedis(socket string) (*redisConn, error) {
	for end := time.Now().Add(hang); ; time.Sleep(10 * time.Millisecond) {
		nc, err := net.Dial("unix", socket)
		if err == nil {
			return &redisConn{nc, bufio.NewReader(nc)}, nil
		}
		if time.Now().After(end) {
			return nil, err
		}
	}
}

// do sends a command and returns its simple or bulk answer.
func (c *redisConn) do(args ...string) (string, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, a := range args {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(a), a)
	}
	c.SetDeadline(time.Now().Add(hang))
	if _, err := c.Write(b.Bytes()); err != nil {
		return "", err
	}
	line, err := c.r.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimRight(line, "\r\n")
	switch {
	case strings.HasPrefix(line, "+"):
		return line[1:], nil
	case strings.HasPrefix(line, "$"):
		n, err := strconv.Atoi(line[1:])
		if err != nil || n < 0 || n > 1<<20 {
			return "", fmt.Errorf("redis answered %q", line)
		}
		text := make([]byte, n+2)
		_, err = io.ReadFull(c.r, text)
		return string(text[:n]), err
	}
	return "", fmt.Errorf("redis answered %q", line)
}

// memory is what Redis uses, in bytes.
func (c *redisConn) memory() (int64, error) {
	info, err := c.do("INFO", "memory")
	if err != nil {
		return 0, err
	}
	for line := range strings.SplitSeq(info, "\r\n") {
		if n, ok := strings.CutPrefix(line, "used_memory:"); ok {
			return strconv.ParseInt(n, 10, 64)
		}
	}
	return 0, fmt.Errorf("redis has no used_memory")
}
