package migrate

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"path"
	"slices"
	"strings"
	"time"

	"polyclam/cmd/internal/config"
)

// Options select what Look inspects.
type Options struct {
	// Root is the directory to inspect as if it were "/"; empty: "/".
	Root string
	// ClamdConf is the path below Root of the clamd.conf to take over; empty: the best
	// one at the usual paths.
	ClamdConf string
	// With names the engines to switch on: presets of command-line scanners, "savdid",
	// "sophie" or "c-icap".
	With []string
	// Clients names programs that use clamd although their units are neither enabled nor
	// active.
	Clients []string
	// Config is the path of polyclam's configuration on this machine; it need not exist.
	Config string
	// Dial connects to a socket below Root, for tests; nil: net.Dial.
	Dial func(network, address string) (net.Conn, error)
}

// Row is something that was found.
type Row struct{ What, Where, Means, Used string }

// Machine is a snapshot of what was found on a machine.
type Machine struct {
	opts     Options
	root     root
	rows     []Row
	clamd    *clamd // whose place polyclam takes; nil: none
	found    string // address of a clamd without a clamd.conf; empty: none
	engines  []engine
	programs []program
	existing *config.File // polyclam's; nil: none
	scripted bool         // scripts do the rest
	notes    []string     // options of clamd.conf that are not used, with the reason
	users    []client     // of clamd
	needed   []neededGroup
}

// confFiles are the paths of clamd.conf.
var confFiles = []struct{ path, layout string }{
	{"/etc/clamav/clamd.conf", "Debian, Ubuntu, Alpine, Arch"},
	{"/etc/clamd.d/scan.conf", "Fedora, RHEL"},
	{"/etc/clamd.conf", "openSUSE"},
	{"/usr/local/etc/clamd.conf", "from source"},
	{"/usr/local/etc/clamav/clamd.conf", "from source"},
}

const moreConfs = "/etc/clamd.d" // each *.conf configures another clamd

// Look inspects a machine. If it returns an error, no configuration can be written.
func Look(o Options) (*Machine, error) {
	m := &Machine{opts: o, root: root{o.Root}}
	if m.root.own() {
		m.root.dir = ""
	}
	m.lookExisting()
	if err := m.lookClamd(); err != nil {
		return nil, err
	}
	m.lookSockets()
	m.lookSavdid()
	m.lookSophie()
	m.lookICAP()
	m.lookPrograms()
	m.lookClients()
	m.lookGroups()
	m.lookTemporary()
	return m, errors.Join(m.checkWith(), m.checkClients())
}

// Rows returns what was found, in the order of the search.
func (m *Machine) Rows() []Row { return slices.Clone(m.rows) }

// Notes returns the options of clamd.conf that are not used, each with the reason. It is
// complete after [Machine.Config].
func (m *Machine) Notes() []string { return slices.Clone(m.notes) }

// HasClamd reports whether there is a clamd that polyclam can replace.
func (m *Machine) HasClamd() bool { return m.clamd != nil }

// Summary says in a sentence what polyclam does on this machine.
func (m *Machine) Summary() string {
	var places []string
	for _, l := range m.clamd.listeners {
		places = append(places, l.address)
	}
	return fmt.Sprintf("listen on %s instead of clamd, and ask clamd on %s.", strings.Join(places, " and "), m.clamd.engine)
}

func (m *Machine) row(what, where, means, used string) {
	m.rows = append(m.rows, Row{what, where, means, used})
}

func (m *Machine) note(format string, args ...any) {
	m.notes = append(m.notes, fmt.Sprintf(format, args...))
}

// lookExisting reads polyclam's configuration, if there is one.
func (m *Machine) lookExisting() {
	if m.opts.Config == "" {
		return
	}
	f, err := config.Load(m.opts.Config)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		first, _, _ := strings.Cut(err.Error(), "\n")
		m.row("polyclam", m.opts.Config, "a configuration with problems", "no: "+first)
	default:
		m.existing = f
		m.row("polyclam", m.opts.Config, fmt.Sprintf("its configuration, %d listeners, %d engines", len(f.Listeners), len(f.Engines)), "no: --force replaces it")
	}
}

