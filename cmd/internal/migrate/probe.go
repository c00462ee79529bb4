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

// errElsewhere is said of ports when another machine's files are looked at.
var errElsewhere = errors.New("not asked, it is a port of another machine")

// dial connects to an address as in the configuration.
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

// loopback is where a server that listens on all addresses is asked.
func loopback(network, place string) string {
	host, port, err := net.SplitHostPort(place)
	if ip := net.ParseIP(host); network == "tcp" && err == nil && ip != nil && ip.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return place
}

// converse sends a request, if there is one, and returns the first line or, with
// end 0, the first NUL-terminated text of the answer.
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
	// What answers may be anything, and may never end.
	text, err := bufio.NewReader(io.LimitReader(nc, 1024)).ReadString(end)
	if err != nil {
		return "", plainNetError(err)
	}
	return strings.TrimRight(text, "\r\n\x00"), nil
}

// plainNetError is what happened without where, which is said already.
func plainNetError(err error) error {
	var number syscall.Errno
	switch {
	case errors.As(err, &number):
		return number
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("no answer within %v", probeTime)
	case errors.Is(err, io.EOF):
		return errors.New("hung up")
	}
	return err
}

// ping asks a clamd.
func (m *Machine) ping(address string) error {
	reply, err := m.converse(address, "zPING\x00", 0)
	if err == nil && reply != "PONG" {
		err = fmt.Errorf("answered %q to PING", reply)
	}
	return err
}

const clamdPort = "tcp:127.0.0.1:3310"

// lookSockets looks which sockets of a clamd there are.
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
			look(l.address, "yes: becomes polyclam's")
		}
		look(m.clamd.engine, "yes: the engine's")
	}
	for _, p := range config.ClamdSockets {
		look("unix:"+p, "")
	}
	look(clamdPort, "")
}

// lookSocket looks at one. Without a clamd.conf the first one that answers is
// asked where it is.
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
		return // nobody listens on a port that nobody spoke of
	default:
		means = err.Error()
	}
	if used == "" {
		used = "no: no clamd.conf speaks of it"
		if m.clamd == nil && m.found == "" && err == nil {
			m.found = address
			used = "yes: an engine, where it is"
		}
	}
	m.row("socket", address, means, used)
}
