package child

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// The ports that [Port] chooses from are below the kernel's range for outgoing
// connections.
const (
	firstPort = 20000
	lastPort  = 29999
)

// reserved holds a listener for each port of this process.
var reserved struct {
	sync.Mutex
	listeners []net.Listener
}

// Port returns a free port of 127.0.0.1 for programs that listen on it one after another.
// No later call returns it, in this or another process, until this process ends.
func Port() (string, error) {
	for range 200 {
		port := strconv.Itoa(firstPort + rand.IntN(lastPort-firstPort+1))
		// The abstract socket is only a lock: one process can have it, and the kernel
		// removes it with the process.
		lock, err := net.Listen("unix", "@polyclam-test-port-"+port)
		if err != nil {
			continue
		}
		l, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err != nil {
			lock.Close()
			continue
		}
		l.Close()
		reserved.Lock()
		reserved.listeners = append(reserved.listeners, lock)
		reserved.Unlock()
		return port, nil
	}
	return "", errors.New("no free port between 20000 and 30000")
}