// Migrated explains that polyclam has already taken clamd's place, or returns "" if it
// has not.
func (m *Machine) Migrated() string {
	if m.clamd == nil || m.existing == nil {
		return ""
	}
	ours, theirs := m.clamd.listeners[0].address, m.clamd.engine
	listens := slices.ContainsFunc(m.existing.Listeners, func(l config.Listener) bool { return m.same(l.Address, ours) })
	asks := slices.ContainsFunc(m.existing.Engines, func(u config.Engine) bool {
		return slices.ContainsFunc(u.Addresses, func(a string) bool { return m.same(a, theirs) })
	})
	if !listens || !asks {
		return ""
	}
	return fmt.Sprintf("by %s, polyclam listens on %s and asks the clamd on %s: polyclam has already taken clamd's place",
		m.existing.Name, ours, theirs)
}

// same reports whether two addresses of a configuration are equal.
func (m *Machine) same(a, b string) bool {
	clean := func(s string) string {
		if p, ok := strings.CutPrefix(s, "unix:"); ok {
			return "unix:" + m.root.short(path.Clean(p))
		}
		return strings.ToLower(s)
	}
	return clean(a) == clean(b)
}

// lookClamd looks for clamd.conf and selects the one to take over: the requested one,
// else the first whose clamd answers, else the first.
func (m *Machine) lookClamd() error {
	var usable []*clamd
	var unusable []error
	seen := map[string]string{}
	for _, p := range m.confPaths() {
		d, err := m.readConf(p, seen)
		switch {
		case err != nil:
			unusable = append(unusable, err)
		case d != nil:
			usable = append(usable, d)
		}
	}
	if len(usable) == 0 {
		return errors.Join(unusable...)
	}
	at := max(0, slices.IndexFunc(usable, func(d *clamd) bool { return m.answers(d) }))
	m.clamd = usable[at]
	m.readSocketUnit()
	m.readSocketOwner()
	for i, d := range usable {
		used := "yes"
		if i != at {
			used = "no: another clamd; --clamd-conf " + d.conf.path + " selects this one"
		}
		var places []string
		for _, l := range d.listeners {
			places = append(places, l.address)
		}
		m.row("clamd.conf", d.conf.path, "clamd listens on "+strings.Join(places, ", "), used)
	}
	return nil
}

// confPaths returns the files to read.
func (m *Machine) confPaths() []string {
	if m.opts.ClamdConf != "" {
		return []string{m.opts.ClamdConf}
	}
	var paths []string
	for _, f := range confFiles {
		paths = append(paths, f.path)
	}
	for _, p := range m.root.list(moreConfs, ".conf") {
		if !slices.Contains(paths, p) {
			paths = append(paths, p)
		}
	}
	return paths
}

// readConf reads one clamd.conf. It returns nil for a file that does not exist, was
// already read, or starts no clamd.
func (m *Machine) readConf(p string, seen map[string]string) (*clamd, error) {
	data, real, err := m.root.read(p)
	if errors.Is(err, fs.ErrNotExist) && m.opts.ClamdConf == "" {
		return nil, nil
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", p, err)
		if errors.Is(err, fs.ErrPermission) {
			err = fmt.Errorf("%w; run this as root", err)
		}
		m.row("clamd.conf", p, "cannot be read", "no: "+err.Error())
		return nil, err
	}
	if other, ok := seen[real]; ok {
		m.row("clamd.conf", p, "the same file as "+other, "no")
		return nil, nil
	}
	seen[real] = p
	c := parseConf(p, data)
	c.real = real
	if isEngineConf(data) {
		m.row("clamd.conf", p, "of the clamd that polyclam asks, written by \"polyclam init\"", "no: unchanged")
		return nil, nil
	}
	if c.example > 0 {
		m.row("clamd.conf", p, "an example", fmt.Sprintf("no: %s:%d: clamd does not start with the line \"Example\"", p, c.example))
		return nil, nil
	}
	d, err := m.root.readClamd(c)
	if err != nil {
		m.row("clamd.conf", p, "cannot be taken over", "no: "+err.Error())
		return nil, err
	}
	return d, nil
}

// answers reports whether a clamd answers PING on one of its addresses.
func (m *Machine) answers(d *clamd) bool {
	return slices.ContainsFunc(d.listeners, func(l listener) bool { return m.ping(l.address) == nil })
}

const probeTime = 2 * time.Second
