package migrate

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"polyclam/proxy/status"
)

// served is what the clients of one listener need.
type served struct {
	client string   // the profile; empty: no client was found
	close  bool     // error_style = "close"
	users  []client // all of them
	own    []client // those that should have a listener of their own
}

// served chooses the profile of a listener. One that suits only some clients would harm
// the others: rspamd's reports a failed scan as FOUND, with which amavis discards mail.
// So the listener gets what no client takes for clean or for a virus, and the clients
// that need more than that are listed.
func (m *Machine) served(listener int) (s served) {
	for _, c := range m.users {
		if c.listener == listener {
			s.users = append(s.users, c)
		}
	}
	var profiles []string
	for _, c := range s.users {
		if !slices.Contains(profiles, c.profile) {
			profiles = append(profiles, c.profile)
		}
	}
	switch len(profiles) {
	case 0:
		return s
	case 1:
		s.client = profiles[0]
		return s
	}
	s.client = "generic"
	if slices.Contains(profiles, "mimedefang") {
		// It is generic, without the lines that MIMEDefang takes for clean.
		s.client = "mimedefang"
	}
	for _, c := range s.users {
		if c.profile != s.client && !isGeneric(c.profile) {
			s.own = append(s.own, c)
		}
	}
	// rspamd lets mail pass on ERROR, but not if the connection is closed. That is a
	// failure for the others too, unless they take it for clean.
	s.close = slices.ContainsFunc(s.own, func(c client) bool { return c.profile == "rspamd" }) &&
		!slices.ContainsFunc(s.users, func(c client) bool { return !c.bearsClose })
	return s
}

// isGeneric reports whether a profile differs from the generic one in its name only.
func isGeneric(profile string) bool {
	p, ok := status.Lookup(profile)
	generic, _ := status.Lookup("generic")
	p.Client = generic.Client
	return ok && reflect.DeepEqual(p, generic)
}

// writeClients writes a listener's profile, with its clients.
func (m *Machine) writeClients(w *writer, s served) {
	if s.client == "" {
		return
	}
	for i := range s.users {
		c := &s.users[i]
		w.comment("%s: %s %s", c.where, c.name, c.means())
		if h := m.hint(c); h != "" {
			w.comment("%s", h)
		}
	}
	if len(s.own) > 0 {
		w.comment("These clients need different replies. This profile is the one that harms none of them; see the listeners below.")
	}
	w.key("client", quote(s.client))
	if s.close {
		w.comment("rspamd lets a mail pass when it reads ERROR, so a failed scan closes the connection instead, which all clients found here take for a failure." +
			" Remove this line when rspamd has its own listener, or if something here uses pyclamd, python-clamd or mod_clamav: they take it for clean.")
		w.key("error_style", `"close"`)
	}
}

// ownSocket is a client's own socket, in polyclamd's runtime directory.
func (c *client) ownSocket() string {
	return "/run/polyclam/" + strings.ToLower(c.name) + ".sock"
}

// writeOwn writes the listeners for clients that need other replies, commented out.
func (m *Machine) writeOwn(w *writer) {
	var done []string
	for i := range m.clamd.listeners {
		for _, c := range m.served(i).own {
			if c.change == "" || slices.Contains(done, c.name) {
				continue
			}
			done = append(done, c.name)
			file := c.where[:strings.LastIndexByte(c.where, ':')]
			w.line("")
			w.comment("A listener of its own for %s. %s", c.name, status.About(c.profile))
			w.comment("To use it, remove the \"#\" from the lines below, reload polyclamd, and write this in %s:", file)
			w.comment("%s", fmt.Sprintf(c.change, c.ownSocket()))
			w.section(false, func(w *writer) {
				w.line("[[listener]]")
				w.key("address", quote("unix:"+c.ownSocket()))
				w.key("client", quote(c.profile))
			})
		}
	}
}

// needsPaths returns the first client of a listener that names files by their path.
func (s *served) needsPaths() (c client, ok bool) {
	at := slices.IndexFunc(s.users, func(c client) bool { return c.paths })
	if at < 0 {
		return c, false
	}
	return s.users[at], true
}
