package migrate

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"

	presets "polyclam/backends/command"
)

// engine is an engine other than clamd that was found on the machine.
type engine struct {
	label    string // its name for --with
	name     string // its name in the configuration
	backend  string
	address  string   // empty: none, or unknown
	keys     []string // further lines of the table
	from     []string // comments: the origin of the values
	spool    bool     // it reads files by their path
	unusable string   // why it cannot be used; empty: it can
	off      string   // why it is switched off; empty: it is on
}

// addEngine adds an engine and its row. Without --with it is switched on if it answered,
// that is, if err is nil.
func (m *Machine) addEngine(e engine, what, where, means string, err error) {
	asked := slices.Contains(m.opts.With, e.label)
	switch {
	case e.unusable != "":
		e.off = e.unusable
	case asked:
	case err != nil:
		e.off = fmt.Sprintf("it does not answer (%v)", err)
	}
	// Names must be unique.
	for n := 2; slices.ContainsFunc(m.engines, func(o engine) bool { return o.name == e.name }); n++ {
		e.name = fmt.Sprintf("%s-%d", strings.TrimRight(e.name, "-0123456789"), n)
	}
	m.engines = append(m.engines, e)
	used := "yes"
	if e.off != "" {
		used = "no: " + e.off
	}
	m.row(what, where, means, used)
}

// known reports whether an engine with that address has been found already.
func (m *Machine) known(address string) bool {
	return slices.ContainsFunc(m.engines, func(e engine) bool { return m.same(e.address, address) })
}

// program is an installed command-line scanner.
type program struct {
	preset   presets.Preset
	path     string // of the program
	usual    bool   // the preset finds it without the key program
	unusable string // why it cannot be used
	active   bool
}

// usualPath is package command's PATH.
var usualPath = []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}

// vendorPaths are the directories outside the usual PATH where vendors install their
// programs, according to the manuals.
var vendorPaths = []string{
	"/opt/sophos-av/bin", "/usr/local/uvscan", "/opt/uvscan", "/opt/f-prot", "/usr/local/f-prot", "/opt/BitDefender-scanner/bin",
	"/opt/drweb", "/opt/eset/esets/sbin", "/opt/kaspersky/kesl/bin", "/opt/microsoft/mdatp/sbin", "/opt/avg/av/bin", "/opt/vba32",
	"/usr/lib/AntiVir", "/opt/MicroWorld/bin", "/opt/Symantec/ScanEngine/ssecls",
}

// clamdClients are presets of programs that ask clamd.
var clamdClients = map[string]string{
	"clamdscan": "it asks the clamd of clamd.conf, which is now polyclam, so polyclam would ask itself",
}

func (m *Machine) lookPrograms() {
	first := map[string]string{} // by file: one program may have several presets
	for _, p := range presets.Presets() {
		file, usual := m.findProgram(p.Argv[0])
		if file == "" {
			continue
		}
		g := program{preset: p, path: file, usual: usual, unusable: clamdClients[p.Name]}
		asked := slices.Contains(m.opts.With, p.Name)
		g.active = asked && g.unusable == ""
		used := "no: --with " + p.Name + " switches it on"
		other, double := first[file]
		switch {
		case g.unusable != "":
			used = "no: " + g.unusable
		case g.active:
			used = "yes: --with"
		case double:
			used = "no: the same program as " + other + "; use --with with either"
		}
		first[file] = p.Name
		m.programs = append(m.programs, g)
		m.row("program", file, "preset "+p.Name+", "+p.Status, used)
	}
}

// findProgram returns the path of a program, and whether a preset finds it there.
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

// checkWith checks that everything in --with was found and can be used.
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
			return fmt.Errorf("--with %s: not found on this machine; found: %s", name, orNothing(found))
		}
		for _, e := range m.engines {
			if e.label == name && e.unusable != "" {
				return fmt.Errorf("--with %s: %s", name, e.unusable)
			}
		}
		for _, g := range m.programs {
			if g.preset.Name == name && g.unusable != "" {
				return fmt.Errorf("--with %s: %s", name, g.unusable)
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

// lookSophie looks for the sockets of Sophie and Trophie.
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

// connects returns an error if nothing accepts a connection.
func (m *Machine) connects(address string) error {
	nc, err := m.dial(address)
	if err != nil {
		return plainNetError(err)
	}
	return nc.Close()
}
