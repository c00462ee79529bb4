package main

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"polyclam/backends"
	"polyclam/cmd/internal/cli"
	"polyclam/cmd/internal/config"
	"polyclam/cmd/internal/sockaddr"
	"polyclam/proxy/status"
)

// target is an address at which a server may listen.
type target struct {
	network, address string      // network is "unix", "tcp" or "tls"
	tls              *tls.Config // for "tls"
}

func (t target) String() string { return t.network + ":" + t.address }

// packagedSocket is where polyclamd listens when systemd runs it without a configuration
// file. In an operator's environment the embedded default may be another path.
const packagedSocket = "unix:/run/polyclam/clamd.sock"

// places are the addresses at which a server may listen.
type places struct {
	list []target // the best first
	// guesses follow. Only a polyclamd counts there: these are clamd's usual places.
	guesses []target
	origin  string
	// refused is set if the configuration has problems. The addresses are then those that
	// could be read from it, and the usual ones.
	refused config.Problems
}

// places returns the addresses to try.
func (t *tool) places() (p places, err error) {
	if t.address != "" {
		one, err := t.flagTarget()
		if err != nil {
			return p, err
		}
		return places{list: []target{one}, origin: "--address"}, nil
	}
	if t.tls != (tlsFlags{}) {
		return p, errOnlyTLS
	}
	file, origin, err := t.loadListeners()
	if errors.As(err, &p.refused) {
		return p.usual(cmp.Or(t.config, cli.DefaultConfig)), nil
	}
	if err != nil {
		return p, err
	}
	p.origin = origin
	listeners := slices.Clone(file.Listeners)
	if file.Name == config.DefaultName {
		listeners = append(listeners, config.NewListener(packagedSocket))
	}
	slices.SortStableFunc(listeners, func(a, b config.Listener) int { return cmp.Compare(penalty(a), penalty(b)) })
	for _, l := range listeners {
		if !l.TLS { // which names and certificates it wants is not known here
			p.add(l.Address)
		}
	}
	if len(p.list) == 0 {
		return p, fmt.Errorf("%s has no listener with an address and without TLS; want --address", file.Name)
	}
	return p, nil
}

func (p *places) add(address string) {
	one, err := targetOf(address)
	if err == nil && !slices.Contains(p.list, one) && !strings.HasSuffix(address, ":0") {
		p.list = append(p.list, one)
	}
}

// usual fills in the places to look at although the configuration at path is refused.
func (p places) usual(path string) places {
	p.origin = "the usual places, because " + path + " is refused"
	for _, address := range config.Addresses(path) {
		p.add(address)
	}
	for _, l := range config.Default().Listeners {
		p.add(l.Address)
	}
	p.add(packagedSocket)
	slices.SortStableFunc(p.list, func(a, b target) int { return strings.Compare(b.network, a.network) }) // unix before tcp
	for _, path := range config.ClamdSockets {
		if one := (target{network: "unix", address: path}); exists(path) && !slices.Contains(p.list, one) {
			p.guesses = append(p.guesses, one)
		}
	}
	return p
}

// penalty orders listeners, the best first. A Unix socket accepts descriptors, and a
// listener with the error style "error" reports failures as they are.
func penalty(l config.Listener) (n int) {
	if !strings.HasPrefix(l.Address, "unix:") {
		n += 2
	}
	if len(l.ProxyProtocol) > 0 {
		n += 4 // it may require a PROXY header
	}
	if style := l.ErrorStyle; style != "" && style != status.StyleError {
		n++
	}
	return n
}

func parseTarget(s string) (target, error) {
	network, address, err := backends.ParseAddress(s)
	return target{network: network, address: address}, err
}

// targetOf returns where a listener is reached from this machine: 0.0.0.0 and [::] stand for
// every address.
func targetOf(listener string) (target, error) {
	a, name, err := sockaddr.Parse(listener)
	if err != nil || name.Host != "" {
		return parseTarget(listener) // of a name, the dialer tries each address
	}
	network, address := a.DialTarget()
	return target{network: network, address: address}, nil
}

// loadListeners loads the configuration for its listeners only: an operator who may not
// read polyclamd's file gets the embedded default.
func (t *tool) loadListeners() (file *config.File, origin string, err error) {
	file, err = cli.Load(t.config)
	switch {
	case err == nil:
		return file, file.Name, nil
	case t.config == "" && errors.Is(err, fs.ErrPermission):
		return config.Default(), fmt.Sprintf("%s (%s may not be read)", config.DefaultName, cli.DefaultConfig), nil
	}
	return nil, "", err
}
