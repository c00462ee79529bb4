package files

import (
	"sync/atomic"

	"golang.org/x/sys/unix"

	"polyclam/proxy/client"
)

// A descriptor of a foreign file is closed once its owner and every operation that uses it
// are done. Otherwise its number could be reused for another file while an abandoned
// operation still uses it. Closing runs in the pool too: close(2) of a file on FUSE or NFS
// asks the server.
//
// It is not an *os.File, because that would register a pollable file with the runtime's
// epoll, and a FUSE server that does not answer a poll would then stop the whole daemon.
type descriptor struct {
	fd    int
	users atomic.Int32
	pool  *Pool
	key   client.Key
}

func (p *Pool) descriptor(fd int, k client.Key) *descriptor {
	d := &descriptor{fd: fd, pool: p, key: k}
	d.users.Store(1)
	return d
}

// use adds a user. It reports false if the descriptor is closed.
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

// done removes a user.
func (d *descriptor) done() {
	if d.users.Add(-1) == 0 {
		d.pool.closeLater(d.key, func() { unix.Close(d.fd) })
	}
}

// Discard closes a descriptor that client k sent and no command uses. It does not wait.
func (p *Pool) Discard(k client.Key, fd int) {
	if inMemory(fd) {
		unix.Close(fd)
		return
	}
	p.closeLater(k, func() { unix.Close(fd) })
}
