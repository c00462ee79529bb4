package backends

import (
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
)

// ParseAddress splits a configured address, "unix:/path/to/socket" or "tcp:host:port",
// into the network and the address for package net. Its errors show what a correct
// address looks like.
func ParseAddress(s string) (network, address string, err error) {
	network, address, ok := strings.Cut(s, ":")
	switch {
	case ok && network == "unix":
		if !filepath.IsAbs(address) || strings.ContainsRune(address, 0) {
			return "", "", fmt.Errorf("%q: the path of a Unix socket must be absolute, for example \"unix:/run/clamav/clamd.ctl\"", s)
		}
		// sun_path holds 108 bytes with its terminating NUL, see unix(7).
		if len(address) > 107 {
			return "", "", fmt.Errorf("%q: the path of a Unix socket may have 107 bytes, this one has %d", s, len(address))
		}
		return network, address, nil
	case ok && network == "tcp":
		host, port, err := net.SplitHostPort(address)
		if err != nil || !isPort(port) {
			return "", "", fmt.Errorf("%q: write \"tcp:host:port\", for example \"tcp:127.0.0.1:3310\" or \"tcp:[::1]:3310\"", s)
		}
		// Go would take "" for every address, and look up "*" as a name.
		if host == "" || host == "*" {
			return "", "", fmt.Errorf("%q: write which addresses you mean: 0.0.0.0 for every IPv4 address, [::] for every IPv6 address (Linux adds IPv4 unless the sysctl net.ipv6.bindv6only is 1), a name for each of its addresses, or one address, for example \"tcp:127.0.0.1:%s\"", s, port)
		}
		return network, address, nil
	}
	return "", "", fmt.Errorf("%q: write \"unix:/path/of/socket\" or \"tcp:host:port\"", s)
}

// isPort accepts a number or a service name, which package net looks up.
func isPort(s string) bool {
	n, err := strconv.Atoi(s)
	if err != nil {
		return s != "" && (s[0] < '0' || s[0] > '9') && s[0] != '-' && s[0] != '+'
	}
	return n > 0 && n <= 65535 && s[0] != '+'
}
