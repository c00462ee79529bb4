package migrate

import (
	"cmp"
	"fmt"
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
	Steps  string // path of the script; empty: not written
	Undo   string // path of the script for the way back
}

// suggestion is the command that writes everything.
const suggestion = "polyclam init --output /etc/polyclam/config.toml --move-clamd --steps " + usualSteps + " --undo " + usualUndo

// usualSteps and usualUndo are the scripts in the suggestion.
const (
	usualSteps = "/root/polyclam-steps"
	usualUndo  = "/root/polyclam-undo"
)

// Steps returns what the administrator still has to do, and how to revert it.
func (m *Machine) Steps(o StepsOptions) string {
	var list []step
	scripts := m.Scriptable() == nil
	switch {
	case scripts && o.Steps == "":
		s := step{text: "Write the configuration, clamd's new one, and two scripts. This changes nothing yet:", shell: []string{suggestion}}
		if o.Output != "" {
			s.text = "Write two scripts, the steps and the way back; add --force, because " + o.Output + " exists now:"
		}
		list = append(list, s)
	case o.Output == "":
		list = append(list, step{text: "Write the configuration: the same command with --output /etc/polyclam/config.toml --move-clamd."})
	}
	switch {
	case scripts:
		list = append(list, m.scriptSteps(o)...)
	case m.clamd != nil:
		list = append(list, m.manualSteps(o)...)
	}
	if !scripts {
		list = append(list, m.startSteps()...)
	}
	var b strings.Builder
	for i, s := range list {
		writeStep(&b, fmt.Sprintf("%d. ", i+1), s)
	}
	switch {
	case scripts:
		writeStep(&b, "", step{text: "To go back, at any time and from any state:", shell: []string{"sh " + shellWord(cmp.Or(o.Undo, usualUndo))}})
	case m.clamd != nil:
		writeStep(&b, "", m.backStep())
	}
	return b.String()
}

// shellWord quotes a word if necessary.
func shellWord(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool {
		return !strings.ContainsRune("/._-+:=@%,", r) && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}) {
		return shellQuote(s)
	}
	return s
}

func writeStep(b *strings.Builder, number string, s step) {
	fmt.Fprintf(b, "%s%s\n", number, s.text)
	for _, line := range s.shell {
		fmt.Fprintf(b, "    %s\n", line)
	}
}

// scriptSteps explains the scripts.
func (m *Machine) scriptSteps(o StepsOptions) []step {
	text := "Read the script, then run it. It tries polyclam as its own user on a spare socket, gives clamd's addresses to polyclam, and restarts " + m.unit() +
		" at " + m.clamd.engine + ". It stops at the first failure and says what to do, and can be run again:"
	list := []step{{text: text, shell: []string{"sh " + shellWord(cmp.Or(o.Steps, usualSteps))}}}
	if s := m.selinuxStep(); s.text != "" {
		list = append(list, s)
	}
	return append(list, m.freshclamStep())
}

// manualSteps returns the steps that move clamd where there are no scripts.
func (m *Machine) manualSteps(o StepsOptions) []step {
	var list []step
	conf := m.EngineConf()
	if conf != "" && !o.Moved && o.Output != "" {
		list = append(list, step{text: fmt.Sprintf("Write a separate configuration for clamd, %s: the same command with --move-clamd and --force. It is %s"+
			" with another address, %s.", conf, m.clamd.conf.path, m.clamd.engine)})
	}
	switch {
	case conf == "":
	case m.root.exists(openRC):
		list = append(list, step{text: "OpenRC: " + openRC + " names clamd's configuration. Change it to the new one, and check that start-stop-daemon passes it to clamd:",
			shell: []string{
				"sed -i -e 's|^CONF=.*|CONF=" + conf + "|' -e 's|--exec $command$|--exec $command -- --config-file=$CONF|' " + openRC,
				"grep -n -e CONF= -e config-file " + openRC,
				"rc-service clamd restart",
			}})
	default:
		list = append(list, step{text: "Start clamd with its new configuration, in the way it is started on this machine:",
			shell: []string{"clamd --config-file=" + shellWord(conf)}})
	}
	if profile, lacks := m.apparmorLacks(); len(lacks) > 0 {
		list = append(list, step{text: "AppArmor: " + profile + " does not allow clamd what it needs at its new address. Add to its local file:", shell: lacks})
	}
	if s := m.selinuxStep(); s.text != "" {
		list = append(list, s)
	}
	return append(list, m.freshclamStep())
}

func (m *Machine) selinuxStep() (s step) {
	if m.root.exists("/sys/fs/selinux/enforce") || m.root.exists("/etc/selinux/config") {
		s.text = "SELinux: clamd's new socket is in the directory of the old one and gets its label. There is no policy for polyclamd:" +
			" look for denials with ausearch -m avc after the first scans."
	}
	return s
}

func (m *Machine) freshclamStep() step {
	text := "freshclam: nothing to do. NotifyClamd reads LocalSocket from " + m.clamd.conf.path +
		", so RELOAD goes to polyclam, which passes it to clamd. clamdscan, clamdtop and clamonacc find polyclam the same way."
	if !m.clamd.listeners[0].unix() {
		text = "freshclam: nothing to do if NotifyClamd reads " + m.clamd.conf.path + ": polyclam's port accepts RELOAD on the loopback interface only."
	}
	if m.clamd.moved {
		text = m.clamd.conf.path + " has clamd's new address: freshclam, clamdscan, clamdtop and clamonacc read it and go to clamd directly," +
			" past polyclam. Give them " + m.clamd.listeners[0].address + " with --config-file."
	}
	return step{text: text}
}

// startSteps returns the steps that start polyclam.
func (m *Machine) startSteps() []step {
	list := []step{{text: "Start polyclamd; its user must be allowed to create the sockets of its listeners."}}
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

// othersMayConnect reports whether any user may connect to a socket with this mode.
func othersMayConnect(mode string) bool {
	return mode == "" || strings.ContainsAny(mode[len(mode)-1:], "2367")
}

// backStep returns to clamd alone.
func (m *Machine) backStep() step {
	s := step{text: "To go back:", shell: []string{"# stop polyclamd, and start clamd with " + m.clamd.conf.path + " again"}}
	if m.clamd.moved {
		s.shell = []string{"# stop polyclamd, restore the old address in " + m.clamd.conf.path + " and restart clamd"}
	}
	if conf := m.EngineConf(); conf != "" {
		s.shell = append(s.shell, "rm "+shellWord(conf))
	}
	return s
}
