package migrate

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"

	presets "polyclam/backends/command"
)

// engine is an engine beside clamd that was found.
type engine struct {
	label   string   // as --with calls it
	name    string   // of the engine
	backend string   //
	address string   // empty: none, or not known
	keys    []string // further lines of the table
	from    []string // comments: where this was read
	spool   bool     // it reads files by their path
	never   string   // why it must not be asked; empty: it may be
	idle    string   // why it is not switched on; empty: it is
}

// addEngine adds an engine and its row. Without --with it is switched on if it
// answered, that is, if err is nil.
func (m *Machine) addEngine(e engine, what, where, means string, err error) {
	asked := slices.Contains(m.opts.With, e.label)
	switch {
	case e.never != "":
		e.idle = e.never
	case asked:
	case err != nil:
		e.idle = fmt.Sprintf("it does not answer (%v)", err)
	}
	// Two tables of one name would not load.
	for n := 2; slices.ContainsFunc(m.engines, func(o engine) bool { return o.name == e.name }); n++ {
		e.name = fmt.Sprintf("%s-%d", strings.TrimRight(e.name, "-0123456789"), n)
	}
	m.engines = append(m.engines, e)
	used := "yes"
	if e.idle != "" {
		used = "no: " + e.idle
	}
	m.row(what, where, means, used)
}

// known reports whether an engine with that address was found already.
func (m *Machine) known(address string) bool {
	return slices.ContainsFunc(m.engines, func(e engine) bool { return m.same(e.address, address) })
}

// program is a command-line scanner that is installed.
type program struct {
	preset presets.Preset
	path   string // of the program
	usual  bool   // the preset finds it without being told
	never  string // why it must not be asked
	active bool
}

// usualPath is where programs are looked for; backends/command has the same.
var usualPath = []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}

// vendorPaths are where vendors install programs that the usual PATH does not
// lead to, with the names they have there; engines' manuals name them.
var vendorPaths = []string{
	"/opt/sophos-av/bin", "/usr/local/uvscan", "/opt/uvscan", "/opt/f-prot", "/usr/local/f-prot", "/opt/BitDefender-scanner/bin",
	"/opt/drweb", "/opt/eset/esets/sbin", "/opt/kaspersky/kesl/bin", "/opt/microsoft/mdatp/sbin", "/opt/avg/av/bin", "/opt/vba32",
	"/usr/lib/AntiVir", "/opt/MicroWorld/bin", "/opt/Symantec/ScanEngine/ssecls",
}

// clamdClients are presets that ask clamd themselves.
var clamdClients = map[string]string{
	"clamdscan": "it asks clamd by clamd.conf, that is polyclam: polyclam would ask itself",
}

func (m *Machine) lookPrograms() {
	links := map[string]string{} // one program may have several names, one preset each
	for _, p := range presets.Presets() {
		file, usual := m.findProgram(p.Argv[0])
		if file == "" {
			continue
		}
		g := program{preset: p, path: file, usual: usual, never: clamdClients[p.Name]}
		asked := slices.Contains(m.opts.With, p.Name)
		g.active = asked && g.never == ""
		used := "no: switch it on by --with " + p.Name
		other, double := links[file]
		switch {
		case g.never != "":
			used = "no: " + g.never
		case g.active:
			used = "yes: asked for"
		case double:
			used = "no: the same program as " + other + "; --with takes either"
		}
		links[file] = p.Name
		m.programs = append(m.programs, g)
		m.row("program", file, "preset "+p.Name+", "+p.Status, used)
	}
}

// findProgram returns where a program is, and whether a preset finds it there.
func (m *Machine) findProgram(name string) (file string, usual bool) {
	executable := func(p string) bool {
		mode, ok := m.root.mode(p)
		return ok && mode.IsRegular() && mode&0o111 != 0
	}
	if strings.Contains(name, "/") {
		if executable(name) {
			return name, true
		}
		return "", false
	}
	for _, dir := range usualPath {
		if executable(dir + "/" + name) {
			return dir + "/" + name, true
		}
	}
	for _, dir := range vendorPaths {
		if executable(dir + "/" + name) {
			return dir + "/" + name, false
		}
	}
	return "", false
}

// checkWith wants everything that --with names to be there.
func (m *Machine) checkWith() error {
	var found []string
	for _, e := range m.engines {
		found = append(found, e.label)
	}
	for _, g := range m.programs {
		found = append(found, g.preset.Name)
	}
	for _, name := range m.opts.With {
		if !slices.Contains(found, name) {
			return fmt.Errorf("--with %s: that was not found here; found: %s", name, orNothing(found))
		}
		for _, e := range m.engines {
			if e.label == name && e.never != "" {
				return fmt.Errorf("--with %s: %s", name, e.never)
			}
		}
		for _, g := range m.programs {
			if g.preset.Name == name && g.never != "" {
				return fmt.Errorf("--with %s: %s", name, g.never)
			}
		}
	}
	return nil
}

func orNothing(list []string) string {
	if len(list) == 0 {
		return "nothing"
	}
	return strings.Join(slices.Compact(list), ", ")
}

// lookSophie looks for the sockets of Sophie and Trophie, which have no
// configuration worth reading.
func (m *Machine) lookSophie() {
	for _, s := range []struct{ name, path string }{{"sophie", "/var/run/sophie"}, {"sophie", "/run/sophie"}, {"trophie", "/var/run/trophie"}, {"trophie", "/run/trophie"}} {
		address := "unix:" + m.root.short(s.path)
		if mode, ok := m.root.mode(s.path); !ok || mode.Type() != fs.ModeSocket || m.known(address) {
			continue
		}
		e := engine{label: "sophie", name: s.name, backend: "sophie", address: address, spool: true, from: []string{s.path + " is a socket"}}
		m.addEngine(e, s.name, s.path, "its socket", m.connects(address))
	}
}

// connects reports whether somebody accepts a connection.
func (m *Machine) connects(address string) error {
	nc, err := m.dial(address)
	if err != nil {
		return plainNetError(err)
	}
	return nc.Close()
}
