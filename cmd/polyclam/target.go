package main

import (
	"cmp"
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
type target struct{ network, address string }

func (t target) String() string { return t.network + ":" + t.address }

// packagedSocket is where polyclamd listens when systemd runs it without a configuration
// file. In an operator's environment the embedded default may be another path.
const packagedSocket = "unix:/run/polyclam/clamd.sock"

// targets returns the addresses to try, the best first, and their origin.
func (t *tool) targets() (list []target, origin string, err error) {
	if t.address != "" {
		one, err := parseTarget(t.address)
		if err != nil {
			return nil, "", cli.Usagef("--address: %w", err)
		}
		return []target{one}, "--address", nil
	}
	file, origin, err := t.loadListeners()
	if err != nil {
		return nil, "", err
	}
	listeners := slices.Clone(file.Listeners)
	if file.Name == config.DefaultName {
		listeners = append(listeners, config.NewListener(packagedSocket))
	}
	slices.SortStableFunc(listeners, func(a, b config.Listener) int { return cmp.Compare(penalty(a), penalty(b)) })
	for _, l := range listeners {
		one, err := targetOf(l.Address)
		if err == nil && !slices.Contains(list, one) && !strings.HasSuffix(l.Address, ":0") {
			list = append(list, one)
		}
	}
	if len(list) == 0 {
		return nil, "", fmt.Errorf("%s has no listener with an address; want --address", file.Name)
	}
	return list, origin, nil
}

// penalty orders listeners, the best first. A Unix socket accepts descriptors, and a
// listener with the error style "error" reports failures as they are.
func penalty(l config.Listener) (n int) {
	if !strings.HasPrefix(l.Address, "unix:") {
		n += 2
	}
	if style := l.ErrorStyle; style != "" && style != status.StyleError {
		n++
	}
	return n
}

func parseTarget(s string) (target, error) {
	network, address, err := backends.ParseAddress(s)
	return target{network, address}, err
}

// targetOf returns where a listener is reached from this machine: 0.0.0.0 and [::] stand for
// every address.
func targetOf(listener string) (target, error) {
	a, name, err := sockaddr.Parse(listener)
	if err != nil || name.Host != "" {
		return parseTarget(listener) // of a name, the dialer tries each address
	}
	network, address := a.DialTarget()
	return target{network, address}, nil
}

// loadListeners loads the configuration for its listeners only: an operator who may not
// read polyclamd's file gets the embedded default.
func (t *tool) loadListeners() (file *config.File, origin string, err error) {
	file, err = cli.Load(t.config)
	var problems config.Problems
	switch {
	case err == nil:
		return file, file.Name, nil
	case errors.As(err, &problems):
		return nil, "", fmt.Errorf("%w\nno address can be taken from this configuration; want --address", problems)
	case t.config == "" && errors.Is(err, fs.ErrPermission):
		return config.Default(), fmt.Sprintf("%s (%s may not be read)", config.DefaultName, cli.DefaultConfig), nil
	}
	return nil, "", err
}
