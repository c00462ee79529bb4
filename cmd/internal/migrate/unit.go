package migrate

import (
	"path"
	"regexp"
	"strings"
)

// unitDirs are systemd's unit directories, in order of precedence.
var unitDirs = []string{"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"}

// unitLines returns the values of a key in a unit and its drop-ins. As in systemd, an
// empty value clears the earlier ones.
func (r root) unitLines(name, key string) (found bool, lines []string) {
	var files []string
	for _, dir := range unitDirs {
		if file := path.Join(dir, name); r.exists(file) {
			files = append(files, file)
			break
		}
	}
	if len(files) == 0 {
		return false, nil
	}
	for i := len(unitDirs) - 1; i >= 0; i-- {
		for _, file := range r.list(path.Join(unitDirs[i], name+".d"), ".conf") {
			if path.Base(file) != dropIn {
				files = append(files, file)
			}
		}
	}
	for _, file := range files {
		data, _, err := r.read(file)
		if err != nil {
			continue
		}
		for line := range strings.SplitSeq(string(data), "\n") {
			k, v, ok := strings.Cut(strings.TrimSpace(line), "=")
			switch v = strings.TrimSpace(v); {
			case !ok || strings.TrimSpace(k) != key:
			case v == "":
				lines = nil
			default:
				lines = append(lines, v)
			}
		}
	}
	return true, lines
}

// clamdService describes how the system starts clamd.
type clamdService struct {
	unit   string // "clamav-daemon.service"; empty: no unit was found
	start  string // its ExecStart
	socket string // "clamav-daemon.socket" if systemd creates the socket; empty: clamd does
}

// service finds the unit that starts clamd.
func (m *Machine) service() clamdService {
	var s clamdService
	for _, name := range []string{"clamav-daemon", "clamd"} {
		if ok, start := m.root.unitLines(name+".service", "ExecStart"); ok && len(start) > 0 {
			s.unit, s.start = name+".service", start[len(start)-1]
			if _, lines := m.root.unitLines(name+".socket", "ListenStream"); len(lines) > 0 { // and it is not masked
				s.socket = name + ".socket"
			}
			return s
		}
	}
	return s
}

var configFlag = regexp.MustCompile(`(?:\s(?:--config-file[= ]|-c\s*))(?:"[^"]*"|\S+)`)

// withConfig changes the configuration in a command line of clamd.
func withConfig(command, conf string) string {
	flag := " " + unitWord("--config-file="+conf)
	if configFlag.MatchString(command) {
		return configFlag.ReplaceAllLiteralString(command, flag)
	}
	return command + flag
}

// template reports whether Fedora's clamd@.service starts clamd. The instance is the name
// of its configuration.
func (m *Machine) template() (instance string, ok bool) {
	found, _ := m.root.unitLines("clamd@.service", "ExecStart")
	name, isConf := strings.CutSuffix(path.Base(m.clamd.conf.real), ".conf")
	return name, found && isConf && path.Dir(m.clamd.conf.real) == moreConfs
}

// openRC is Alpine's init script.
const openRC = "/etc/init.d/clamd"
