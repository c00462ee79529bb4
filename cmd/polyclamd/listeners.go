package main

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"

	"polyclam/cmd/internal/config"
	"polyclam/cmd/internal/listen"
	"polyclam/cmd/internal/sockaddr"
)

// sockets are open listeners by address, in the canonical form of package sockaddr.
type sockets map[string]net.Listener

// close closes all sockets concurrently: each may take a while.
func (s sockets) close() {
	var closing sync.WaitGroup
	for _, ln := range s {
		closing.Go(func() { ln.Close() })
	}
	closing.Wait()
}

// errNoListener means that there is nothing to listen on.
var errNoListener = errors.New("nothing to listen on: the configuration has no [[listener]], and systemd passed no socket")

// resolve replaces each listener by one for each socket that its address means, adds a
// listener with the defaults for each socket from systemd that the file does not have, and
// finds the sockets that are open already.
func (s *setup) resolve() error {
	ctx, cancel := context.WithTimeout(context.Background(), lookupTime)
	defer cancel()
	var list []config.Listener
	var problems config.Problems
	for _, l := range slices.Concat(s.file.Listeners, s.file.Services) {
		addrs, err := sockaddr.Resolve(ctx, s.resolver, l.Configured)
		if err != nil {
			problems = append(problems, s.file.ListenerProblem(&l, "address", "%q: %v", l.Configured, err))
		}
		for _, a := range addrs {
			l.Address = a.String()
			list = append(list, l)
		}
	}
	for address := range s.inherited {
		if !slices.ContainsFunc(list, func(l config.Listener) bool { return l.Address == address }) {
			list = append(list, config.NewListener(address))
		}
	}
	problems = append(problems, s.overlaps(list)...)
	problems = append(problems, s.changed(list)...)
	s.kept = sockets{}
	for i := range list {
		for _, have := range []sockets{s.serving, s.inherited} {
			if ln, ok := have[list[i].Address]; ok {
				s.kept[list[i].Address] = ln
			}
		}
	}
	var failed failures
	var clamd []config.Listener
	clamd, s.file.Services = split(list)
	if len(clamd) == 0 && len(problems) == 0 && !(s.isCheck && s.checker.PassesSockets()) {
		failed.add(errNoListener)
	}
	if err := s.file.ReplaceListeners(clamd); err != nil {
		failed.add(err)
	}
	if len(problems) > 0 {
		failed.add(problems)
	}
	return failed.err()
}

// split separates the listeners that speak clamd's protocol from the others.
func split(list []config.Listener) (clamd, services []config.Listener) {
	for _, l := range list {
		if l.Service == config.ServiceClamd {
			clamd = append(clamd, l)
		} else {
			services = append(services, l)
		}
	}
	return clamd, services
}

// changed returns the problems of open sockets that would have to serve something else: their
// clients would get answers in another protocol.
func (s *setup) changed(list []config.Listener) (problems config.Problems) {
	for i := range list {
		l := &list[i]
		if _, ok := s.serving[l.Address]; !ok || s.before == nil {
			continue
		}
		if old := s.before.Has(l.Address); old != nil && old.Service != l.Service {
			problems = append(problems, s.file.ListenerProblem(l, "address",
				"%q serves something else in the running daemon, and a reload cannot change that; restart polyclamd, or write another address", l.Configured))
		}
	}
	return problems
}

// overlaps returns the problems of listeners that include an address of an earlier one, or of
// a socket from systemd.
func (s *setup) overlaps(list []config.Listener) (problems config.Problems) {
	reported := map[string]bool{}
	for i := range list {
		a := addrOf(&list[i])
		for j := range i {
			x, y := &list[i], &list[j]
			if !a.Overlaps(addrOf(y), s.isDual(x, y)) || x.Configured == y.Configured {
				continue
			}
			if _, ok := s.inherited[x.Address]; ok {
				x, y = y, x
			}
			if !reported[x.Configured] {
				reported[x.Configured] = true
				problems = append(problems, s.file.Overlap(x, y))
			}
		}
	}
	return problems
}

// addrOf returns the address of a listener's socket; the zero Addr is that of an abstract
// socket from systemd.
func addrOf(l *config.Listener) sockaddr.Addr {
	a, _, _ := sockaddr.Parse(l.Address)
	return a
}

// isDual reports whether [::] includes IPv4, if one of two listeners has that address: a
// socket from systemd has its own setting.
func (s *setup) isDual(x, y *config.Listener) bool {
	for _, l := range []*config.Listener{x, y} {
		if ln, ok := s.inherited[l.Address].(inheritedSocket); ok && addrOf(l).IsAnyIPv6() {
			return listen.Includes4(ln)
		}
	}
	return listen.IsDual()
}

// listen opens all listeners that are not open yet, or checks that this is possible. If one
// fails, the caller closes the others again; the error lists every failure. If a name has
// several addresses, those that this machine does not have are left out, unless it has none.
func (s *setup) listen() error {
	s.opened = sockets{}
	works := map[string]bool{} // by the configured address
	var problems config.Problems
	unavailable := map[string]config.Problem{} // by the socket's address
	list := slices.Concat(s.file.Listeners, s.file.Services)
	for i := range list {
		l := &list[i]
		_, ok := s.kept[l.Address]
		if !ok {
			err := s.openOne(l)
			problem := s.file.ListenerProblem(l, "address", "%q: %v", l.Address, err)
			switch {
			case err == nil:
				ok = true
			case l.IsName() && listen.IsUnavailable(err):
				unavailable[l.Address] = problem
			default:
				problems = append(problems, problem)
			}
		}
		works[l.Configured] = works[l.Configured] || ok
	}
	list = slices.DeleteFunc(list, func(l config.Listener) bool {
		problem, ok := unavailable[l.Address]
		switch {
		case ok && works[l.Configured]:
			s.file.Warn(problem)
		case ok:
			problems = append(problems, problem)
		}
		return ok
	})
	s.file.Listeners, s.file.Services = split(list)
	if len(problems) > 0 {
		return problems
	}
	return nil
}

// openOne opens the socket of a listener, or checks it.
func (s *setup) openOne(l *config.Listener) error {
	a := addrOf(l)
	o := listen.Options{Mode: l.Mode, Group: int(l.Group), MakeDirectory: s.file.Name == config.DefaultName}
	o.IsPolyclamd = s.probe(l)
	if s.isCheck {
		o.Guard = s.guard(l)
		warning, err := s.checker.Check(a, o)
		if warning != "" {
			s.file.Warn(s.file.ListenerProblem(l, "address", "%q: %s", l.Address, warning))
		}
		return err
	}
	ln, err := listen.OpenBeside(a, o, s.leaving(a))
	if err == nil {
		s.opened[l.Address] = ln
	}
	return err
}

// leaving returns the sockets that the daemon will close after this setup and that include an
// address of a.
func (s *setup) leaving(a sockaddr.Addr) (list []net.Listener) {
	for address, ln := range s.serving {
		b, _, err := sockaddr.Parse(address)
		if _, kept := s.kept[address]; err == nil && !kept && a.Overlaps(b, true) {
			list = append(list, ln)
		}
	}
	return list
}
