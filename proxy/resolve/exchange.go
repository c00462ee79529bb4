package resolve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/miekg/dns"
)

// udpSize is the largest answer over UDP that is asked for: one that no path fragments.
const udpSize = 1232

// A lookupError says why a name has no addresses now.
type lookupError struct {
	text string
	// absent says that the name servers answered: the name does not exist, or has no such
	// record. Otherwise they failed.
	absent bool
}

func (e *lookupError) Error() string { return e.text }

func failed(format string, args ...any) error {
	return &lookupError{text: fmt.Sprintf(format, args...)}
}

func isAbsent(err error) bool {
	var e *lookupError
	return errors.As(err, &e) && e.absent
}

// ask asks one name server after another until one answers. The answer may be that the name
// does not exist; records in it need not belong to the name.
func (s *servers) ask(ctx context.Context, name string, kind uint16) (*dns.Msg, error) {
	var last error
	for range s.attempts {
		for _, server := range s.addresses {
			m, err := s.askOne(ctx, server, name, kind)
			if err == nil {
				return m, nil
			}
			if ctx.Err() != nil {
				if last == nil {
					last = err
				}
				return nil, last
			}
			last = err
		}
	}
	return nil, last
}

// askOne asks one name server. Old ones refuse questions with EDNS0; they are asked without.
func (s *servers) askOne(ctx context.Context, server, name string, kind uint16) (*dns.Msg, error) {
	m, err := s.query(ctx, server, name, kind, true)
	if err == nil && (m.Rcode == dns.RcodeFormatError || m.Rcode == dns.RcodeNotImplemented) {
		m, err = s.query(ctx, server, name, kind, false)
	}
	if err != nil {
		return nil, err
	}
	switch m.Rcode {
	case dns.RcodeSuccess, dns.RcodeNameError:
		return m, nil
	}
	text := dns.RcodeToString[m.Rcode]
	if text == "" {
		text = fmt.Sprintf("status %d", m.Rcode)
	}
	return nil, failed("the name server %s does not answer for %s (%s)", server, shown(name), text)
}

// query asks over UDP, or over TCP if the answer does not fit.
func (s *servers) query(ctx context.Context, server, name string, kind uint16, edns bool) (*dns.Msg, error) {
	q := new(dns.Msg)
	q.SetQuestion(name, kind)
	if edns {
		q.SetEdns0(udpSize, false)
	}
	m, err := s.exchange(ctx, "udp", server, q)
	if err == nil && m.Truncated {
		q.Id = dns.Id()
		m, err = s.exchange(ctx, "tcp", server, q)
	}
	return m, err
}

// exchange sends q from a new socket, which has a random port, and returns the answer to it.
// Over UDP it ignores everything else that arrives.
func (s *servers) exchange(ctx context.Context, network, server string, q *dns.Msg) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	nc, err := new(net.Dialer).DialContext(ctx, network, server)
	if err != nil {
		return nil, s.exchangeError(network, server, err)
	}
	defer nc.Close()
	defer context.AfterFunc(ctx, func() { nc.SetDeadline(time.Unix(1, 0)) })()
	conn := &dns.Conn{Conn: nc, UDPSize: 4 << 10} // some servers send more than they are asked for
	if err := conn.WriteMsg(q); err != nil {
		return nil, s.exchangeError(network, server, err)
	}
	for {
		m, err := conn.ReadMsg()
		switch {
		case m != nil && err == nil && answers(m, q):
			return m, nil
		case m == nil && !errors.Is(err, dns.ErrShortRead):
			return nil, s.exchangeError(network, server, err)
		case network == "tcp":
			return nil, failed("the name server %s sent something else than the answer", server)
		}
		if ctx.Err() != nil {
			return nil, s.exchangeError(network, server, ctx.Err())
		}
	}
}

// answers reports whether m is the answer to q.
func answers(m, q *dns.Msg) bool {
	return m.Response && m.Id == q.Id && m.Opcode == dns.OpcodeQuery && len(m.Question) == 1 &&
		m.Question[0].Qtype == q.Question[0].Qtype && m.Question[0].Qclass == dns.ClassINET &&
		strings.EqualFold(m.Question[0].Name, q.Question[0].Name)
}

func (s *servers) exchangeError(network, server string, err error) error {
	over := ""
	if network == "tcp" {
		over = " over TCP"
	}
	var errno syscall.Errno
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return failed("nothing listens at the name server %s%s", server, over)
	case errors.As(err, &errno):
		return failed("the name server %s cannot be asked%s: %s", server, over, errno)
	}
	return failed("no answer from the name server %s%s within %v", server, over, s.timeout)
}

// shown returns a name for a message. Package dns has escaped what is not printable.
func shown(name string) string {
	name = strings.TrimSuffix(name, ".")
	if len(name) > 100 {
		name = name[:100] + "..."
	}
	return name
}
