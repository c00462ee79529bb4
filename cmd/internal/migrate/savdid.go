package migrate

import (
	"errors"
	"fmt"
	"net"
	"path"
	"strings"
)

// savdidConfs are the paths of savdid.conf.
var savdidConfs = []string{"/usr/local/savdi/savdid.conf", "/etc/savdid.conf", "/etc/savdi/savdid.conf", "/opt/sophos-savdi/savdid.conf"}

// savdidSockets is the usual directory of savdid's sockets.
const savdidSockets = "/var/run/savdi"

// savdidDefaultPort is the port in savdid's sample configuration.
const savdidDefaultPort = "4010"

// savdidChannel is a channel of savdid.conf: an address on which it listens.
type savdidChannel struct {
	line                                    int
	transport, protocol, socket, host, port string
}

func (c *savdidChannel) address() string {
	if strings.EqualFold(c.transport, "UNIX") {
		return "unix:" + c.socket
	}
	host, port := c.host, c.port
	if host == "" || host == "0.0.0.0" {
		host = "127.0.0.1"
	}
	if port == "" {
		port = savdidDefaultPort
	}
	return "tcp:" + net.JoinHostPort(host, port)
}

// parseSavdid reads the channels of a savdid.conf, which has blocks in braces with
// "key: value", and "#" for comments.
//
//	channel {
//	    commprotocol { type: UNIX  socket: /var/run/savdi/sssp.sock }
//	    scanprotocol { type: SSSP }
//	}
func parseSavdid(data []byte) []savdidChannel {
	var channels []savdidChannel
	var blocks []string
	word, key := "", "" // the last bare word, the last key without a value
	number := 0
	for line := range strings.SplitSeq(string(data), "\n") {
		number++
		line, _, _ = strings.Cut(line, "#")
		key = ""
		for _, f := range strings.Fields(strings.NewReplacer("{", " { ", "}", " } ").Replace(line)) {
			name, isKey := strings.CutSuffix(f, ":")
			switch {
			case f == "{":
				blocks, key = append(blocks, strings.ToLower(word)), ""
				if word == "channel" {
					channels = append(channels, savdidChannel{line: number})
				}
			case f == "}":
				blocks, key = blocks[:max(0, len(blocks)-1)], ""
			case isKey:
				key = strings.ToLower(name)
			case key != "":
				setChannel(channels, blocks, key, f)
				key = ""
			default:
				word = f
			}
		}
	}
	return channels
}

// setChannel sets a key of the last channel.
func setChannel(channels []savdidChannel, blocks []string, key, value string) {
	if len(blocks) != 2 || blocks[0] != "channel" || len(channels) == 0 {
		return
	}
	c := &channels[len(channels)-1]
	switch blocks[1] + "." + key {
	case "commprotocol.type":
		c.transport = value
	case "commprotocol.socket":
		c.socket = value
	case "commprotocol.address":
		c.host = value
	case "commprotocol.port":
		c.port = value
	case "scanprotocol.type":
		c.protocol = strings.ToUpper(value)
	}
}

func (m *Machine) lookSavdid() {
	for _, p := range savdidConfs {
		data, _, err := m.root.read(p)
		if err != nil {
			if m.root.exists(p) {
				m.row("savdid", p, "its configuration", "no: "+err.Error())
			}
			continue
		}
		for _, c := range parseSavdid(data) {
			m.addSavdid(fmt.Sprintf("%s:%d", p, c.line), c.protocol, c.address())
		}
	}
	for _, p := range m.root.list(savdidSockets, ".sock") {
		// The name is the only sign of the protocol.
		protocol := "SSSP"
		if strings.Contains(path.Base(p), "sophie") {
			protocol = "SOPHIE"
		}
		m.addSavdid(p, protocol, "unix:"+p)
	}
}

// addSavdid adds a channel of savdid.
func (m *Machine) addSavdid(where, protocol, address string) {
	if p, ok := strings.CutPrefix(address, "unix:"); ok {
		address = "unix:" + m.root.short(p)
	}
	if m.known(address) || !isText(address) {
		return
	}
	e := engine{label: "savdid", address: address, from: []string{where}}
	means := "a channel for " + protocol + " on " + address
	switch protocol {
	case "SSSP":
		e.name, e.backend = "sophos", "sssp"
		m.addEngine(e, "savdid", where, means, m.greetsSSSP(address))
	case "SOPHIE":
		e.name, e.backend, e.spool = "sophos-sophie", "sophie", true
		m.addEngine(e, "savdid", where, means, m.connects(address))
	default:
		m.row("savdid", where, means, "no: polyclam speaks SSSP and SOPHIE with savdid")
	}
}

// greetsSSSP returns an error unless savdid greets.
func (m *Machine) greetsSSSP(address string) error {
	line, err := m.converse(address, "", '\n')
	if err == nil && !strings.HasPrefix(line, "OK SSSP/") {
		err = errors.New("its greeting is not savdid's")
	}
	return err
}
