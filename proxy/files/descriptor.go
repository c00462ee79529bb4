package files

import (
	"sync/atomic"

	"golang.org/x/sys/unix"

	"polyclam/proxy/client"
)

// A descriptor of a foreign file is closed once its owner and every operation that
// uses it are done, so that its number is not given to another file under an operation
// that was written off. Closing is an operation of the pool too: close(2) of a file on
// FUSE or NFS asks the server.
//
// It is not an *os.File: that one would register what polls with the runtime's epoll,
// and a FUSE server that does not answer a poll would then stop the whole daemon.
type descriptor struct {
	fd    int
	users atomic.Int32
	pool  *Pool
	of    client.Key
}

func (p *Pool) descriptor(fd int, of client.Key) *descriptor {
	d := &descriptor{fd: fd, pool: p, of: of}
	d.users.Store(1)
	return d
}

// use adds a user. It reports false when the descriptor is closed.
func (d *descriptor) use() bool {
	for {
		n := d.users.Load()
		if n == 0 {
			return false
		}
		if d.users.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// done takes a user away.
func (d *descriptor) done() {
	if d.users.Add(-1) == 0 {
		d.pool.later(d.of, func() { unix.Close(d.fd) })
	}
}

// Discard closes a descriptor that client of sent and nothing asked for. It does not
// wait.
func (p *Pool) Discard(of client.Key, fd int) {
	if inMemory(fd) {
		unix.Close(fd)
		return
	}
	p.later(of, func() { unix.Close(fd) })
}

// inMemory reports whether fd is a memfd or a file on tmpfs or hugetlbfs. Only those
// have seals, and to ask for them takes no file system.
func inMemory(fd int) bool {
	_, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
	return err == nil
}
