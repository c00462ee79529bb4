// Chaosengine is one engine of a chaos run: a clamd, a savdid, an ICAP server or a
// command-line scanner. It judges objects honestly by the bytes it has read, unless the
// file with its mode says otherwise. It logs every object that it reads, and every
// answer before it gives it.
//
//	chaosengine clamd|sssp|icap NAME ADDRESS MODE LOG
//	chaosengine scanner NAME MODE LOG PATH
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	fmt.Fprintln(os.Stderr, "chaosengine:", run(os.Args[1:]))
	os.Exit(9)
}

// run serves until the process is killed, or exits with the scanner's status. It
// returns only with an error.
func run(args []string) error {
	switch {
	case len(args) == 5 && args[0] == "scanner":
		return scan(args[1], args[2], args[3], args[4])
	case len(args) == 5:
		n, err := newNode(args[1], args[3], args[4])
		if err != nil {
			return err
		}
		serve := map[string]func(*conversation) error{"clamd": serveClamd, "sssp": serveSSSP, "icap": serveICAP}[args[0]]
		if serve == nil {
			return fmt.Errorf("no such kind: %s", args[0])
		}
		return n.listen(args[2], serve)
	}
	return errors.New("want a kind, a name, an address, a file with the mode and a log")
}

// tick is how often a server checks whether its mode has changed.
const tick = 20 * time.Millisecond

// listen serves until the process ends. In mode refuse there is no listener.
func (n *node) listen(address string, serve func(*conversation) error) error {
	network, place, _ := strings.Cut(address, ":")
	for first := true; ; first = false {
		l, err := open(network, place)
		if err != nil {
			return err
		}
		if first {
			fmt.Println("ready") // the harness waits for this line
		}
		go n.accept(l, serve)
		for n.mode().Fault != "refuse" {
			time.Sleep(tick)
		}
		l.Close()
		for n.mode().Fault == "refuse" {
			time.Sleep(tick)
		}
	}
}

func open(network, place string) (net.Listener, error) {
	if network == "unix" {
		os.Remove(place)
		l, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: place})
		if err == nil {
			l.SetUnlinkOnClose(false) // connections are refused, but the path exists
		}
		return l, err
	}
	// A small window: a client cannot send much that the engine does not read.
	c := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var err error
		controlErr := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 32<<10) })
		return errors.Join(controlErr, err)
	}}
	return c.Listen(context.Background(), network, place)
}

func (n *node) accept(l net.Listener, serve func(*conversation) error) {
	for {
		nc, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer nc.Close()
			c := n.converse(nc)
			if n.mode().Fault == "deaf" {
				n.await(func(m mode) bool { return m.Fault != "deaf" })
				return
			}
			serve(c) // an engine ignores how a client leaves
		}()
	}
}
