package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"polyclam/cmd/internal/sockaddr"
)

// Environment variables that override a configuration, for containers.
const (
	// EnvConfig is the path of the configuration file.
	EnvConfig = "POLYCLAM_CONFIG"
	// EnvListen lists the addresses to listen on, separated by commas. A listener of the
	// file with one of them keeps its keys.
	EnvListen = "POLYCLAM_LISTEN"
	// EnvClamd lists the nodes of the engine with the backend clamd, which is added if
	// there is none.
	EnvClamd = "POLYCLAM_CLAMD"
)

const clamdBackend = "clamd"

// Override replaces the listeners and the nodes of clamd by those in the environment.
// Variables that are empty or not set change nothing.
func (f *File) Override(getenv func(string) string) error {
	listen, err := addressList(getenv, EnvListen, func(r *report, a string) { validateAddress(r, "", a, 0) })
	if err != nil {
		return err
	}
	clamd, err := addressList(getenv, EnvClamd, func(r *report, a string) { validateNode(r, "", a) })
	if err != nil {
		return err
	}
	if listen != nil {
		f.listenOn(listen)
		f.dropAdmin()
		f.Overridden = append(f.Overridden, EnvListen)
	}
	if clamd == nil {
		return nil
	}
	if err := f.askClamd(clamd); err != nil {
		return err
	}
	f.Overridden = append(f.Overridden, EnvClamd)
	return nil
}

// addressList reads addresses, and checks each.
func addressList(getenv func(string) string, name string, check func(*report, string)) (list []string, err error) {
	var errs []error
	for a := range strings.SplitSeq(getenv(name), ",") {
		if a = strings.TrimSpace(a); a == "" {
			continue
		}
		r := new(report)
		check(r, a)
		for _, p := range r.problems {
			errs = append(errs, fmt.Errorf("environment variable %s: %s", name, p.Text))
		}
		if slices.ContainsFunc(list, func(other string) bool { return sameAddress(other, a) }) {
			errs = append(errs, fmt.Errorf("environment variable %s: %q is in the list twice", name, a))
		}
		list = append(list, a)
	}
	return list, errors.Join(errs...)
}

// sameAddress reports whether two addresses are spellings of one.
func sameAddress(a, b string) bool {
	x, xName, err := sockaddr.Parse(a)
	if err != nil {
		return a == b
	}
	y, yName, err := sockaddr.Parse(b)
	return err == nil && x == y && xName.Port == yName.Port && strings.EqualFold(xName.Host, yName.Host)
}

// dropAdmin removes [admin] from the embedded default if there is no place for its socket, as
// in a container with a read-only file system.
func (f *File) dropAdmin() {
	dir := filepath.Dir(strings.TrimPrefix(f.Admin.Address, "unix:"))
	if f.Name != DefaultName || writable(dir) {
		return
	}
	f.Admin.Address = ""
	f.Services = slices.DeleteFunc(f.Services, func(l Listener) bool { return l.Service == ServiceAdmin })
}

func (f *File) listenOn(addresses []string) {
	var list []Listener
	for _, a := range addresses {
		l := NewListener(a)
		if i := slices.IndexFunc(f.Listeners, func(l Listener) bool { return sameAddress(l.Address, a) }); i >= 0 {
			l = f.Listeners[i]
		}
		list = append(list, l)
	}
	f.Listeners = list
}

// askClamd makes addresses the nodes of the clamd engine.
func (f *File) askClamd(addresses []string) error {
	i := -1
	for j, e := range f.Engines {
		switch {
		case e.Backend != clamdBackend:
		case i >= 0:
			return fmt.Errorf("environment variable %s: %s has two engines with backend = \"clamd\", %q and %q; write the addresses there",
				EnvClamd, f.Name, f.Engines[i].Name, e.Name)
		default:
			i = j
		}
	}
	if i < 0 {
		if slices.ContainsFunc(f.Engines, func(e Engine) bool { return e.Name == "clamav" }) {
			return fmt.Errorf("environment variable %s: %s has an engine \"clamav\" with another backend; rename it, or add an engine with backend = \"clamd\"", EnvClamd, f.Name)
		}
		e := newEngine("clamav", clamdBackend)
		e.MaxDelay = e.Timeout / 10
		f.Engines, i = slices.Insert(f.Engines, 0, e), 0
	}
	f.Engines[i].Addresses = addresses
	return nil
}
