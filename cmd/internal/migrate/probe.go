package migrate

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"polyclam/backends"
	"polyclam/cmd/internal/config"
)

// errElsewhere is the error for ports if the root is another machine's.
var errElsewhere = errors.New("not tried, it is a port of another machine")

// dial connects to an address of the configuration.
func (m *Machine) dial(address string) (net.Conn, error) {
	network, place, err := backends.ParseAddress(address)
	if err != nil {
		return nil, err
	}
	if m.opts.Dial != nil {
		return m.opts.Dial(network, place)
	}
	if network == "unix" {
		real, err := m.root.resolve(place)
		if err != nil {
			return nil, err
		}
		place = m.root.host(real)
	} else if !m.root.own() {
		return nil, errElsewhere
	}
	return net.DialTimeout(network, loopback(network, place), probeTime)
}

// loopback returns the address for a server that listens on all addresses.
func loopback(network, place string) string {
	host, port, err := net.SplitHostPort(place)
	if ip := net.ParseIP(host); network == "tcp" && err == nil && ip != nil && ip.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return place
}

// converse sends a request, if it is not empty, and returns the answer up to the byte
// end.
func (m *Machine) converse(address, request string, end byte) (string, error) {
	nc, err := m.dial(address)
	if err != nil {
		return "", plainNetError(err)
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(probeTime))
	if request != "" {
		if _, err := io.WriteString(nc, request); err != nil {
			return "", plainNetError(err)
		}
	}
	// The server may be anything, and its answer may be endless.
	text, err := bufio.NewReader(io.LimitReader(nc, 1024)).ReadString(end)
	if err != nil {
		return "", plainNetError(err)
	}
	return strings.TrimRight(text, "\r\n\x00"), nil
}

// plainNetError strips the address from an error, because the caller adds it.
func plainNetError(err error) error {
	var number syscall.Errno
	switch {
	case errors.As(err, &number):
		return number
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("no answer within %v", probeTime)
	case errors.Is(err, io.EOF):
		return errors.New("it closed the connection")
	}
	return err
}

// ping returns an error unless a clamd answers PING.
func (m *Machine) ping(address string) error {
	reply, err := m.converse(address, "zPING\x00", 0)
	if err == nil && reply != "PONG" {
		err = fmt.Errorf("it answered %q to PING", reply)
	}
	return err
}

const clamdPort = "tcp:127.0.0.1:3310"

// lookSockets looks for sockets of clamd.
func (m *Machine) lookSockets() {
	seen := map[string]bool{}
	look := func(address, used string) {
		if p, ok := strings.CutPrefix(address, "unix:"); ok {
			real, err := m.root.resolve(p)
			if err != nil || seen[real] {
				return
			}
			seen[real] = true
		} else if seen[address] {
			return
		}
		seen[address] = true
		m.lookSocket(address, used)
	}
	if m.clamd != nil {
		for _, l := range m.clamd.listeners {
			look(l.address, "yes: for polyclam")
		}
		look(m.clamd.engine, "yes: for clamd as an engine")
	}
	for _, p := range config.ClamdSockets {
		look("unix:"+p, "")
	}
	look(clamdPort, "")
}

// lookSocket adds a row for a socket. Without a clamd.conf, the first clamd that answers
// becomes an engine at its present address.
func (m *Machine) lookSocket(address, used string) {
	if p, ok := strings.CutPrefix(address, "unix:"); ok {
		if mode, ok := m.root.mode(p); !ok || mode&os.ModeSocket == 0 {
			return
		}
	}
	err := m.ping(address)
	means := "answers PING"
	switch {
	case err == nil:
	case strings.HasPrefix(address, "unix:"):
		means = "does not answer: " + err.Error()
	case used == "":
		return // a closed port that no clamd.conf names
	default:
		means = err.Error()
	}
	if used == "" {
		used = "no: not in any clamd.conf"
		if m.clamd == nil && m.found == "" && err == nil {
			m.found = address
			used = "yes: an engine, at its present address"
		}
	}
	m.row("socket", address, means, used)
}
