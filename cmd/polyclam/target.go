package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"polyclam/backends"
	"polyclam/cmd/internal/config"
	"polyclam/proxy/status"
)

// target is an address at which a server may be.
type target struct{ network, address string }

func (t target) String() string { return t.network + ":" + t.address }

// packagedSocket is where polyclamd listens when systemd runs it without a
// configuration file; the embedded default of an operator's own environment can
// be another place.
const packagedSocket = "unix:/run/polyclam/clamd.sock"

// targets returns the addresses to try, best first, and where they are from.
func (t *tool) targets() (list []target, origin string, err error) {
	if t.address != "" {
		one, err := parseTarget(t.address)
		if err != nil {
			return nil, "", badUsage("--address: %w", err)
		}
		return []target{one}, "--address", nil
	}
	file, origin, err := t.loadForAddress()
	if err != nil {
		return nil, "", err
	}
	listeners := slices.Clone(file.Listeners)
	if file.Name == config.DefaultName {
		listeners = append(listeners, config.NewListener(packagedSocket))
	}
	slices.SortStableFunc(listeners, func(a, b config.Listener) int { return cmp.Compare(burden(a), burden(b)) })
	for _, l := range listeners {
		one, err := parseTarget(l.Address)
		if err == nil && !slices.Contains(list, one) && !strings.HasSuffix(l.Address, ":0") {
			list = append(list, one)
		}
	}
	if len(list) == 0 {
		return nil, "", fmt.Errorf("%s has no listener with an address; want --address", file.Name)
	}
	return list, origin, nil
}

// burden orders listeners: a Unix socket takes descriptors, and a listener whose
// client bears errors tells them.
func burden(l config.Listener) (n int) {
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

// load reads the configuration as polyclamd does: the file named, or the one in
// the usual place, or the embedded default if there is none.
func (t *tool) load() (*config.File, error) {
	if t.config != "" {
		return config.Load(t.config)
	}
	file, err := config.Load(defaultConfig)
	if errors.Is(err, fs.ErrNotExist) {
		return config.Default(), nil
	}
	return file, err
}

// loadForAddress is load for somebody who only wants to know where polyclamd
// listens: an operator need not be allowed to read its file.
func (t *tool) loadForAddress() (file *config.File, origin string, err error) {
	file, err = t.load()
	var problems config.Problems
	switch {
	case err == nil:
		return file, file.Name, nil
	case errors.As(err, &problems):
		return nil, "", fmt.Errorf("%w\nthe configuration tells no address; want --address", problems)
	case t.config == "" && errors.Is(err, fs.ErrPermission):
		return config.Default(), fmt.Sprintf("%s, since %s may not be read", config.DefaultName, defaultConfig), nil
	}
	return nil, "", err
}
