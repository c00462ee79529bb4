package config

import (
	"errors"
	"fmt"
	"math"
	"os/user"
	"strconv"
	"strings"

	"polyclam/cmd/internal/config/position"
	"polyclam/proxy/allow"
	"polyclam/proxy/rates"
)

// Allowed is an entry of a listener's key allow: "10.0.0.0/8", "uid:polyclam" or
// "gid:mail". Names are looked up when the file is loaded, so a reload looks them up again.
type Allowed struct {
	allow.Entry
	Text string // as in the file
}

// UnmarshalText implements [encoding.TextUnmarshaler].
func (a *Allowed) UnmarshalText(text []byte) error {
	e, err := allow.Parse(string(text), lookupUser, lookupGroup)
	if err != nil {
		return err
	}
	*a = Allowed{e, string(text)}
	return nil
}

func lookupUser(name string) (uint32, error) {
	return lookupID("user", name, func() (string, error) {
		u, err := user.Lookup(name)
		if err != nil {
			return "", err
		}
		return u.Uid, nil
	})
}

func lookupGroup(name string) (uint32, error) {
	return lookupID("group", name, func() (string, error) {
		g, err := user.LookupGroup(name)
		if err != nil {
			return "", err
		}
		return g.Gid, nil
	})
}

// lookupID returns the number of a user or group, which find looks up by its name.
func lookupID(kind, name string, find func() (string, error)) (uint32, error) {
	id := name
	if name == "" {
		return 0, fmt.Errorf("the %s is missing; write its name or number", kind)
	}
	if !isNumber(name) {
		found, err := find()
		switch {
		case errors.As(err, new(user.UnknownUserError)), errors.As(err, new(user.UnknownGroupError)):
			return 0, fmt.Errorf("there is no %s %q on this machine; create it, or write its number", kind, name)
		case err != nil:
			return 0, fmt.Errorf("the %s %q cannot be looked up: %w; write its number", kind, name, err)
		}
		id = found
	}
	n, err := strconv.ParseUint(id, 10, 32)
	if err != nil || n == math.MaxUint32 { // the kernel's number for none
		return 0, fmt.Errorf("%q is not the number of a %s; write one below %d", id, kind, uint32(math.MaxUint32))
	}
	return uint32(n), nil
}

func isNumber(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// allow returns who may use the listener.
func (l *Listener) allow() allow.List {
	entries := make([]allow.Entry, len(l.Allow))
	for i, a := range l.Allow {
		entries[i] = a.Entry
	}
	return allow.New(entries)
}

// rate returns the limit on each client's scans. Without a burst, a client may begin the
// scans of one second together.
func (l *Listener) rate() rates.Rate {
	burst := l.Burst
	if burst == 0 {
		burst = max(1, int(math.Ceil(l.ScansPerSecond)))
	}
	return rates.Rate{PerSecond: l.ScansPerSecond, Burst: burst}
}

// validateAllow reports entries that can never match on the listener's kind of socket.
func validateAllow(l *Listener, r *report, at position.Path) {
	key := at.Key("allow")
	if !r.isGood(key) {
		return
	}
	if len(l.Allow) == 0 {
		r.fail(key, "an empty list would refuse every client; delete the key to allow everyone, or delete the listener")
		return
	}
	isUnix := strings.HasPrefix(l.Address, "unix:")
	for i, a := range l.Allow {
		switch isNetwork := a.Kind == allow.Network; {
		case isUnix && isNetwork && len(l.ProxyProtocol) == 0:
			r.fail(key.Element(i), "%q is an address, and clients of a Unix socket have none; write a user or a group, such as \"uid:polyclam\" or \"gid:mail\"", a.Text)
		case !isUnix && !isNetwork:
			r.fail(key.Element(i), "%q is for Unix sockets: on TCP nothing says which user connects; write an address or a prefix, such as \"10.0.0.0/8\"", a.Text)
		}
	}
}
