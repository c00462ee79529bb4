package main

import (
	"errors"
	"net"

	"polyclam/cmd/internal/config"
	"polyclam/cmd/internal/config/position"
	"polyclam/proxy/ops"
)

// services are those of package ops.
var services = map[config.Service]ops.Service{
	config.ServiceHTTP: ops.HTTP, config.ServiceAdmin: ops.Admin, config.ServiceAgent: ops.Agent,
}

// readHTTP reads the token and the certificate of [http].
func (s *setup) readHTTP() error {
	h := &s.file.HTTP
	s.ops = ops.Config{HTTP: h.Address != "", Scans: h.Scans}
	if h.Address == "" {
		return nil
	}
	var problems config.Problems
	if h.TokenFile != "" {
		key := position.Path("http.token_file")
		token, warning, err := config.ReadToken(h.TokenFile)
		if err != nil {
			problems = append(problems, s.file.ProblemAt(key, "%v", err))
		}
		if warning != "" {
			s.file.Warn(s.file.ProblemAt(key, "%s", warning))
		}
		s.ops.Token = token
	}
	if h.TLS {
		conf, bad := s.file.HTTPCertificates(s.log)
		problems = append(problems, bad...)
		s.ops.TLS = conf
	}
	if len(problems) > 0 {
		return problems
	}
	return nil
}

// serve starts a goroutine that serves the clients of ln.
func (d *process) serve(address string, ln net.Listener) {
	if l := d.file.Has(address); l != nil && l.Service != config.ServiceClamd {
		go d.serveOps(address, ln, services[l.Service])
		return
	}
	go d.serveClamd(address, ln)
}

// serveOps serves operators. If that fails, scans continue.
func (d *process) serveOps(address string, ln net.Listener, service ops.Service) {
	err := d.ops.Serve(ln, service)
	if !errors.Is(err, ops.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
		d.log.Error().Err(err).Str("address", address).Msg("listener failed")
	}
}

// opsSockets returns the sockets in list that do not speak clamd's protocol.
func opsSockets(list sockets, file *config.File) sockets {
	out := sockets{}
	for address, ln := range list {
		if l := file.Has(address); l != nil && l.Service != config.ServiceClamd {
			out[address] = ln
		}
	}
	return out
}

// probe returns how --check recognizes a polyclamd at the address of a listener; nil: by
// clamd's protocol.
func (s *setup) probe(l *config.Listener) func(network, address string) bool {
	switch l.Service {
	case config.ServiceHTTP:
		h := &s.file.HTTP
		return func(network, address string) bool {
			return ops.IsHTTP(network, address, h.TLS) || h.TLS && hasCertificate(network, address, h.Certificate)
		}
	case config.ServiceAdmin:
		return func(network, address string) bool { return ops.IsHTTP(network, address, false) }
	case config.ServiceAgent:
		return ops.IsAgent
	}
	if l.TLS || len(l.ProxyProtocol) > 0 {
		return func(network, address string) bool { return isShaking(l, network, address) }
	}
	return nil
}

// guard returns the key because of which the daemon at the address of a listener may not
// answer --check; "": none.
func (s *setup) guard(l *config.Listener) string {
	switch {
	case l.Service != config.ServiceClamd:
		return ""
	case len(l.Allow) > 0:
		return "allow"
	case l.NotReady == "close":
		return "not_ready"
	}
	return ""
}
