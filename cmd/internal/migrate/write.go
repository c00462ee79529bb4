package migrate

import (
	"fmt"
	"slices"
	"strings"

	"polyclam/cmd/internal/config"
	"polyclam/proxy/spool"
)

// adminAddress is the socket for commands, in the RuntimeDirectory= of polyclamd.service.
const adminAddress = "unix:/run/polyclam/admin.sock"

// Config returns polyclam's configuration for the machine, and any warnings about it.
func (m *Machine) Config() (text string, warnings []string, err error) {
	m.notes = nil
	if m.clamd != nil {
		m.notes = slices.Clone(m.clamd.ignored)
	}
	var w writer
	m.writeHead(&w)
	m.writeListeners(&w)
	m.writeClamd(&w)
	m.writeEngines(&w)
	m.writePrograms(&w)
	m.writeInspect(&w)
	m.writePolicy(&w)
	m.writeLimits(&w)
	m.writeOperators(&w)
	m.writeHook(&w)
	m.noteRest()
	m.writeNotes(&w)
	f, err := config.Parse("the configuration", []byte(w.String()))
	if err != nil {
		return "", nil, fmt.Errorf("no valid configuration for what was found:\n%w", err)
	}
	for _, p := range f.Warnings {
		warnings = append(warnings, p.String())
	}
	return w.String(), warnings, nil
}

func (m *Machine) writeHead(w *writer) {
	w.comment("The configuration of polyclamd, written by \"polyclam init\".")
	switch {
	case m.clamd != nil:
		w.comment("polyclam takes the place of the clamd of %s, which it asks on %s.", m.clamd.conf.path, m.clamd.engine)
	case m.found != "":
		w.comment("There is a clamd on %s but no clamd.conf: polyclam asks it there, and does not take its place.", m.found)
	default:
		w.comment("No clamd was found. Add an anti-virus engine.")
	}
	w.comment("Keys that are not here have their defaults; config.toml.example lists all.")
	if m.hasSystemd() {
		w.comment("After changes run systemctl reload polyclamd, which refuses a file with mistakes.")
	} else {
		w.comment("After changes run polyclamd --check --config FILE, then send the daemon SIGHUP.")
	}
}

// writeListeners writes clamd's addresses, or polyclam's own.
func (m *Machine) writeListeners(w *writer) {
	if m.clamd == nil {
		w.line("")
		w.line("[[listener]]")
		w.comment("polyclam's own socket: there is no clamd.conf.")
		w.key("address", quote("unix:/run/polyclam/clamd.sock"))
		if m.found != clamdPort {
			w.line("")
			w.comment("clamd's port, for this machine only.")
			w.line("[[listener]]")
			w.key("address", quote(clamdPort))
		}
		return
	}
	for i := range m.clamd.listeners {
		m.writeListener(w, &m.clamd.listeners[i], m.served(i))
	}
	m.writeOwn(w)
}

func (m *Machine) writeListener(w *writer, l *listener, s served) {
	w.line("")
	w.line("[[listener]]")
	w.comment("%s", l.addressFrom)
	w.key("address", quote(l.address))
	if l.mode != "" {
		w.comment("%s", l.modeFrom)
		w.key("mode", quote(l.mode))
	}
	if l.group != "" {
		w.comment("%s", l.groupFrom)
		w.key("group", quote(l.group))
	}
	m.writeClients(w, s)
	if o, off := m.clamd.conf.disabled("EnableReloadCommand"); off {
		w.comment("%s", m.clamd.conf.source(o))
		w.key("reload_command", "false")
	} else if !l.unix() && !l.open && !m.clamd.listeners[0].unix() {
		w.comment("freshclam's NotifyClamd sends RELOAD here: clamd.conf names no Unix socket.")
		w.key("reload_command", "true")
	}
	if l.unix() {
		return
	}
	if l.open {
		w.comment("Other machines can reach this address, like clamd's. Their clients were not looked for; see \"polyclam profiles\".")
	}
	if c, ok := s.needsPaths(); ok {
		w.comment("%s (%s) has files scanned by their path over TCP. Every client that reaches this port can do that, as with clamd; see also scan_paths.", c.name, c.where)
		w.key("path_commands", "true")
		return
	}
	w.comment("Every client of clamd can have files scanned by their path. polyclam allows that on Unix sockets only; " +
		"clamdscan without --stream needs it if clamd.conf has no LocalSocket. See also scan_paths.")
	w.line("#path_commands = true")
}

// writeClamd writes the engine for clamd.
func (m *Machine) writeClamd(w *writer) {
	address := m.found
	if m.clamd != nil {
		address = m.clamd.engine
	}
	w.line("")
	w.section(address != "", func(w *writer) {
		if address == "" {
			w.comment("For a clamd.")
			address = "unix:/run/clamav/clamd.ctl"
		}
		w.line("[[engine]]")
		w.key("name", quote("clamav"))
		w.key("backend", quote("clamd"))
		if m.clamd != nil {
			w.comment("%s", m.engineFrom())
		}
		w.key("address", quote(address))
		m.writeMaxScans(w)
		m.writeMaxSize(w)
	})
}

func (m *Machine) engineFrom() string {
	switch {
	case m.clamd.moved:
		return "clamd already listens here: " + m.clamd.conf.path
	case strings.HasPrefix(m.clamd.engine, "tcp:"):
		return "The port next to clamd's old one: clamd.conf has no LocalSocket."
	}
	return "Next to the old socket, where clamd can create one."
}

