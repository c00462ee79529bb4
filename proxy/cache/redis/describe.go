package redis

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/redis/rueidis"

	"polyclam/proxy/cache"
)

// A refusal describes an error that a server answers with.
type refusal struct{ word, reason, hint string }

// refusals are the errors that have a remedy, by the word that they begin with.
var refusals = []refusal{
	{"WRONGPASS", "the server does not accept the user or the password", "compare user and password_file in [cache] with the server's ACL LIST or requirepass"},
	{"NOAUTH", "the server wants a password", "write password_file in [cache], and user if the server has users"},
	{"NOPERM", "the user may not do this", ""}, // see aclHint
	{"OOM", "the server has no memory left", "set maxmemory-policy to one that evicts, such as allkeys-lru, or raise maxmemory"},
	{"READONLY", "the server is a replica and accepts no writes", "write the address of the primary, or those of the Sentinels with sentinel"},
	{"LOADING", "the server is loading its data", "wait until it is ready"},
	{"MASTERDOWN", "the server is a replica that has lost its primary", "start the primary, or write the addresses of the Sentinels with sentinel"},
	{"MISCONF", "the server cannot save its data and accepts no writes", "read the server's log; its disk may be full"},
	{"NOREPLICAS", "the server has too few replicas and accepts no writes", "start the replicas, or lower min-replicas-to-write"},
	{"BUSY", "the server is busy with a script", "end it with SCRIPT KILL"},
	{"CLUSTERDOWN", "the cluster is down", "look at CLUSTER INFO: nodes are missing"},
	{"TRYAGAIN", "the cluster is moving the value", "wait until it has done that"},
	{"MOVED", "the value is on another node of a cluster", "delete database in [cache], or write the TCP addresses of the cluster's nodes"},
	{"ASK", "the cluster is moving the value to another node", "wait until it has done that"},
}

func isWrongType(err error) bool {
	r, ok := rueidis.IsRedisErr(err)
	return ok && strings.HasPrefix(r.Error(), "WRONGTYPE")
}

// describe returns an error in an operator's words.
func (s *Store) describe(err error) error {
	if r, ok := rueidis.IsRedisErr(err); ok {
		return s.describeRefusal(r.Error())
	}
	e := &cache.StoreError{}
	var timeout net.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		e.Late, e.Reason = true, "no answer in time"
		e.Hint = "look whether the server is overloaded, stopped or far away"
		if s.options.TLS != nil {
			e.Hint += ", and whether this port is one for TLS"
		}
	case errors.Is(err, context.Canceled), errors.Is(err, rueidis.ErrClosing):
		e.Reason, e.Hint = "no connection", "look whether the server runs"
	case errors.Is(err, rueidis.ErrNoSlot):
		e.Reason, e.Hint = "no node of the cluster has the value", "look at CLUSTER INFO: nodes or slots are missing"
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, net.ErrClosed):
		e.Reason, e.Hint = "the server closed the connection", "read the server's log; maybe only one side uses TLS, or the server requires certificate and key in [cache]"
	case isTrust(err):
		e.Reason, e.Hint = distrust(err), "ca in [cache] must be the authority of the server's certificate, server_name a name in it"
	case isTLS(err):
		e.Reason, e.Hint = plain(err), "look whether this port is one for TLS; the server may also require certificate and key in [cache]"
	case strings.Contains(strings.ToLower(err.Error()), "cluster support disabled"):
		return s.describeRefusal(err.Error())
	default:
		e.Reason = plain(err)
		e.Hint = "look whether the server runs at this address"
	}
	return e
}

func (s *Store) describeRefusal(text string) *cache.StoreError {
	upper := strings.ToUpper(text)
	for _, r := range refusals {
		if strings.HasPrefix(upper, r.word) {
			hint := r.hint
			if r.word == "NOPERM" {
				hint = s.options.aclHint(text)
			}
			return &cache.StoreError{Reason: r.reason + " (" + cut(text) + ")", Hint: hint, Refused: true}
		}
	}
	e := &cache.StoreError{Reason: "the server answers: " + cut(text), Refused: true}
	switch {
	case strings.Contains(upper, "CLUSTER SUPPORT DISABLED") && len(s.options.Addresses) > 1:
		e.Hint = "the servers are no cluster: write one address, or sentinel if these are Sentinels"
	case strings.Contains(upper, "NO SUCH MASTER"):
		e.Reason, e.Hint = "the Sentinels do not know the primary \""+s.options.Sentinel+"\"", "write the name in \"sentinel monitor NAME\" of their configuration"
	case strings.Contains(upper, "UNKNOWN COMMAND"):
		e.Hint = "is this Redis or Valkey, and is the command renamed there?"
	}
	return e
}

func isTrust(err error) bool {
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var verify *tls.CertificateVerificationError
	return errors.As(err, &authority) || errors.As(err, &name) || errors.As(err, &invalid) || errors.As(err, &verify)
}

// distrust says why the server's certificate is not accepted.
func distrust(err error) string {
	var authority x509.UnknownAuthorityError
	if errors.As(err, &authority) {
		return "the server's certificate is signed by an unknown authority"
	}
	_, text, _ := strings.Cut(err.Error(), "x509: ")
	return "the server's certificate is not accepted: " + cut(text)
}

func isTLS(err error) bool {
	var header tls.RecordHeaderError
	var alert tls.AlertError
	return errors.As(err, &header) || errors.As(err, &alert) || strings.Contains(err.Error(), "tls: ")
}

// plain returns the system's own words without those of Go's packages.
func plain(err error) string {
	var number syscall.Errno
	var dns *net.DNSError
	var path *fs.PathError
	switch {
	case errors.As(err, &dns):
		return "the host " + cut(dns.Name) + " is not known to the name servers"
	case errors.As(err, &path):
		return path.Path + ": " + path.Err.Error()
	case errors.As(err, &number):
		return number.Error()
	}
	return cut(strings.TrimPrefix(err.Error(), "tls: "))
}

// maxText bounds what is quoted of a server's answer.
const maxText = 200

// cut returns the beginning of a text of a server, without line breaks.
func cut(s string) string {
	if len(s) > maxText {
		s = s[:maxText] + "..."
	}
	return strings.ToValidUTF8(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s), "?")
}
