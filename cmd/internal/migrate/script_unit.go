package migrate

import (
	"strings"
)

// dropIn is the name of the drop-ins that the scripts create. systemd reads drop-ins in the
// order of their names, and these must be the last: an address that another one adds would
// be opened twice.
const dropIn = "zz-polyclam.conf"

// scriptUnits writes the units and their drop-ins.
func (m *Machine) scriptUnits(h *head) {
	unit, engine, socket := m.unit(), m.engineUnit(), ""
	start, drop := "", []string{"[Service]"}
	if instance, ok := m.template(); ok {
		_, lines := m.root.unitLines("clamd@.service", "ExecStart")
		start = strings.ReplaceAll(lines[len(lines)-1], "%i", instance)
	} else {
		s := m.service()
		start, socket = s.start, s.socket
		drop = append(drop, "ExecStart=", "ExecStart="+withConfig(start, m.EngineConf()))
	}
	temporary := ""
	if t, _ := m.temporary(); t.dir != "" {
		temporary = "TemporaryFileSystem=" + t.option()
		drop = append(drop, temporary)
	}
	if len(drop) == 1 {
		drop = nil // clamd's template needs no change
	}
	h.set("DROPIN", dropIn)
	h.set("CLAMD_UNIT", unit)
	h.set("CLAMD_SOCKET", socket)
	h.set("ENGINE_UNIT", engine)
	h.set("CLAMD_USER", m.clamdUser())
	h.set("BRIDGE_START", inForeground(withConfig(start, migration+"/bridge.conf")))
	h.set("CLAMD_TEMPORARY", temporary)
	h.set("CLAMD_DROPIN", strings.Join(drop, "\n"))
	h.set("CLAMD_SOCKET_DROPIN", m.clamdSocketDropIn(socket))
	h.set("SERVICE_DROPIN", m.serviceDropIn(engine))
	h.set("SOCKET_DROPIN", m.socketDropIn())
	h.set("GROUPS_WANTED", strings.Join(m.supplementary(), " "))
}

// inForeground makes a command line keep clamd in the foreground.
func inForeground(command string) string {
	if strings.Contains(command, " --foreground") || strings.Contains(command+" ", " -F ") {
		return command
	}
	return command + " --foreground"
}

func (m *Machine) clamdSocketDropIn(socket string) string {
	if socket == "" {
		return ""
	}
	network, place, _ := strings.Cut(m.clamd.engine, ":")
	if network == "unix" {
		place = unitText(place)
	}
	return "[Socket]\nListenStream=\nListenStream=" + place
}

// serviceDropIn lets polyclamd read what clamd could read.
func (m *Machine) serviceDropIn(engine string) string {
	lines := []string{"[Unit]", "After=" + engine, "[Service]"}
	if groups := m.supplementary(); len(groups) > 0 {
		lines = append(lines, "SupplementaryGroups="+strings.Join(groups, " "))
	}
	if !m.clamdPrivateTmp() {
		lines = append(lines, "# clamd reads files below /tmp that clients name by their path.", "PrivateTmp=no")
	}
	return strings.Join(lines, "\n")
}

// clamdPrivateTmp reports whether clamd's own unit hides /tmp.
func (m *Machine) clamdPrivateTmp() bool {
	name := m.service().unit
	if _, ok := m.template(); ok {
		name = "clamd@.service"
	}
	_, lines := m.root.unitLines(name, "PrivateTmp")
	if len(lines) == 0 {
		return false
	}
	switch strings.ToLower(lines[len(lines)-1]) {
	case "yes", "true", "on", "1":
		return true
	}
	return false
}

// socketDropIn makes systemd create polyclam's sockets, since polyclamd may not write to
// clamd's directory.
func (m *Machine) socketDropIn() string {
	lines := []string{"[Socket]", "ListenStream="}
	var access []string
	for _, l := range m.clamd.listeners {
		network, place, _ := strings.Cut(l.address, ":")
		if network != "unix" {
			lines = append(lines, "ListenStream="+place)
			continue
		}
		lines = append(lines, "ListenStream="+unitText(place))
		if l.mode != "" {
			access = append(access, "SocketMode="+l.mode)
		}
		if l.group != "" {
			access = append(access, "SocketGroup="+l.group)
		}
		if m.clamd.socketUser != "" {
			access = append(access, "SocketUser="+m.clamd.socketUser)
		}
	}
	// The script gives the name to clamd before polyclam's socket closes.
	return strings.Join(append(append(lines, access...), "RemoveOnStop=no"), "\n")
}

// unitText returns text for a unit's setting that is not split into words.
func unitText(s string) string { return strings.ReplaceAll(s, "%", "%%") }

// unitWord returns a word for a command line in a unit.
func unitWord(s string) string {
	if !strings.ContainsAny(s, " \t\"'\\$%;") {
		return s
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", "$$", "%", "%%").Replace(s) + `"`
}

// unitPath returns a path for a unit's setting with words, for example BindPaths=.
func unitPath(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "%", "%%").Replace(s) + `"`
}