func (m *Machine) writeMaxScans(w *writer) {
	const most = 10_000
	n, o, ok := m.limit("MaxThreads")
	if !ok {
		return
	}
	w.comment("%s", m.clamd.conf.source(o))
	if n < 1 || n > most {
		m.note("%s: max_scans must be between 1 and %d", m.clamd.conf.source(o), most)
		return
	}
	w.key("max_scans", fmt.Sprint(n))
}

// limit is conf.number, but works without a clamd.conf too.
func (m *Machine) limit(key string) (int64, option, bool) {
	if m.clamd == nil {
		return 0, option{}, false
	}
	return m.clamd.conf.number(key)
}

const (
	defaultStream = 100 << 20 // of limits.stream and of max_size
	// maxStream is the largest limit for streams. libclamav scans no file of 2 GiB - 2
	// or more, whatever StreamMaxLength is.
	maxStream    = 2047 << 20
	defaultTotal = spool.DefaultTotal
)

// stream returns the stream limit, and the line of clamd.conf that sets it.
func (m *Machine) stream() (n int64, o option, ok bool) {
	if m.clamd == nil {
		return defaultStream, o, false
	}
	n, o, ok = m.clamd.conf.bytes("StreamMaxLength")
	if !ok {
		return defaultStream, o, false
	}
	return min(n, maxStream), o, true
}

// writeMaxSize lets an engine accept everything that a listener accepts.
func (m *Machine) writeMaxSize(w *writer) {
	_, o, ok := m.stream()
	if n := m.maxSize(); ok && (n > defaultStream || m.overPort()) {
		w.comment("%s", m.clamd.conf.source(o))
		w.key("max_size", sizeText(n))
	}
}

// maxSize is the largest object that polyclam sends to clamd.
func (m *Machine) maxSize() int64 {
	n, _, ok := m.stream()
	if !ok || n < defaultStream && !m.overPort() {
		return defaultStream
	}
	return n
}

// overPort reports whether clamd receives streams, to which StreamMaxLength applies.
func (m *Machine) overPort() bool {
	return m.clamd != nil && strings.HasPrefix(m.clamd.engine, "tcp:")
}

// writeEngines writes savdid, Sophie and c-icap. They are on if they answer.
func (m *Machine) writeEngines(w *writer) {
	for _, e := range m.engines {
		w.line("")
		for _, from := range e.from {
			w.comment("%s", from)
		}
		if e.off != "" {
			w.comment("Off: %s.", e.off)
		}
		if e.spool {
			w.comment("It reads files by their path, see [spool]; path_mode and path_group must allow that.")
		}
		w.section(e.off == "", func(w *writer) {
			w.line("[[engine]]")
			w.key("name", quote(e.name))
			w.key("backend", quote(e.backend))
			w.key("address", quote(e.address))
			for _, k := range e.keys {
				w.line(k)
			}
			m.writeMaxSize(w)
		})
	}
}

// writePrograms writes the command-line scanners. They are off without --with.
func (m *Machine) writePrograms(w *writer) {
	idle := func(g program) bool { return !g.active }
	if slices.ContainsFunc(m.programs, idle) {
		w.line("")
		w.comment("Installed command-line scanners. To switch one on, remove the \"#\" from its lines," +
			" or run \"polyclam init --with NAME\". \"polyclam presets NAME\" shows its preset.")
	}
	for _, g := range m.programs {
		w.line("")
		w.comment("%s, preset %s: %s", g.path, g.preset.Name, g.preset.Status)
		if g.preset.Note != "" {
			w.comment("%s", g.preset.Note)
		}
		if g.unusable != "" {
			w.comment("Off: %s.", g.unusable)
			continue
		}
		w.section(g.active, func(w *writer) {
			w.line("[[engine]]")
			w.key("name", quote(g.preset.Name))
			w.key("backend", quote("command"))
			w.key("preset", quote(g.preset.Name))
			if !g.usual {
				w.key("program", quote(g.path))
			}
			m.writeMaxSize(w)
		})
	}
}

func (m *Machine) writeInspect(w *writer) {
	w.line("")
	w.comment("Built in: reports what is encrypted or could not be unpacked, with the reason.")
	w.line("[[engine]]")
	w.key("name", quote("inspect"))
	w.key("backend", quote("inspect"))
	m.writeMaxSize(w)
}

// writeOperators writes the socket for commands, and how metrics can be had. Without systemd
// nothing creates the directory of the socket for polyclamd's user.
func (m *Machine) writeOperators(w *writer) {
	active := m.clamd == nil || m.hasSystemd()
	w.line("")
	w.comment("For commands that steer the daemon, such as \"polyclam why\", \"top\" and \"reload\"; for root and polyclamd's user.")
	if !active {
		w.comment("Off: polyclamd's user must be able to write to its directory.")
	}
	w.section(active, func(w *writer) {
		w.line("[admin]")
		w.key("address", quote(adminAddress))
	})
	w.line("")
	w.comment("Status page and metrics, for this machine only.")
	w.line("#[http]")
	w.line("#address = \"tcp:127.0.0.1:9310\"")
}

func (m *Machine) writeNotes(w *writer) {
	if len(m.notes) == 0 {
		return
	}
	w.line("")
	w.comment("Options of clamd.conf that are not used:")
	for _, n := range m.notes {
		w.comment("%s", n)
	}
}
