package migrate

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// idle reports whether a client is installed, but does not run: its unit is neither
// enabled nor active. Packages bring configurations that name clamd, so the configuration
// alone says little. A client without a unit may be started by something else: it counts.
func (s *search) idle(k *clientKind) (unit string, idle bool) {
	if !s.m.hasSystemd() || slices.ContainsFunc(s.m.opts.Clients, func(n string) bool { return strings.EqualFold(n, k.name) }) {
		return "", false
	}
	if s.running == nil {
		s.running = s.m.root.running()
	}
	for _, name := range k.units {
		known, enabled := s.m.root.enabled(name)
		if enabled || s.running[name+".service"] {
			return "", false
		}
		if known && unit == "" {
			unit = name + ".service"
		}
	}
	return unit, unit != ""
}

// running returns the units with a process.
func (r root) running() map[string]bool {
	units := map[string]bool{}
	for _, dir := range r.list("/proc", "") {
		if name := path.Base(dir); name[0] < '0' || name[0] > '9' {
			continue
		}
		data, _, err := r.read(dir + "/cgroup")
		if err != nil {
			continue // it has ended
		}
		// "4:name:/system.slice/a.service"
		for part := range strings.FieldsFuncSeq(string(data), func(c rune) bool { return c == '/' || c == '\n' }) {
			if strings.HasSuffix(part, ".service") {
				units[part] = true
			}
		}
	}
	return units
}

// enabled reports whether systemd knows a service, and whether it starts the service or its
// socket at boot. A unit that nothing can enable is unknown: another unit may need it.
func (r root) enabled(name string) (known, enabled bool) {
	for _, dir := range unitDirs {
		for _, suffix := range []string{".wants", ".requires"} {
			for _, wants := range r.list(dir, suffix) {
				for _, unit := range []string{".service", ".socket"} {
					if r.present(path.Join(wants, name+unit)) && !r.masked(name+unit) {
						return true, true
					}
				}
			}
		}
	}
	if r.masked(name + ".service") {
		return true, false
	}
	for _, key := range []string{"WantedBy", "RequiredBy", "Also"} {
		found, lines := r.unitLines(name+".service", key)
		if found && len(lines) > 0 {
			return true, false
		}
		known = known || found
	}
	if known || !r.exists("/etc/init.d/"+name) {
		return false, false
	}
	// systemd makes a unit of the script.
	for _, level := range []string{"2", "3", "4", "5"} {
		for _, link := range r.list("/etc/rc"+level+".d", name) {
			if order := strings.TrimSuffix(path.Base(link), name); len(order) == 3 && order[0] == 'S' {
				return true, true
			}
		}
	}
	return true, false
}

// masked reports whether a unit is a link to /dev/null, as "systemctl mask" makes it.
func (r root) masked(unit string) bool {
	for _, dir := range unitDirs[:2] {
		real, err := r.resolve(dir)
		if err != nil {
			continue
		}
		if target, err := os.Readlink(r.host(filepath.Join(real, unit))); err == nil && target == "/dev/null" {
			return true
		}
	}
	return false
}

// present reports whether path is in its directory, also as a link that leads nowhere.
func (r root) present(p string) bool {
	real, err := r.resolve(path.Dir(p))
	if err != nil {
		return false
	}
	_, err = os.Lstat(r.host(filepath.Join(real, path.Base(p))))
	return err == nil
}

// amavisConfs are amavis' files, in the order in which it reads them: a later setting
// replaces an earlier one. Debian's first ones come with the package.
var amavisConfs = []string{"/usr/share/amavis/conf.d/", "/etc/amavis/conf.d/", "/etc/amavis/amavisd.conf", "/etc/amavisd/amavisd.conf", "/etc/amavisd.conf", "/usr/local/etc/amavisd.conf"}

var amavisBypass = regexp.MustCompile(`@bypass_virus_checks_maps\s*=\s*\(\s*([^()\s,]*)`)

// amavisOff returns the line that switches amavis' virus checks off for everybody, as
// Debian's package does.
func (s *search) amavisOff() (at mention, file string) {
	for _, f := range s.files(amavisConfs) {
		data, _, err := s.m.root.read(f)
		if err != nil {
			continue
		}
		code := perlCode(string(data))
		for _, found := range amavisBypass.FindAllStringSubmatchIndex(code, maxMentions) {
			at, file = mention{}, ""
			if code[found[2]:found[3]] == "1" {
				at, file = mention{line: lineAt(code, found[0])}, f
			}
		}
	}
	return at, file
}

// ClientNames returns the names that Options.Clients may have.
func ClientNames() (names []string) {
	for _, k := range allClientKinds() {
		names = append(names, k.name)
	}
	return names
}

func allClientKinds() []clientKind {
	return append(slices.Clone(clientKinds), defangKind, cicapKind, clamonaccKind)
}

// checkClients checks the names in --client.
func (m *Machine) checkClients() error {
	names := ClientNames()
	for _, name := range m.opts.Clients {
		if !slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) }) {
			return fmt.Errorf("--client %s: no such client; there are: %s", name, strings.Join(names, ", "))
		}
	}
	return nil
}
