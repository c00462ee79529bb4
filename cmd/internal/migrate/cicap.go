package migrate

import (
	"fmt"
	"net"
	"path"
	"strconv"
	"strings"
)

// cicapConfs are the paths of c-icap.conf.
var cicapConfs = []string{"/etc/c-icap/c-icap.conf", "/etc/c-icap.conf", "/usr/local/etc/c-icap.conf", "/usr/local/c-icap/etc/c-icap.conf"}

// cicap is a c-icap configuration, with included files.
type cicap struct {
	hosts    []string // "host:port" of each "Port"
	service  string   // alias or name of the service that scans; empty: none
	from     []string // "file:line: text" of the lines with these
	asks     string   // "file:line: text" of the line that makes it ask clamd; or empty
	includes int

	module, socket, host, port place // clamd_mod: the line that loads it, and its settings
	user, temporary            string
}

// place is a setting and its line.
type place struct {
	file  string
	line  int
	value string
}

const maxIncludes = 50

// readCICAP reads a c-icap configuration, "Key value ...", with its includes.
func (m *Machine) readCICAP(file string, c *cicap) error {
	data, _, err := m.root.read(file)
	if err != nil {
		return err
	}
	number := 0
	for line := range strings.SplitSeq(string(data), "\n") {
		number++
		f := strings.Fields(line)
		if len(f) < 2 || strings.HasPrefix(f[0], "#") {
			continue
		}
		at := fmt.Sprintf("%s:%d: %s", file, number, strings.Join(f, " "))
		if f[0] == "Include" && c.includes < maxIncludes {
			c.includes++
			included := f[1]
			if !path.IsAbs(included) {
				included = path.Join(path.Dir(file), included)
			}
			m.readCICAP(included, c) // c-icap itself reports a bad include
			continue
		}
		c.take(f, at)
		c.takeClamd(f, place{file, number, f[len(f)-1]})
	}
	return nil
}

func (c *cicap) take(f []string, at string) {
	switch {
	case f[0] == "Port":
		if host, ok := icapHost(f[1]); ok {
			c.hosts, c.from = append(c.hosts, host), append(c.from, at)
		}
	case len(f) >= 3 && f[0] == "Service" && strings.Contains(f[2], "squidclamav"):
		c.service, c.asks, c.from = "squidclamav", at, append(c.from, at)
	case len(f) >= 3 && f[0] == "Service" && strings.Contains(f[2], "virus_scan") && c.service == "":
		c.service, c.from = "virus_scan", append(c.from, at)
	case len(f) >= 3 && f[0] == "ServiceAlias" && strings.HasPrefix(f[2], "virus_scan") && strings.Contains(f[2], "allow204=on"):
		c.service, c.from = f[1], append(c.from, at)
	case len(f) >= 3 && f[0] == "Module" && strings.Contains(f[2], "clamd_mod"),
		f[0] == "virus_scan.DefaultEngine" && f[1] == "clamd":
		c.asks = at
	}
}

// takeClamd reads the settings of clamd_mod, and whose temporary files it names.
func (c *cicap) takeClamd(f []string, p place) {
	switch f[0] {
	case "Module":
		if strings.Contains(f[len(f)-1], "clamd_mod") || len(f) > 2 && strings.Contains(f[2], "clamd_mod") {
			c.module = p
		}
	case "clamd_mod.ClamdSocket":
		c.socket = p
	case "clamd_mod.ClamdHost":
		c.host = p
	case "clamd_mod.ClamdPort":
		c.port = p
	case "User":
		c.user = f[1]
	case "TmpDir":
		c.temporary = f[1]
	}
}

// clamd returns the address that clamd_mod asks, and the line that says so. A port
// matters more than a socket.
func (c *cicap) clamd() (address string, at place) {
	if c.port.file != "" {
		host := c.host.value
		if host == "" {
			host = "127.0.0.1"
		}
		address, _ = tcpOf(host, c.port.value)
		return address, c.port
	}
	if c.socket.file == "" {
		return "unix:/var/run/clamav/clamd.ctl", c.module // its default
	}
	address, _ = addressOf(c.socket.value)
	return address, c.socket
}

// icapHost returns the host:port of a "Port", which holds a port or host:port.
func icapHost(s string) (string, bool) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		host, port = "", s
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", false
	}
	if host == "" || host == "0.0.0.0" || host == "::" || host == "*" {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), true
}

func (m *Machine) lookICAP() {
	for _, p := range cicapConfs {
		var c cicap
		if err := m.readCICAP(p, &c); err != nil {
			if m.root.exists(p) {
				m.row("c-icap", p, "its configuration", "no: "+err.Error())
			}
			continue
		}
		m.addICAP(p, &c)
	}
}

func (m *Machine) addICAP(file string, c *cicap) {
	if c.service == "" {
		m.row("c-icap", file, "listens on "+orNothing(c.hosts), "no: it has no service that scans (virus_scan, squidclamav)")
		return
	}
	if !isText(c.service) {
		return
	}
	for _, host := range c.hosts {
		address := "tcp:" + host
		if m.known(address) {
			continue
		}
		e := engine{
			label: "c-icap", name: "c-icap", backend: "icap", address: address,
			keys: []string{"service = " + quote(c.service)},
			from: append(c.from[:len(c.from):len(c.from)], "With clamav_mod it uses ClamAV's signatures, like clamd."),
		}
		e.unusable = m.loop(c)
		var err error
		if e.unusable == "" {
			err = m.offersICAP(address, c.service)
		}
		m.addEngine(e, "c-icap", file, "service "+c.service+" on "+address, err)
	}
}

// loop explains why c-icap cannot be an engine: it asks the clamd whose place polyclam
// takes. Each mail would then come back to polyclam until all its slots are in use.
func (m *Machine) loop(c *cicap) string {
	if c.asks == "" {
		return ""
	}
	const asks = "it asks clamd, which is now polyclam, so polyclam would ask itself ("
	if c.module.file == "" {
		return asks + c.asks + ")"
	}
	address, at := c.clamd()
	named := c.socket.file != "" || c.port.file != ""
	if named && address != "" && m.listenerOf(address) < 0 {
		return ""
	}
	text := asks + c.asks + ")"
	if m.clamd == nil {
		return text
	}
	if engine, ok := strings.CutPrefix(m.clamd.engine, "unix:"); ok {
		text += fmt.Sprintf("; to use it as an engine, write clamd_mod.ClamdSocket %s in %s", engine, at.file)
	}
	return text
}

// offersICAP requests the service's OPTIONS, RFC 3507 section 4.10.
func (m *Machine) offersICAP(address, service string) error {
	host := strings.TrimPrefix(address, "tcp:")
	line, err := m.converse(address, "OPTIONS icap://"+host+"/"+service+" ICAP/1.0\r\nHost: "+host+"\r\n\r\n", '\n')
	if err == nil && !strings.HasPrefix(line, "ICAP/1.0 200") {
		err = fmt.Errorf("it answered %q to OPTIONS", line)
	}
	return err
}
