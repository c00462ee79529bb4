package migrate

import (
	"crypto/sha256"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Each script consists of assignments for this machine, common.sh, and steps.sh or undo.sh.
var (
	//go:embed scripts/common.sh
	commonScript string
	//go:embed scripts/steps.sh
	stepsScript string
	//go:embed scripts/undo.sh
	undoScript string
)

// migration is a directory for the scripts' temporary files, in memory.
const migration = "/run/polyclam-migration"

// ScriptOptions describe the scripts.
type ScriptOptions struct {
	Output string // path of polyclam's configuration below the root
	Config string // its text
	Undo   string // path of the second script
}

// Scriptable explains why there are no scripts for this machine, or returns nil.
func (m *Machine) Scriptable() error {
	switch {
	case m.clamd == nil:
		return errors.New("there is no clamd.conf, so nothing can be moved")
	case m.clamd.moved:
		return fmt.Errorf("%s already has clamd's new address, so clamd was moved by hand, at least partly", m.clamd.conf.path)
	case !m.hasSystemd():
		return errors.New("systemd is not installed; without --steps and --undo the remaining steps are printed")
	case m.unit() == "":
		return errors.New("no unit starts clamd; without --steps and --undo the remaining steps are printed")
	}
	return nil
}

// PlanScripts decides that scripts do the rest. It must be called before MoveClamd:
// clamd's new configuration needs what they mount.
func (m *Machine) PlanScripts() error {
	err := m.Scriptable()
	m.scripted = err == nil
	return err
}

// engineUnit returns the unit that starts clamd with its new configuration.
func (m *Machine) engineUnit() string {
	if _, ok := m.template(); ok {
		return "clamd@" + strings.TrimSuffix(path.Base(m.EngineConf()), ".conf") + ".service"
	}
	return m.service().unit
}

// unit returns the unit that starts clamd now, or "".
func (m *Machine) unit() string {
	if instance, ok := m.template(); ok {
		return "clamd@" + instance + ".service"
	}
	return m.service().unit
}

// Scripts returns two POSIX shell scripts. The first puts polyclam in clamd's place, the
// second is the way back. Both can be run again, and in any state that the other left.
func (m *Machine) Scripts(o ScriptOptions) (steps, undo []byte, err error) {
	if err := m.PlanScripts(); err != nil {
		return nil, nil, err
	}
	head := m.scriptHead(o)
	script := func(what, rest string) []byte {
		return []byte("#!/bin/sh\n# " + what + "\n# Written by \"polyclam init\" for this machine. It can be run again at any time.\n" +
			"# shellcheck disable=SC2016,SC2034,SC3013 # not each script needs each name; dash and busybox have test -ef\n\n" + head + "\n" + commonScript + rest)
	}
	return script("Puts polyclam in the place of clamd.", stepsScript), script("Puts clamd back in its place, and removes what the other script wrote.", undoScript), nil
}

// head builds the assignments of a script.
type head struct{ strings.Builder }

func (h *head) set(name, value string) { h.WriteString(name + "=" + shellQuote(value) + "\n") }

// call is a function that calls its arguments with each list of words.
func (h *head) call(name string, lists [][]string) {
	h.WriteString("\n" + name + "() {\n\t:\n")
	for _, words := range lists {
		h.WriteString("\t\"$@\"")
		for _, w := range words {
			h.WriteString(" " + shellQuote(w))
		}
		h.WriteString("\n")
	}
	h.WriteString("}\n")
}

// shellQuote returns a word for a POSIX shell.
func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func (m *Machine) scriptHead(o ScriptOptions) string {
	var h head
	h.set("POLYCLAM_CONF", o.Output)
	h.set("POLYCLAM_SUM", sum([]byte(o.Config)))
	h.set("CLAMD_CONF", m.clamd.conf.real)
	h.set("ENGINE_CONF", m.EngineConf())
	h.set("ENGINE_SUM", sum(m.engineConf()))
	h.set("UNDO", o.Undo)
	m.scriptAddresses(&h)
	m.scriptUnits(&h)
	m.scriptAppArmor(&h)
	h.call("listeners", m.listenerLines())
	h.call("clients", m.clientFiles())
	return h.String()
}

func sum(data []byte) string { return fmt.Sprintf("%x", sha256.Sum256(data)) }

// scriptAddresses writes where the daemons listen, and the lines of the configuration
// with these addresses.
func (m *Machine) scriptAddresses(h *head) {
	socket, bridge := "", migration+"/clamd/bridge.ctl"
	hasPort, port := "no", ""
	for _, l := range m.clamd.listeners {
		if l.unix() {
			socket = strings.TrimPrefix(l.address, "unix:")
			bridge = bridgeName(socket)
		} else {
			hasPort, port = "yes", local(l.address)
		}
	}
	engine, isSocket := strings.CutPrefix(m.clamd.engine, "unix:")
	if !isSocket {
		engine = ""
	}
	h.set("CURRENT", m.current())
	h.set("CURRENT_LINE", addressLine(m.current()))
	h.set("SOCKET", socket)
	h.set("HAS_PORT", hasPort)
	h.set("PORT", port)
	h.set("ENGINE_ADDRESS", m.clamd.engine)
	h.set("ENGINE_LINE", addressLine(m.clamd.engine))
	h.set("ENGINE_SOCKET", engine)
	h.set("ADMIN_LINE", addressLine(adminAddress))
	h.set("BRIDGE_ADDRESS", "unix:"+bridge)
	h.set("BRIDGE_LINE", addressLine("unix:"+bridge))
	h.set("BRIDGE_SOCKET", bridge)
	h.set("BRIDGE_SOCKET_VALUE", confValue(bridge))
	h.set("SOCKET_DIR_VALUE", unitPath(path.Dir(socket)))
	h.set("BESIDE_VALUE", unitPath(path.Dir(socket)+"/.polyclam"))
}

// bridgeName returns the socket of a second clamd, next to the first one's.
func bridgeName(socket string) string {
	ext := path.Ext(socket)
	return strings.TrimSuffix(socket, ext) + "-bridge" + ext
}

// current returns the address at which this machine's programs reach clamd.
func (m *Machine) current() string { return local(m.clamd.listeners[0].address) }

// local returns an address for clients on this machine.
func local(address string) string {
	network, place, _ := strings.Cut(address, ":")
	place = loopback(network, place)
	if host, port, err := net.SplitHostPort(place); network == "tcp" && err == nil && (host == "" || host == "*") {
		place = net.JoinHostPort("127.0.0.1", port)
	}
	return network + ":" + place
}

// addressLine returns the line of polyclam's configuration for an address.
func addressLine(address string) string { return "address = " + quote(address) }

// listenerLines returns the address of each listener and its line in the configuration.
func (m *Machine) listenerLines() (list [][]string) {
	for _, l := range m.clamd.listeners {
		list = append(list, []string{l.address, addressLine(l.address)})
	}
	return list
}

// clientFiles describes the files that clients have scanned by their path, each kind once.
func (m *Machine) clientFiles() (list [][]string) {
	for _, c := range m.clients() {
		if c.user == "" || !path.IsAbs(c.dir) || !isText(c.dir+c.user+c.group+c.name) {
			continue
		}
		group := c.group
		if group == "" {
			group = c.user
		}
		words := []string{c.name, c.user, group, fmt.Sprintf("%04o", c.mode), c.dir}
		if !slices.ContainsFunc(list, func(o []string) bool { return slices.Equal(o, words) }) {
			list = append(list, words)
		}
	}
	return list
}

// groupName matches what may be a group in a unit.
var groupName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*$`)

// supplementary returns the groups for polyclamd's service.
func (m *Machine) supplementary() []string {
	list := m.groups()
	if l := m.clamd.listeners[0]; l.group != "" && !othersMayConnect(l.mode) {
		list = append(list, l.group)
	}
	slices.Sort(list)
	return slices.DeleteFunc(slices.Compact(list), func(g string) bool { return !groupName.MatchString(g) })
}

// clamdUser returns clamd's user, for a directory.
func (m *Machine) clamdUser() string {
	if u := m.clamd.user.value; groupName.MatchString(u) {
		return u
	}
	return "root"
}
