package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// A crowdProcess is a crowd inside its own process: the clients themselves.
type crowdProcess struct {
	crowdSpec
	to                              way
	dir                             string // for the files that clients pass
	open, answered, cut, unanswered atomic.Int64
}

// kinds are the kinds of clients. Each function uses a new connection until it is of no
// further use. errAnswered means that it brought a reply.
var kinds = map[string]func(p *crowdProcess, nc *net.UnixConn, i int) error{
	"idle":    func(p *crowdProcess, nc *net.UnixConn, _ int) error { return awaitReply(nc) },
	"command": func(p *crowdProcess, nc *net.UnixConn, _ int) error { return p.drip(nc, "zSCAN /", "a") },
	"length": func(p *crowdProcess, nc *net.UnixConn, _ int) error {
		return p.drip(nc, "zINSTREAM\x00", "\x00\x00\x00\x01x")
	},
	"data": func(p *crowdProcess, nc *net.UnixConn, _ int) error {
		return p.drip(nc, "zINSTREAM\x00\x00\x10\x00\x00", "x")
	},
	"session": (*crowdProcess).session,
	"unread":  (*crowdProcess).unread,
	"fildes":  (*crowdProcess).fildes,
	"leased":  (*crowdProcess).leased,
	"sparse":  (*crowdProcess).sparse,
	"large":   (*crowdProcess).large,
	"gone":    (*crowdProcess).gone,
	"scan":    (*crowdProcess).scanPath,
}

var errAnswered = errors.New("answered")

// client is one client of the crowd. It reconnects after a second.
func (p *crowdProcess) client(use func(p *crowdProcess, nc *net.UnixConn, i int) error, i int) {
	for {
		nc, err := dial(context.Background(), p.to, time.Now().Add(time.Minute))
		if err != nil {
			p.unanswered.Add(1)
		} else {
			p.open.Add(1)
			err = use(p, nc.(*net.UnixConn), i)
			nc.Close()
			p.open.Add(-1)
			if errors.Is(err, errAnswered) {
				p.answered.Add(1)
			} else {
				p.cut.Add(1)
			}
			if p.once {
				return
			}
		}
		time.Sleep(time.Second)
	}
}

// report writes the counts for follow to read.
func (p *crowdProcess) report(out io.Writer) {
	for {
		fmt.Fprintln(out, p.open.Load(), p.answered.Load(), p.cut.Load(), p.unanswered.Load())
		time.Sleep(100 * time.Millisecond)
	}
}

// awaitReply reads until the connection is closed.
func awaitReply(nc net.Conn) error {
	if n, _ := io.Copy(io.Discard, nc); n > 0 {
		return errAnswered
	}
	return io.EOF
}

// drip sends begin, and then the bytes of again one by one, endlessly. Clients do not
// all send at the same moment.
func (p *crowdProcess) drip(nc *net.UnixConn, begin, again string) error {
	if _, err := io.WriteString(nc, begin); err != nil {
		return err
	}
	closed := make(chan error, 1)
	go func() { closed <- awaitReply(nc) }()
	wait := rand.N(p.every)
	for i := 0; ; i++ {
		select {
		case err := <-closed:
			return err
		case <-time.After(wait):
		}
		if _, err := nc.Write([]byte{again[i%len(again)]}); err != nil {
			return err
		}
		wait = p.every
	}
}

// session opens a session and sends a command from time to time.
func (p *crowdProcess) session(nc *net.UnixConn, _ int) error {
	if _, err := io.WriteString(nc, "zIDSESSION\x00"); err != nil {
		return err
	}
	go io.Copy(io.Discard, nc)
	time.Sleep(rand.N(p.every))
	for {
		if _, err := io.WriteString(nc, "zPING\x00"); err != nil {
			return err
		}
		time.Sleep(p.every)
	}
}

// unread requests more replies than the buffers hold, and reads none.
func (p *crowdProcess) unread(nc *net.UnixConn, _ int) error {
	b := []byte("zIDSESSION\x00")
	for range 1000 {
		b = append(b, "zPING\x00"...)
	}
	for {
		nc.SetWriteDeadline(time.Now().Add(p.every))
		n, err := nc.Write(b)
		b = b[n:]
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		if len(b) == 0 {
			b = []byte("zPING\x00") // one at a time shows when the other side closes
			time.Sleep(p.every)
		}
	}
}

// fildes announces a descriptor and sends none.
func (p *crowdProcess) fildes(nc *net.UnixConn, _ int) error {
	if _, err := io.WriteString(nc, "zFILDES\x00"); err != nil {
		return err
	}
	return awaitReply(nc)
}

// leased passes a file with a write lease: opening it again blocks until the kernel
// breaks the lease, after 45 s.
func (p *crowdProcess) leased(nc *net.UnixConn, i int) error {
	f, err := os.OpenFile(filepath.Join(p.dir, fmt.Sprint("lease", i)), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_WRLCK); err != nil {
		return err
	}
	return handOver(nc, f)
}

// sparse passes a large file without data.
func (p *crowdProcess) sparse(nc *net.UnixConn, i int) error {
	path := filepath.Join(p.dir, fmt.Sprint("sparse", i))
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		return err
	}
	if err := os.Truncate(path, 4<<40); err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return handOver(nc, f)
}

func handOver(nc *net.UnixConn, f *os.File) error {
	if _, err := io.WriteString(nc, "zFILDES\x00"); err != nil {
		return err
	}
	if _, _, err := nc.WriteMsgUnix([]byte{0}, unix.UnixRights(int(f.Fd())), nil); err != nil {
		return err
	}
	return awaitReply(nc)
}

// large sends size bytes of a stream that never ends.
func (p *crowdProcess) large(nc *net.UnixConn, _ int) error {
	b := binary.BigEndian.AppendUint32([]byte("zINSTREAM\x00"), uint32(p.size))
	if _, err := nc.Write(b); err != nil {
		return err
	}
	piece := make([]byte, 128<<10)
	for left := p.size; left > 0; left -= len(piece) {
		if _, err := nc.Write(piece[:min(left, len(piece))]); err != nil {
			break // there may be a reply
		}
	}
	return awaitReply(nc)
}

// gone requests a scan and does not wait for the answer.
func (p *crowdProcess) gone(nc *net.UnixConn, _ int) error {
	_, err := nc.Write(newRequest(p.size))
	return err
}

// scanPath scans a path and reads the reply.
func (p *crowdProcess) scanPath(nc *net.UnixConn, _ int) error {
	if _, err := fmt.Fprintf(nc, "zSCAN %s\x00", p.path); err != nil {
		return err
	}
	return awaitReply(nc)
}
