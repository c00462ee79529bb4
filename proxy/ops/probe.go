package ops

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"regexp"
	"time"
)

// probeTime is how long a probe waits.
const probeTime = 3 * time.Second

// IsHTTP reports whether a polyclamd serves HTTP at a network address. It sends nothing
// secret, so it does not matter whose certificate a server has. A server that wants a
// certificate of its clients is not recognized by its answer: it gives none.
func IsHTTP(network, address string, isTLS bool) bool {
	nc, err := net.DialTimeout(network, address, probeTime)
	if err != nil {
		return false
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(probeTime))
	if isTLS {
		nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	}
	if _, err := io.WriteString(nc, "HEAD /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"); err != nil {
		return false
	}
	answer, err := http.ReadResponse(bufio.NewReader(io.LimitReader(nc, 16<<10)), &http.Request{Method: http.MethodHead})
	return err == nil && answer.Header.Get("Server") == ServerName
}

var agentLine = regexp.MustCompile(`^(up ready [0-9]{1,3}%|drain|ready down #[ -~]*)\n$`)

// IsAgent reports whether something at a network address answers agent checks as polyclamd
// does.
func IsAgent(network, address string) bool {
	nc, err := net.DialTimeout(network, address, probeTime)
	if err != nil {
		return false
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(probeTime))
	line, err := io.ReadAll(io.LimitReader(nc, maxAgentReason+32))
	return err == nil && agentLine.Match(line)
}
