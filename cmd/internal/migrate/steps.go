package migrate

import (
	"fmt"
	"path"
	"strings"
)

// step is something for the administrator to do.
type step struct {
	text  string
	shell []string // commands, as root
}

// StepsOptions describe what has been done already.
type StepsOptions struct {
	Output string // path of polyclam's configuration; empty: not written yet
	Moved  bool   // by MoveClamd
}

// Steps returns what the administrator still has to do, and how to revert it.
func (m *Machine) Steps(o StepsOptions) string {
	var list []step
	if o.Output == "" {
		list = append(list, step{text: "Write the configuration: the same command with --output /etc/polyclam/config.toml --move-clamd."})
	}
	if m.needsSpool() {
		list = append(list, step{text: "Create the directory for engines that read files; path_mode and path_group must admit their users:",
			shell: []string{"install -d -o polyclam -g polyclam -m 0711 " + spoolDirectory}})
	}
	if m.clamd != nil {
		list = append(list, m.clamdSteps(o)...)
	}
	list = append(list, m.startSteps()...)
	var b strings.Builder
	for i, s := range list {
		writeStep(&b, fmt.Sprintf("%d. ", i+1), s)
	}
	if m.clamd != nil {
		writeStep(&b, "", m.backStep())
	}
	return b.String()
}

func writeStep(b *strings.Builder, number string, s step) {
	fmt.Fprintf(b, "%s%s\n", number, s.text)
	for _, line := range s.shell {
		fmt.Fprintf(b, "    %s\n", line)
	}
}

// clamdSteps returns the steps that move clamd.
func (m *Machine) clamdSteps(o StepsOptions) []step {
	var list []step
	if conf := m.EngineConf(); conf != "" && !o.Moved && o.Output != "" {
		list = append(list, step{text: fmt.Sprintf("Write a separate configuration for clamd, %s: the same command with --move-clamd and --force. It is %s"+
			" with another address, %s.", conf, m.clamd.conf.path, m.clamd.engine)})
	}
	if s, ok := m.apparmorStep(); ok {
		list = append(list, s)
	}
	list = append(list, m.adviceSteps()...)
	list = append(list, m.serviceStep()...)
	if m.root.exists("/sys/fs/selinux/enforce") || m.root.exists("/etc/selinux/config") {
		list = append(list, step{text: "SELinux: clamd's new socket is in the directory of the old one and gets its label. There is no policy for polyclamd:" +
			" look for denials with ausearch -m avc after the first scans."})
	}
	text := "freshclam: nothing to do. NotifyClamd reads LocalSocket from " + m.clamd.conf.path +
		", so RELOAD goes to polyclam, which passes it to clamd. clamdscan, clamdtop and clamonacc find polyclam the same way."
	if !m.clamd.listeners[0].unix() {
		text = "freshclam: nothing to do if NotifyClamd reads " + m.clamd.conf.path + ": polyclam's port accepts RELOAD on the loopback interface only."
	}
	if m.clamd.moved {
		text = m.clamd.conf.path + " has clamd's new address: freshclam, clamdscan, clamdtop and clamonacc read it and go to clamd directly," +
			" past polyclam. Give them " + m.clamd.listeners[0].address + " with --config-file."
	}
	return append(list, step{text: text})
}

// serviceStep starts clamd with its new configuration.
func (m *Machine) serviceStep() []step {
	conf := m.EngineConf()
	if conf == "" {
		return nil
	}
	if instance, ok := m.template(); ok {
		engine := strings.TrimSuffix(path.Base(conf), ".conf")
		return []step{{text: "systemd: clamd@.service starts a clamd for each file in " + moreConfs + "; start the new one instead:",
			shell: []string{"systemctl disable --now clamd@" + instance, "systemctl enable --now clamd@" + engine}}}
	}
	s := m.service()
	switch {
	case s.unit != "":
		return []step{m.unitStep(s)}
	case m.root.exists(openRC):
		return []step{{text: "OpenRC: " + openRC + " names clamd's configuration. Change it to the new one, and check that start-stop-daemon passes it to clamd:",
			shell: []string{
				"sed -i -e 's|^CONF=.*|CONF=" + conf + "|' -e 's|--exec $command$|--exec $command -- --config-file=$CONF|' " + openRC,
				"grep -n -e CONF= -e config-file " + openRC,
				"rc-service clamd restart",
			}}}
	}
	return []step{{text: "Start clamd with its new configuration, in the way it is started on this machine:",
		shell: []string{"clamd --config-file=" + conf}}}
}

