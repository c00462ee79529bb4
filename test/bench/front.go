package main

import (
	"fmt"
	"strings"
)

// A front is a program to put in front of engines.
type front struct {
	program string   // "haproxy", "polyclam" or "baseline"
	name    string   // of its files
	engines []string // sockets; more than one are nodes of one engine
	slots   int      // scans at a time on each node; 0: polyclam's default
	keys    string   // more keys of polyclam's engine
	config  string   // more tables of polyclam's configuration
	many    bool     // engines are engines, not nodes of one
}

// inFront starts a program in front of engines.
func (w *world) inFront(f front) (way, error) {
	y := way{name: f.program, socket: w.socket(f.name)}
	var program string
	var args []string
	var err error
	switch f.program {
	case "haproxy":
		program, err = find("haproxy")
		args = []string{"-db", "-f", w.write(f.name+".conf", haproxyConf(y.socket, f))}
	case "baseline":
		program = w.options.baseline
		args = []string{"--config=" + w.write(f.name+".conf", polyclamConf(y.socket, f))}
	default:
		program = w.options.binary
		add := strings.ReplaceAll(w.options.add, "{socket}", y.socket)
		args = []string{"--config=" + w.write(f.name+".conf", polyclamConf(y.socket, f)+add)}
	}
	if err != nil {
		return way{}, err
	}
	if y.daemon, err = w.launch(f.name, program, args...); err != nil {
		return way{}, err
	}
	return y, y.daemon.ready(y.socket)
}

// haproxyConf gives a scan to the server with the fewest connections.
func haproxyConf(socket string, f front) string {
	var b strings.Builder
	b.WriteString("global\n\tmaxconn 9000\ndefaults\n\tmode tcp\n\tmaxconn 9000\n\ttimeout connect 60s\n\ttimeout client 120s\n\ttimeout server 120s\n" +
		"frontend f\n\tbind unix@" + socket + "\n\tdefault_backend b\nbackend b\n\tbalance leastconn\n")
	for i, e := range f.engines {
		fmt.Fprintf(&b, "\tserver s%d unix@%s", i, e)
		if f.slots > 0 {
			fmt.Fprintf(&b, " maxconn %d", f.slots)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// polyclamConf is the default configuration: the canary, one log line per scan.
func polyclamConf(socket string, f front) string {
	var b strings.Builder
	fmt.Fprintf(&b, "[[listener]]\naddress = %q\n", "unix:"+socket)
	groups := [][]string{f.engines}
	if f.many {
		groups = nil
		for _, e := range f.engines {
			groups = append(groups, []string{e})
		}
	}
	for i, nodes := range groups {
		name := "clamav"
		if i > 0 {
			name += fmt.Sprint(i + 1)
		}
		var list []string
		for _, n := range nodes {
			list = append(list, fmt.Sprintf("%q", "unix:"+n))
		}
		fmt.Fprintf(&b, "[[engine]]\nname = %q\nbackend = \"clamd\"\naddresses = [%s]\n", name, strings.Join(list, ", "))
		if f.slots > 0 {
			fmt.Fprintf(&b, "max_scans = %d\n", f.slots)
		}
		b.WriteString(f.keys)
	}
	b.WriteString("[log]\nlevel = \"info\"\nformat = \"json\"\n")
	b.WriteString(f.config)
	return b.String()
}
