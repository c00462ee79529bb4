package resolve

import (
	"bytes"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// ResolvConf is the file that names the name servers of a machine.
const ResolvConf = "/etc/resolv.conf"

// Bounds on what resolv.conf may ask for.
const (
	maxConf     = 64 << 10
	maxServers  = 8
	maxSearch   = 16
	maxAttempts = 5
	maxTimeout  = 5 * time.Second
)

// servers are the name servers to ask, and how.
type servers struct {
	addresses []string // "10.0.0.1:53"
	conf      dns.ClientConfig
	timeout   time.Duration // for one answer
	attempts  int           // at each name server
}

// candidates returns the complete names to ask for, in order, as the C library does: a name
// with fewer dots than ndots is first looked for in the domains of the search list.
func (s *servers) candidates(host string) []string {
	var list []string
	for _, name := range s.conf.NameList(host) {
		if _, ok := dns.IsDomainName(name); ok && len(name) <= 254 && !strings.Contains(name, "..") && len(list) < maxSearch {
			list = append(list, strings.ToLower(name))
		}
	}
	return list
}

// A source of servers reads resolv.conf, again whenever it has changed.
type source struct {
	path  string
	fixed []string // name servers that replace those of the file; empty: none do

	mu   sync.Mutex
	info os.FileInfo
	last *servers
}

// get returns the present name servers. Without a file it is the one on this machine, as for
// the C library.
func (s *source) get() *servers {
	s.mu.Lock()
	defer s.mu.Unlock()
	info, err := os.Stat(s.path)
	if err != nil {
		info = nil
	}
	if s.last != nil && sameFile(s.info, info) {
		return s.last
	}
	s.info, s.last = info, parseConf(readConf(s.path))
	if len(s.fixed) > 0 {
		s.last.addresses = s.fixed
	}
	return s.last
}

func sameFile(a, b os.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

func readConf(path string) []byte {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	data, _ := io.ReadAll(io.LimitReader(f, maxConf))
	return data
}

func parseConf(data []byte) *servers {
	conf, err := dns.ClientConfigFromReader(bytes.NewReader(data))
	if err != nil {
		conf, _ = dns.ClientConfigFromReader(strings.NewReader(""))
	}
	s := &servers{
		conf:     *conf,
		timeout:  min(time.Duration(min(conf.Timeout, 3600))*time.Second, maxTimeout),
		attempts: min(max(conf.Attempts, 1), maxAttempts),
	}
	for _, address := range conf.Servers {
		if _, err := netip.ParseAddr(address); err == nil && len(s.addresses) < maxServers {
			s.addresses = append(s.addresses, net.JoinHostPort(address, "53"))
		}
	}
	if len(s.addresses) == 0 {
		s.addresses = []string{"127.0.0.1:53"}
	}
	return s
}

// ServerAddress returns the address of a name server with its port: "10.0.0.1" has port 53.
// It accepts no names, which would have to be looked up.
func ServerAddress(s string) (string, bool) {
	if ip, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return net.JoinHostPort(ip.String(), "53"), true
	}
	if at, err := netip.ParseAddrPort(s); err == nil && at.Port() != 0 {
		return at.String(), true
	}
	return "", false
}