// unitStep makes systemd create clamd's socket, and start clamd, at the new address.
func (m *Machine) unitStep(s clamdService) step {
	_, socket, _ := strings.Cut(m.clamd.engine, ":")
	// systemd removes the old socket only if it stops before the change.
	out := step{text: "systemd: " + s.unit + " starts clamd with " + m.clamd.conf.path + ". Change that to the new configuration:"}
	stop := s.unit
	if s.socket != "" {
		stop = s.socket + " " + s.unit
		out.text = fmt.Sprintf("systemd: clamd gets its socket from %s, whatever its configuration says. Change both to the new address:", s.socket)
	}
	out.shell = append(out.shell, "systemctl stop "+stop)
	if s.socket != "" {
		out.shell = append(out.shell, dropInCommands(s.socket, "[Socket]", "ListenStream=", "ListenStream="+socket)...)
	}
	out.shell = append(out.shell, dropInCommands(s.unit, "[Service]", "ExecStart=", "ExecStart="+withConfig(s.start, m.EngineConf()))...)
	out.shell = append(out.shell, "systemctl daemon-reload", "systemctl start "+stop)
	return out
}

// startSteps returns the steps that start polyclam.
func (m *Machine) startSteps() []step {
	var list []step
	if m.clamd != nil && m.hasSystemd() {
		list = append(list, m.polyclamStep())
	} else {
		list = append(list, step{text: "Start polyclamd; its user must be allowed to create the sockets of its listeners."})
	}
	shell := []string{"polyclam check", "polyclam status"}
	if m.clamd != nil {
		shell = append(shell, "clamdscan --ping 5", "clamdscan --fdpass /etc/hostname")
	}
	return append(list, step{text: "Check that all engines detect, and that clients reach them:", shell: shell})
}

func (m *Machine) hasSystemd() bool {
	for _, dir := range unitDirs[3:] {
		if m.root.exists(dir) {
			return true
		}
	}
	return false
}

// polyclamStep makes systemd create polyclam's sockets, since polyclamd may not write
// to clamd's directory.
func (m *Machine) polyclamStep() step {
	lines := []string{"[Socket]", "ListenStream="}
	var access []string
	for _, l := range m.clamd.listeners {
		_, place, _ := strings.Cut(l.address, ":")
		lines = append(lines, "ListenStream="+place)
		if l.unix() {
			if l.mode != "" {
				access = append(access, "SocketMode="+l.mode)
			}
			if l.group != "" {
				access = append(access, "SocketGroup="+l.group)
			}
		}
	}
	s := step{text: "systemd: polyclamd's user may not create sockets in clamd's directory, so systemd does (contrib/systemd has both units)."}
	s.shell = dropInCommands("polyclamd.socket", append(lines, access...)...)
	if g := m.clamd.listeners[0].group; g != "" && !othersMayConnect(m.clamd.listeners[0].mode) {
		s.shell = append(s.shell, dropInCommands("polyclamd.service", "[Service]", "SupplementaryGroups="+g)...)
	}
	s.shell = append(s.shell, "systemctl daemon-reload", "systemctl enable --now polyclamd.socket polyclamd.service")
	if u := m.clamd.user; u.value != "" {
		s.text += " clamd ran as " + u.value + "; polyclamd must be able to read the files that clients name by their path, with SupplementaryGroups= of its service."
	}
	s.text += " Then:"
	return s
}

// othersMayConnect reports whether any user may connect to a socket with this mode.
func othersMayConnect(mode string) bool {
	return mode == "" || strings.ContainsAny(mode[len(mode)-1:], "2367")
}

// backStep returns to clamd alone.
func (m *Machine) backStep() step {
	s := step{text: "To go back:", shell: []string{"systemctl disable --now polyclamd.socket polyclamd.service"}}
	service := m.service()
	instance, template := m.template()
	switch {
	case m.clamd.moved:
		s.shell = append(s.shell, "# restore the old address in "+m.clamd.conf.path+" and restart clamd")
	case template:
		s.shell = append(s.shell, "systemctl disable --now clamd@"+instance+engineMark, "systemctl enable --now clamd@"+instance)
	case service.unit != "":
		units := strings.TrimSpace(service.socket + " " + service.unit)
		s.shell = append(s.shell, "systemctl stop "+units)
		for _, u := range strings.Fields(units) {
			s.shell = append(s.shell, "rm /etc/systemd/system/"+u+".d/"+dropIn)
		}
		s.shell = append(s.shell, "systemctl daemon-reload", "systemctl start "+units)
	default:
		s.shell = []string{"# stop polyclamd, and start clamd with " + m.clamd.conf.path + " again"}
	}
	if conf := m.EngineConf(); conf != "" {
		s.shell = append(s.shell, "rm "+conf)
	}
	return s
}
